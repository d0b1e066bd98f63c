"""`cifar:/folder`: CIFAR-10 or CIFAR-100 as published, in splits train and test.

    cifar-10-batches-bin   data_batch_1.bin ... data_batch_5.bin, test_batch.bin, batches.meta.txt
    cifar-10-batches-py    data_batch_1 ... data_batch_5, test_batch, batches.meta
    cifar-100-binary       train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt
    cifar-100-python       train, test, meta

The folder is one of these, or holds one. The binary files (Krizhevsky's page "The CIFAR-10 and
CIFAR-100 datasets") have 3,073 bytes an image, the label and a red, a green and a blue plane of
32x32, or 3,074 with the coarse label before the fine one. The Python files are pickles; nothing in
them is run.

    image         uint8 (32, 32, 3)
    label         int32, of CIFAR-100 the fine one
    coarse_label  int32, CIFAR-100 only
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.data.sources.arrays import ArraysSource
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.array_pickle import read_arrays
from cnnlab.utils.files import expand, read_file

PIXELS = (3, 32, 32)
BYTES = 3 * 32 * 32


class Layout(NamedTuple):
    """One of the published forms.

    Attributes:
        folder: its name, as published.
        splits: files of each split.
        names: file of the class names.
        keys: of the labels of an image, in the order of the binary files.
        stored: names of the labels, then of the class names, in pickles; () in binary files.
    """

    folder: str
    splits: dict[str, tuple[str, ...]]
    names: str
    keys: tuple[str, ...] = ("label",)
    stored: tuple[str, ...] = ()


def _ten(end: str) -> dict[str, tuple[str, ...]]:
    batches = tuple(f"data_batch_{i}{end}" for i in range(1, 6))
    return {"train": batches, "test": (f"test_batch{end}",)}


def _hundred(end: str) -> dict[str, tuple[str, ...]]:
    return {"train": (f"train{end}",), "test": (f"test{end}",)}


BOTH = ("coarse_label", "label")
LAYOUTS = (
    Layout("cifar-10-batches-bin", _ten(".bin"), "batches.meta.txt"),
    Layout("cifar-10-batches-py", _ten(""), "batches.meta", stored=("labels", "label_names")),
    Layout("cifar-100-binary", _hundred(".bin"), "fine_label_names.txt", BOTH),
    Layout(
        *("cifar-100-python", _hundred(""), "meta", BOTH),
        ("coarse_labels", "fine_labels", "fine_label_names"),
    ),
)
PUBLISHED = (
    "CIFAR-10 and CIFAR-100 are published on Alex Krizhevsky's page 'The CIFAR-10 and CIFAR-100 "
    "datasets': unpack the binary or the Python version there, so that it holds "
    + " or ".join(layout.folder for layout in LAYOUTS)
)


class CifarSource(ArraysSource):
    """The images of CIFAR-10 or CIFAR-100, held in memory."""

    def __init__(self, path: str, split: str):
        """Read the batches of the splits.

        Raises:
            UserError: there are none, one is missing, damaged or asks for code, or a label has no
                class.
        """
        name = f"cifar:{path}"
        folder, layout = _find(name, Path(expand(path)))
        class_names = _class_names(folder, layout)
        splits = {
            key: _split([folder / file for file in files], layout, len(class_names))
            for key, files in layout.splits.items()
        }
        super().__init__(
            name,
            split,
            lengths={key: len(rows["label"]) for key, rows in splits.items()},
            read=splits.__getitem__,
            class_names=class_names,
            place=folder,
        )


def _find(name: str, root: Path) -> tuple[Path, Layout]:
    """Return the folder of the batches, and its layout."""
    if not root.is_dir():
        raise MissingData(f"{name}: there is no such folder; {PUBLISHED}")
    found = [
        (folder, layout)
        for layout in LAYOUTS
        for folder in (root, root / layout.folder)
        if any((folder / file).is_file() for files in layout.splits.values() for file in files)
    ]
    if not found:
        raise UserError(f"{name} has no batches of CIFAR; {PUBLISHED}")
    if len({layout.keys for _, layout in found}) > 1:
        places = " or ".join(f"cifar:{folder}" for folder, _ in found)
        raise UserError(f"{name} has CIFAR-10 and CIFAR-100: name one, {places}")
    folder, layout = found[0]
    for file in (layout.names, *(file for files in layout.splits.values() for file in files)):
        if not (folder / file).is_file():
            raise UserError(f"{name} has no {file} in {folder}: unpack the archive again")
    return folder, layout


def _class_names(folder: Path, layout: Layout) -> tuple[str, ...]:
    path = folder / layout.names
    if layout.stored:
        names = read_arrays(path).get(layout.stored[-1])
    else:
        lines = _read(path).decode("utf-8-sig", errors="backslashreplace").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{path} has no names of classes in it: unpack the archive again")
    return tuple(names)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _split(paths: Sequence[Path], layout: Layout, classes: int) -> dict[str, np.ndarray]:
    """Return the images and labels of a split's files."""
    batches = [_from_pickle(p, layout) if layout.stored else _from_bytes(p, layout) for p in paths]
    for path, (images, labels) in zip(paths, batches, strict=True):
        if len(images) != len(batches[0][0]):
            raise UserError(
                f"{path} has {len(images):,} images, {paths[0].name} {len(batches[0][0]):,}: one "
                "is cut short, unpack the archive again"
            )
        highest = labels[-1].max(initial=0)
        if highest >= classes:
            raise UserError(
                f"{path} has a label {highest}, but there are {classes} classes: it is no batch of "
                f"{layout.folder}, unpack the archive again"
            )
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches], axis=1)
    image = np.ascontiguousarray(images.reshape(-1, *PIXELS).transpose(0, 2, 3, 1))
    return {"image": image, **dict(zip(layout.keys, labels.astype(np.int32), strict=True))}


def _from_bytes(path: Path, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    data, count = _read(path), len(layout.keys)
    if not data or len(data) % (count + BYTES):
        raise UserError(
            f"{path} has {len(data):,} bytes, no whole number of images of {count + BYTES:,} "
            "bytes: it is cut short or no batch, unpack the archive again"
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, count + BYTES)
    return rows[:, count:], rows[:, :count].T


def _from_pickle(path: Path, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    content = read_arrays(path)
    images = content.get("data")
    labels = [content.get(key) for key in layout.stored[:-1]]
    if not (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.shape[1:] == (BYTES,)
        and all(_is_label(numbers, len(images)) for numbers in labels)
    ):
        raise UserError(
            f"{path} is no batch of {layout.folder}: wanted 'data', bytes of shape (n, {BYTES}), "
            f"and {' and '.join(map(repr, layout.stored[:-1]))}, lists of n integers"
        )
    return images, np.array(labels)


def _is_label(numbers: object, count: int) -> bool:
    if not isinstance(numbers, list) or len(numbers) != count or not count:
        return False
    return all(type(number) is int and 0 <= number < 2**31 for number in numbers)
