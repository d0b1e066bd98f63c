"""PyTorch's .pth files as numpy arrays, without PyTorch and without running what they say.

A .pth file is a pickle that refers to raw arrays beside it. Since PyTorch 1.6 both lie in a zip
archive, `<folder>/data.pkl` and `<folder>/data/<key>`; before, they followed each other: a magic
number, a version, facts on the machine, the pickle, a list of keys, and for each key a count and
the bytes. Many published weights still have the older form.

A pickle can call any function by name. These reach only what `KNOWN` names: ordered dicts, and
stand-ins for PyTorch's tensors and storages that call nothing. Of any other name, as trainers save
beside the weights (their arguments, a scheduler, hyper-parameters), nothing is imported or kept: a
`Foreign` takes its place. A file without any tensor is refused with the first such name.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from cnnlab.errors import UserError
from cnnlab.utils.array_pickle import check_memo
from cnnlab.utils.console import LOG

MAGIC = 0x1950A86A20F9469CFC6C
# How a pickle of the older form begins: protocol 2, then the magic number.
LEGACY_START = pickle.dumps(MAGIC, protocol=2)[:-1]
ZIP_START = b"PK\x03\x04"

DTYPES: dict[str, np.dtype] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


# Stand-ins are tuples, strings and objects without attributes, so that a pickle cannot change them.
class Storage(NamedTuple):
    """A run of numbers that tensors are views of: `length` of them from `start` on under `key`."""

    kind: str
    key: str
    length: int
    start: int = 0

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return DTYPES[self.kind]


class Tensor(NamedTuple):
    """A view of a storage that is not read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def view(self, data: bytes) -> np.ndarray:
        """Return the array, given the bytes under the storage's key."""
        storage = self.storage
        numbers = [storage.length, storage.start, self.offset, *self.shape, *self.stride]
        if not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"a tensor of shape {self.shape} and stride {self.stride}")
        values = np.frombuffer(data, storage.dtype, storage.length, self._bytes(storage.start))
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, storage.dtype)
        last = sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if self.offset + last >= storage.length or math.prod(self.shape) > storage.length:
            raise ValueError(f"a tensor of shape {self.shape} leaves its {storage.length} numbers")
        return np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, [self._bytes(s) for s in self.stride]
        )

    def _bytes(self, count: int) -> int:
        return count * self.storage.dtype.itemsize


class Foreign:
    """Stands for a class or function of another program, and for what it makes: inert.

    It takes whatever a pickle does with an object, being called, filled or given a state, and
    keeps nothing of it.
    """

    __slots__ = ()

    def __new__(cls, *_: Any, **__: Any) -> "Foreign":  # noqa: D102
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> "Foreign":  # noqa: D102
        return self

    def _ignore(*_: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = _ignore


class _MakeTensor:
    __slots__ = ()

    def __call__(self, storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> Any:
        if isinstance(storage, Foreign):
            return storage
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without a storage")
        return Tensor(storage, offset, tuple(shape), tuple(stride))


class _MakeParameter:
    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        return data


class _MakeTyped:
    __slots__ = ()

    def __call__(self, maker: Any, _: Any, arguments: Any, *__: Any) -> Any:
        known = isinstance(maker, _MakeTensor | _MakeParameter)
        return maker(*arguments) if known else Foreign()


KNOWN = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": _MakeTensor(),
    "torch._utils._rebuild_tensor_v2": _MakeTensor(),
    "torch._utils._rebuild_parameter": _MakeParameter(),
    "torch._utils._rebuild_parameter_with_state": _MakeParameter(),
    # Tensors with attributes, or of a subclass.
    "torch._tensor._rebuild_from_type_v2": _MakeTyped(),
    "torch.nn.parameter.Parameter": _MakeParameter(),
    **{f"torch.{kind}": kind for kind in DTYPES},
}


class Weights(pickle.Unpickler):
    """An unpickler that makes nothing but plain values, dicts and the stand-ins above.

    Attributes:
        dtypes: of the numbers under each key that was referred to.
        foreign: names that a `Foreign` stands for, in the order of the file.
    """

    def __init__(self, file: Any) -> None:
        check_memo(file)
        super().__init__(file)
        self.dtypes: dict[str, np.dtype] = {}
        self.foreign: dict[str, None] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class or function; nothing is imported."""
        if f"{module}.{name}" in KNOWN:
            return KNOWN[f"{module}.{name}"]
        self.foreign[f"{module}.{name}"] = None
        return Foreign

    def persistent_load(self, pid: Any) -> Storage | Foreign:
        """Return the storage that a pickle refers to."""
        what, kind, *rest = pid
        # Numbers of an unknown type; or, in the older form, a class with its source.
        if kind is Foreign:
            return Foreign()
        key, _, count, *view = rest
        if what != "storage" or kind not in DTYPES:
            raise ValueError(f"a reference to a '{what}'")
        self.dtypes[str(key)] = DTYPES[kind]
        if view and view[0]:
            _, start, count = view[0]
            return Storage(kind, str(key), count, start)
        return Storage(kind, str(key), count)

    def load_plain(self) -> Any:
        """Return a pickle's content, which must be without foreign names."""
        content = self.load()
        if self.foreign:
            raise _refusal(self.foreign)
        return content


def _refusal(foreign: Iterable[str]) -> UserError:
    return UserError(
        f"holds {', '.join(list(foreign)[:3])}, and only weights are read: nothing in a "
        "checkpoint is run. Where it comes from, save the state dict: "
        "torch.save(model.state_dict(), path)"
    )


def read(path: Path) -> Any:
    """Return what a .pth file holds, its tensors as numpy arrays.

    Raises:
        UserError: a damaged file, or one that holds more than weights, with what to do.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == ZIP_START
            file.seek(0)
            return _read_zip(file) if zipped else _read_legacy(file)
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    except Exception as error:
        # A damaged pickle raises nearly anything.
        raise UserError(
            f"{path} is damaged or cut short, or no checkpoint of PyTorch: get it again "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
        if not pickles:
            raise UserError("is a zip archive without data.pkl: not a checkpoint of PyTorch")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in names:
            raise UserError("is a TorchScript program, not weights: save its state_dict()")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise UserError("was written on a big-endian machine, which is not supported")
        pickled = Weights(io.BytesIO(archive.read(pickles[0])))
        content = pickled.load()
        data: dict[str, bytes] = {}

        def values(storage: Storage) -> bytes:
            if storage.key not in data:
                member = archive.getinfo(f"{folder}data/{storage.key}")
                # Compressed, a small file could unfold to any size.
                if member.file_size > (storage.length + 1) * storage.dtype.itemsize:
                    raise ValueError(f"{member.file_size} bytes for {storage.length} numbers")
                data[storage.key] = archive.read(member)
            return data[storage.key]

        return _filled(content, values, pickled.foreign)


def _read_legacy(file: BinaryIO) -> Any:
    if Weights(file).load_plain() != MAGIC:
        raise UserError("is a pickle, but not a checkpoint of PyTorch")
    # The version of the format, and facts on the machine.
    Weights(file).load_plain()
    if not Weights(file).load_plain().get("little_endian", True):
        raise UserError("was written on a big-endian machine, which is not supported")
    pickled = Weights(file)
    content = pickled.load()
    data = {}
    for key in map(str, Weights(file).load_plain()):
        (count,) = struct.unpack("<q", file.read(8))
        data[key] = file.read(count * pickled.dtypes[key].itemsize)
    return _filled(content, lambda storage: data[storage.key], pickled.foreign)


def _filled(content: Any, values: Callable[[Storage], bytes], foreign: Iterable[str]) -> Any:
    """Return `content` with every `Tensor` in it read, but an optimizer's, which go by number."""
    read = 0
    # A pickle can refer to one object many times over.
    done: dict[int, Any] = {}

    def fill(part: Any) -> Any:
        nonlocal read
        if isinstance(part, Tensor):
            read += 1
            return part.view(values(part.storage))
        if id(part) in done:
            return done[id(part)]
        if isinstance(part, dict):
            filled: Any = {k: fill(v) if isinstance(k, str) else None for k, v in part.items()}
        elif isinstance(part, list | tuple):
            filled = [fill(value) for value in part]
        else:
            return part
        done[id(part)] = filled
        return filled

    filled = fill(content)
    if foreign and not read:
        raise _refusal(foreign)
    if foreign:
        LOG.info("the file holds %s too, which are not read", ", ".join(list(foreign)[:3]))
    return filled
