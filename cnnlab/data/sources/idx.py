"""`idx:/folder`: images and labels in the format of MNIST, in splits train and test.

    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte

With `.gz` or not, `train-images.idx3-ubyte` too; they may lie in `/folder/MNIST/raw`, where
torchvision puts them. Fashion-MNIST and KMNIST come in the same files. The format (LeCun's page
"The MNIST database"): two zeros, the type of the numbers (8: unsigned bytes, the only one read
here), the number of axes, the length of each as a big-endian int32, the numbers.

    image  uint8 (h, w, 1); of idx4 files (h, w, c)
    label  int32; classes are called by their number
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cnnlab.data.sources.arrays import ArraysSource
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand
from cnnlab.utils.memory import memory

NAME = re.compile(r"(train|t10k|test)[-_.](images|labels)[-_.]idx\d[-_.]ubyte(\.gz)?", re.ASCII)
UNSIGNED_BYTE = 8
AXES = {"images": (3, 4), "labels": (1,)}
GZIP = b"\x1f\x8b"
# No byte of gzip holds more.
MAX_RATIO = 1032
PUBLISHED = (
    "MNIST is published on the page 'The MNIST database of handwritten digits' of LeCun, Cortes "
    "and Burges: put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz into the folder"
)


class IdxSource(ArraysSource):
    """The images of a folder of idx files, held in memory."""

    def __init__(self, path: str, split: str):
        """Read the labels, and the images that `split` asks for.

        Raises:
            UserError: there are no such files, one is damaged or no idx file of bytes, or images
                and labels differ in number.
        """
        name = f"idx:{path}"
        files = _find(name, Path(expand(path)))
        labels = {key: _read(name, parts["labels"], "labels") for key, parts in files.items()}

        def read(key: str) -> dict[str, np.ndarray]:
            parts = files[key]
            images = _read(name, parts["images"], "images", len(labels[key]))
            images = images if images.ndim == 4 else images[..., None]
            return {"image": images, "label": labels[key].astype(np.int32)}

        count = 1 + max(int(values.max(initial=0)) for values in labels.values())
        super().__init__(
            name,
            split,
            lengths={key: len(values) for key, values in labels.items()},
            read=read,
            class_names=tuple(map(str, range(count))),
            place=next(iter(files.values()))["images"].parent,
        )


def _find(name: str, root: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each split: images and labels."""
    if not root.is_dir():
        raise MissingData(f"{name}: there is no such folder; {PUBLISHED}")
    files: dict[str, dict[str, Path]] = {}
    folder = next((f for f in (root, root / "MNIST/raw", root / "raw") if _named(f)), root)
    for match, file in _named(folder):
        split = "train" if match[1] == "train" else "test"
        # Where a file lies there as .gz too, the first is the one without.
        files.setdefault(split, {}).setdefault(match[2], file)
    if not files:
        raise UserError(f"{name} has no idx files such as train-images-idx3-ubyte.gz; {PUBLISHED}")
    for parts in files.values():
        for what, other in (("images", "labels"), ("labels", "images")):
            if what not in parts:
                raise UserError(f"{name} has no {what} beside {parts[other].name}; {PUBLISHED}")
    return dict(sorted(files.items(), reverse=True))


def _named(folder: Path) -> list[tuple[re.Match[str], Path]]:
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return []
    return [(m, file) for file in files if (m := NAME.fullmatch(file.name)) and file.is_file()]


def _read(name: str, path: Path, what: str, count: int | None = None) -> np.ndarray:
    try:
        return read_idx(path, AXES[what], count)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{name}: {path.name} is damaged: {why}; get it again") from error
    except ValueError as error:
        raise UserError(f"{name}: {path.name} {error}") from error


def read_idx(
    path: Path, axes: tuple[int, ...], labels: int | None = None
) -> UInt8[np.ndarray, "..."]:
    """Return the array of an idx file of unsigned bytes, gzipped or not.

    Args:
        path: of the file.
        axes: how many there may be.
        labels: how many items there have to be, if known.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read, or is a damaged gzip file.
        ValueError: saying why, if it is no such file.
    """
    size = path.stat().st_size
    with path.open("rb") as plain:
        zipped = plain.read(2) == GZIP
    with gzip.open(path) if zipped else path.open("rb") as file:
        magic = file.read(4)
        known = magic[:3] == bytes((0, 0, UNSIGNED_BYTE)) and len(magic) == 4
        if not known or magic[3] not in axes:
            wanted = " or ".join(str(256 * UNSIGNED_BYTE + n) for n in axes)
            found = f"magic number {int.from_bytes(magic, 'big')}" if len(magic) == 4 else "no head"
            raise ValueError(f"has {found}, wanted {wanted}: it is no such idx file, get it again")
        head = file.read(4 * magic[3])
        if len(head) < 4 * magic[3]:
            raise ValueError("is cut short within its head: get it again")
        shape = struct.unpack(f">{magic[3]}I", head)
        count = math.prod(shape)
        if count > (room := memory()):
            raise ValueError(f"has {count / 1e9:,.1f} GB, this machine {room / 1e9:,.1f} GB memory")
        if labels not in (None, shape[0]):
            raise ValueError(
                f"has {shape[0]:,} images, but there are {labels:,} labels: get both again"
            )
        # Not believed before it is read: to ask for that much is to reserve it.
        data = file.read(min(count, size * MAX_RATIO) + 1)
    if len(data) != count:
        more = "at least " if len(data) > count else ""
        raise ValueError(
            f"has {more}{len(data):,} bytes after its head, whose shape {shape} makes {count:,}: "
            "get it again"
        )
    if 0 in shape[1:]:
        raise ValueError(f"has images of shape {shape[1:]}, without pixels")
    return np.frombuffer(data, np.uint8).reshape(shape)
