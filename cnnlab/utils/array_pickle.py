"""Pickles of numpy arrays, read without running what they say.

A pickle can call any function by name. Here it reaches stand-ins for what rebuilds an array, which
call nothing; of any other name nothing is imported, and the file is refused. Both what numpy wrote
under Python 2 and what it writes today are read.
"""

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.utils.files import read_file


# No stand-in has attributes, so that a pickle cannot change it.
class _Dtype:
    """Stands for numpy.dtype."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[biuf][1248]", code):
            raise ValueError(f"an array of {str(code)[:20]}, not of numbers")
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        """The dtype that it stands for."""
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for an array."""

    __slots__ = ("value",)

    def __init__(self, *_: Any) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, data = state
        raw = data.encode("latin1") if isinstance(data, str) else data
        values = np.frombuffer(raw, dtype.dtype())
        self.value = values.reshape(shape, order="F" if by_columns else "C")


class _Encode:
    """Stands for _codecs.encode, by which Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes as {encoding}")
        return text.encode("latin1")


KNOWN: dict[str, Any] = {
    **dict.fromkeys(("numpy.core.multiarray._reconstruct",), _Array),
    **dict.fromkeys(("numpy._core.multiarray._reconstruct",), _Array),
    "numpy.ndarray": "ndarray",
    "numpy.dtype": _Dtype,
    "_codecs.encode": _Encode(),
}


# Opcodes that number an object.
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in KNOWN:
            raise UserError(
                f"asks for {full}, and only arrays are read: nothing in a pickle is run"
            )
        return KNOWN[full]


def check_memo(file: Any) -> None:
    """Refuse a pickle that numbers an object beyond those that it has made; its place is kept.

    The unpickler makes room for every number up to the largest, so that a pickle of ten bytes
    could take all memory.

    Raises:
        ValueError: saying so, or that it is damaged.
    """
    start = file.tell()
    for made, (opcode, number, _) in enumerate(pickletools.genops(file)):
        if opcode.name in PUTS and isinstance(number, int) and number > made:
            raise ValueError(f"it numbers an object {number}, and has made {made:,}")
    file.seek(start)


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the dictionary that a pickle holds, its arrays as numpy arrays.

    Raises:
        UserError: it is damaged, asks for anything else than arrays, or holds no dictionary.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        # What Python 2 wrote as text or bytes alike becomes text.
        stream = io.BytesIO(data)
        check_memo(stream)
        content = _Arrays(stream, encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{path} {' '.join(str(error).split())}") from None
    except Exception as error:
        # A damaged pickle raises nearly anything.
        why = " ".join(str(error).split())[:100]
        raise UserError(
            f"{path} is damaged or cut short, or no pickle of arrays: get it again "
            f"({type(error).__name__}: {why})"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no dictionary of arrays: get it again")
    return {
        str(key): value.value if isinstance(value, _Array) else value
        for key, value in content.items()
    }
