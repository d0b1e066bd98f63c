"""Errors that a user can put right: the command line entry point prints their one line."""

import errno
import os


class UserError(ValueError):
    """Something a person can mend: the message says what is wrong and what to do."""


class MissingData(UserError):
    """The data set is not on this machine, or not where the config says."""


class LostProcess(UserError):
    """Another process of the run is gone or did not come: another start may find it back."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the kind of one without."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:500]


_AGAIN = "start the same command again; it goes on from the last checkpoint that was written"
# A disk without room: whatever runs beside this would fail too.
NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
# What to do about errors of the operating system.
_REMEDIES = {
    **{number: f"{what}: free some space and {_AGAIN}" for number, what in NO_ROOM.items()},
    errno.EROFS: f"the file system is read-only: make it writable, and {_AGAIN}",
    errno.EIO: f"the disk fails to read or write: use another disk, or mend this one and {_AGAIN}",
    errno.EFBIG: f"a file is larger than the limit (ulimit -f): raise it and {_AGAIN}",
    errno.EMFILE: f"too many files are open: raise the limit (ulimit -n) and {_AGAIN}",
    errno.ENFILE: f"too many files are open on this machine: close some and {_AGAIN}",
    errno.ESTALE: f"the network file system lost a file: mount it again and {_AGAIN}",
    errno.ENAMETOOLONG: "a name or path is too long: choose a shorter one",
    errno.ELOOP: "symbolic links lead in a circle: name the folder itself",
    errno.ENOTDIR: "a part of the path is a file, not a folder: name another",
    errno.EISDIR: "this is a folder, not a file: name a file",
    errno.EACCES: "permission denied: name a place that you may read and write",
    errno.EPERM: "the operation is not permitted: name a place that you may read and write",
    errno.EEXIST: "a file, or a link to nothing, is in the place of a folder: remove it, or name "
    "another place",
    errno.ENXIO: "this is a pipe, a device or a folder in the place of a file: remove it",
    errno.ENOENT: "there is no such file or folder",
}
# Unlikely in the text of any other error: what C++ libraries give instead of a number.
_IN_TEXT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE)


def explain_os_error(error: BaseException, *, itself: bool = True) -> str | None:
    """Return in one line what to do about an error of the operating system, None for another.

    Args:
        error: as raised, or what it was raised from.
        itself: False for what another error was raised from: "no such file" is often handled, and
            says nothing of an error that comes afterwards.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        number = next((n for n in _IN_TEXT if os.strerror(n) in str(error)), None)
    handled = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
    if number not in _REMEDIES or (number in handled and not itself):
        return None
    name = getattr(error, "filename", None)
    return f"{os.fsdecode(name)}: {_REMEDIES[number]}" if name else _REMEDIES[number]
