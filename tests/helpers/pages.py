"""Pages of docs/ whose files and commands the tests run in an empty folder."""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def read(name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the files of a page, names and texts, and its commands without `python launch.py`."""
    text = (DOCS / name).read_text()
    files = re.findall(r"```python\n# (\w+/\w+\.py)\n(.*?)```", text, re.DOTALL)
    joined = text.replace("\\\n", " ")
    return files, re.findall(r"^python launch.py ([^#\n]*)", joined, re.MULTILINE)


@contextlib.contextmanager
def written(files: list[tuple[str, str]], folder: Path, monkeypatch) -> Iterator[Path]:
    """Write the files to a folder and work there, unaware of modules of that name elsewhere."""
    packages = {Path(name).parts[0] for name, _ in files}

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
            del sys.modules[name]

    forget()
    for name, text in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    others = [p for p in sys.path if not any(Path(p, f"{name}.py").exists() for name in packages)]
    monkeypatch.setattr(sys, "path", others)
    monkeypatch.chdir(folder)
    yield folder
    forget()
