"""Paths from the command line, JSON files written whole and checked when read, and file locks."""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cnnlab.errors import UserError

# Bytes of a JSON file: more than any run or sweep writes, and read in a second.
LARGEST_JSON = 1 << 26
# Bytes of a file that is one example, or all of a small set.
LARGEST_FILE = 1 << 30
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def expand(path: str) -> str:
    """Return a path with `~`, `$NAME` and `${NAME}` replaced, unless it exists as it is written.

    Raises:
        UserError: a variable is not set, a user does not exist, or it is a URL.
    """
    if URL.match(path):
        raise UserError(f"'{path}' is a URL: name a file or folder of this machine's file systems")
    if os.path.lexists(path):
        return path
    found = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111
    unset = [
        match[0]
        for match in re.finditer(r"\$(?:([A-Za-z_]\w*)|\{(\w+)\})", path, re.ASCII)
        if (match[1] or match[2]) not in os.environ
    ]
    if unset:
        raise UserError(f"the path '{path}' has {unset[0]}, which is not set")
    if path.startswith("~") and found.startswith("~"):
        raise UserError(f"the path '{path}' begins with the home of a user who does not exist")
    return found


def is_text(path: str | Path) -> bool:
    """Return whether a path is text; file names may be any bytes, which C++ libraries refuse."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return arrays and their scalars as numbers."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def write_json(path: Path, value: Any, *, sort_keys: bool = True) -> None:
    """Write JSON so that a reader, a kill or a power cut never meets half a file."""
    # Opened by its name, not by `tempfile`, which would hide it from a person's colleagues.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("w") as file:
            json.dump(value, file, indent=2, sort_keys=sort_keys, default=_plain)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_new(path: Path, value: Any) -> bool:
    """Write JSON to a new file, whole; return False if the file exists."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp") as temporary:
        json.dump(value, temporary, indent=1)
        temporary.flush()
        try:
            # A link, unlike a rename, fails where another process was quicker.
            os.link(temporary.name, path)
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Wait for the lock of a file, created if missing, and hold it within this context.

    The system frees a lock when its holder ends, even if it is killed.

    Raises:
        OSError: the file cannot be opened, or the file system has no locks.
    """
    with open_file(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(file: IO) -> bool:
    """Lock an open file until it is closed; return False if another holds the lock.

    Raises:
        OSError: the file system has no locks.
    """
    while not _flock(file, fcntl.LOCK_EX):
        if not _flock(file, fcntl.LOCK_SH):
            return False
        # Another process only tests the lock (`is_locked`), for an instant.
        fcntl.flock(file, fcntl.LOCK_UN)
        time.sleep(0.001)
    return True


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file.

    Raises:
        OSError: the file cannot be opened, or the file system has no locks.
    """
    with open_file(path) as file:
        return not _flock(file, fcntl.LOCK_SH)


def _flock(file: IO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_file(path: Path, mode: str = "r", **options: Any) -> IO:
    """Open a file of a run or sweep folder, as the built-in `open` does.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or a folder, whose opening or reading
            may have no end; of those `errno` is ENXIO.
    """
    return open(path, mode, opener=_open_regular, **options)


def _open_regular(path: str, flags: int) -> int:
    # A pipe would wait for its other end; for writing, the kernel says ENXIO then.
    number = os.open(path, flags | os.O_NONBLOCK, 0o666)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    why = "it is no regular file but a pipe, a device or a folder"
    raise OSError(errno.ENXIO, why, path)


def read_file(path: Path, size: int = -1) -> bytes:
    """Return the first `size` bytes of a file, or all.

    Raises:
        OSError: as `open_file`; of a file that is larger than any that is read whole, EFBIG.
    """
    with open_file(path, "rb") as file:
        if size < 0 and os.fstat(file.fileno()).st_size > LARGEST_FILE:
            raise OSError(errno.EFBIG, f"it is larger than {LARGEST_FILE >> 20} MiB", str(path))
        return file.read(size)


def read_tail(path: Path, size: int = 1 << 20, start: int = 0) -> str:
    """Return the last `size` bytes of a text, those from byte `start` on; raises as `open_file`."""
    with open_file(path, "rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - size))
        return file.read().decode(errors="replace")


def read_json(path: Path, form: Any = dict, *, remedy: str) -> Any:
    """Return the JSON in a file.

    Args:
        path: of the file.
        form: what it has to hold, as `parse_json` takes it.
        remedy: what to do about a damaged file.

    Raises:
        FileNotFoundError: there is no file.
        UserError: there is something that is not this; names the file, the fault and the remedy.
    """
    try:
        data = read_file(path, LARGEST_JSON + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise damaged(path, "a link to a file that does not exist", remedy) from None
        raise
    except NotADirectoryError:
        folder = next(p for p in path.parents if p.exists())
        raise damaged(folder, "a file in the place of a folder", remedy) from None
    except OSError as error:
        # Not a reason to remove it: the next reader may fare better.
        if error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            raise UserError(
                f"{path} cannot be read: {error.strerror}; make it readable, or ask its owner"
            ) from None
        raise damaged(path, error.strerror or str(error), remedy) from None
    if len(data) > LARGEST_JSON:
        raise damaged(path, f"larger than {LARGEST_JSON >> 20} MiB", remedy)
    return parse_json(data, form, path, remedy)


def parse_json(data: bytes | str, form: Any, what: Any, remedy: str) -> Any:
    """Return what JSON text says.

    Args:
        data: the text, or its bytes in UTF-8.
        form: a type, or a tuple of types; {name: form, ...}: an object with at least these
            entries ("name?": if it is there), and under the key `str` the form of all others;
            [form]: a list.
        what: name of the file or line, for the message.
        remedy: what to do about damaged text.

    Raises:
        UserError: it is no JSON, or not of this form.
    """
    try:
        # With or without a byte-order mark; of bytes json would guess the encoding.
        value = json.loads(data if isinstance(data, str) else data.decode("utf-8-sig"))
    except RecursionError:
        raise damaged(what, "nested too deep", remedy) from None
    except UnicodeDecodeError:
        raise damaged(what, "it is no text in UTF-8", remedy) from None
    except json.JSONDecodeError as error:
        raise damaged(what, str(error), remedy) from None
    except ValueError:  # of int()
        raise damaged(what, "a number has too many digits", remedy) from None
    wrong = fault(value, form)
    if wrong:
        raise damaged(what, wrong, remedy)
    return value


def damaged(what: Any, why: str, remedy: str) -> UserError:
    """Return the error that says that a file is damaged."""
    return UserError(f"{what} is damaged ({why}): {remedy}")


def fault(value: Any, form: Any, place: str = "") -> str:
    """Return why a value is not of a form (see `parse_json`), or an empty text."""
    if isinstance(form, dict):
        if not isinstance(value, Mapping):
            return _differs(value, dict, place)
        every = dict.fromkeys(value, form[str]) if str in form else {}
        forms = {**every, **{name: inner for name, inner in form.items() if name is not str}}
        faults = (_entry_fault(value, name, inner, place) for name, inner in forms.items())
    elif isinstance(form, list):
        if not isinstance(value, list):
            return _differs(value, list, place)
        faults = (fault(item, form[0], f"{place}{n}.") for n, item in enumerate(value))
    else:
        types = form if isinstance(form, tuple) else (form,)
        # True is an int to Python, but no number in a file.
        fits = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
        return "" if fits else _differs(value, types[0], place)
    return next(filter(None, faults), "")


def _entry_fault(value: Mapping[str, Any], name: str, form: Any, place: str) -> str:
    optional, name = name.endswith("?"), name.removesuffix("?")
    if name not in value:
        return "" if optional else f"'{place}{name}' is missing"
    return fault(value[name], form, f"{place}{name}.")


def _differs(value: Any, wanted: type, place: str) -> str:
    name = f"'{place.removesuffix('.')}' is" if place else "it holds"
    text = json.dumps(value)
    return f"{name} {text if len(text) < 60 else text[:60] + '...'}, not {NAMES[wanted]}"


NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
