"""Checks of a user's own source: length, info, and the first example against `info.spec`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.data.preprocess.decode import UNREADABLE
from cnnlab.data.sources.info import Info, Source
from cnnlab.errors import UserError
from cnnlab.utils.describe import describe


def checked(name: str, made: Any) -> Source:
    """Return `made`, what is at the place `name`; raise a `UserError` if it is no source."""
    what = f"data set '{name}'"
    missing = [
        key for key in ("__len__", "__getitem__") if not callable(getattr(type(made), key, None))
    ]
    info = getattr(made, "info", None)
    if missing or not isinstance(info, Info):
        lacking = missing[0] if missing else "info (a cnnlab.data.sources.info.Info)"
        raise UserError(f"{what} has no {lacking}: a source has a length, examples and info")
    length = made.__len__()
    if not isinstance(length, int | np.integer) or length < 0:
        raise UserError(f"{what}: its length is {describe(length)}, not a number of examples")
    if length:
        _check_example(what, made, info)
    return made


def _check_example(what: str, made: Source, info: Info) -> None:
    try:
        example = made[0]
    except UNREADABLE:
        return
    if not isinstance(example, Mapping):
        raise UserError(f"{what}: an example is {describe(example)}; it has to be a dictionary")
    for key, (shape, dtype) in info.spec.items():
        if key not in example:
            raise UserError(f"examples of {what} have no '{key}', though its info.spec does")
        value = np.asarray(example[key])
        fits = len(shape) == value.ndim and all(
            wanted in (None, size) for wanted, size in zip(shape, value.shape, strict=True)
        )
        if not fits or not _is_like(value.dtype, np.dtype(dtype)):
            declared = f"{dtype}[{','.join('?' if n is None else str(n) for n in shape)}]"
            raise UserError(
                f"{what}: '{key}' of an example is {describe(value)}, in its info.spec {declared}"
            )


def _is_like(found: np.dtype, declared: np.dtype) -> bool:
    """Return whether numbers are of the declared kind: images of floats are scaled otherwise."""
    whole = [x.kind in "iub" for x in (found, declared)]
    return whole[0] == whole[1] and np.can_cast(found, declared, "same_kind")
