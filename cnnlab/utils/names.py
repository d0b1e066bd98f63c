"""Names from a config: those of files are plain, those in a list stand there once."""

from collections.abc import Iterable

from cnnlab.errors import UserError

# Bytes of a name; file systems take 255, of which endings need some.
LONGEST = 100


def check(entry: str, found: Iterable[str]) -> None:
    """Raise a `UserError` for a name of an entry that cannot be that of a file or folder."""
    for name in found:
        plain = name.isprintable() and "/" not in name and not name.startswith(".")
        if not plain or not name.strip() or len(name.encode()) > LONGEST:
            shown = ascii(name) if len(name) < LONGEST else ascii(name[:LONGEST]) + "..."
            raise UserError(
                f"{entry}: the name {shown} becomes one of files: needs up to {LONGEST} printable "
                "letters, no '/', and none of '.' first"
            )


def check_once(entry: str, found: Iterable[str]) -> None:
    """Raise a `UserError` for a name that a list has twice."""
    seen = set()
    for name in found:
        if name in seen:
            raise UserError(f"{entry}: '{name}' is there twice")
        seen.add(name)
