"""Whether this package runs in a checkout, beside launch.py, or is installed by pip."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IN_CHECKOUT = (ROOT / "launch.py").is_file() and (ROOT / "configs").is_dir()
# The program as a person types it, and as a child process runs it.
COMMAND = ("python", "launch.py") if IN_CHECKOUT else ("cnnlab",)
PROGRAM = (sys.executable, *([str(ROOT / "launch.py")] if IN_CHECKOUT else ["-m", "cnnlab"]))
# Config files that come with the package; `configs/` is installed as `cnnlab.examples`.
EXAMPLES = ROOT / "configs" if IN_CHECKOUT else Path(__file__).resolve().parents[1] / "examples"


def as_typed(text: str) -> str:
    """Return text with the commands of a checkout as they are typed here."""
    if IN_CHECKOUT:
        return text
    text = re.sub(r"\bconfigs/(?:sweeps/)?(\w+)\.py", r"\1", text)
    return text.replace("python launch.py", "cnnlab")
