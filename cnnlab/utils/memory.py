"""Memory available to this machine or container, and an error for what needs more."""

import contextlib
import os
from pathlib import Path

from cnnlab.errors import UserError

# What a container or a job may use of the machine.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int:
    """Return the bytes of memory that the processes of this machine, or container, may use."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in LIMITS:
        # A word, or no such file, where there is no limit.
        with contextlib.suppress(OSError, ValueError):
            found = min(found, int(Path(path).read_text()))
    return found


def check(needed: int, what: str) -> None:
    """Raise a `UserError` for `what` if it needs more bytes than this machine has."""
    if needed > (there := memory()):
        raise UserError(
            f"{what} would need {_gb(needed)} of memory or more, this machine has {_gb(there)}: "
            "choose smaller sizes"
        )


def _gb(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"
