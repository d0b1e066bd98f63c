"""Files in one folder per class, in splits and in an order that is the same on every machine.

    PATH/train/<class>/*        or, for one split called train,   PATH/<class>/*
    PATH/validation/<class>/*   (also val, valid, dev)
    PATH/test/<class>/*

Split folders may be spelled otherwise: Train, TRAINING, train_set, testing, ... Classes are the
sorted names of the folders in train. Deeper folders belong to their class; hidden files and those
of another kind are passed over. Links are followed, but no folder is read twice for a class, and a
link to another class or to a folder that holds the link is passed over. Files are put in the order
of a hash of `<class>/<file>`, so that a slice such as train[:80%] has all classes in it, where the
order of names would leave the last classes out.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand

# Spellings of the splits, in lower case and without an ending such as "_set".
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
ENDING = re.compile(r"((data)?set|data|images?|split)$")


class Kind(NamedTuple):
    """A kind of folder: what it is called in names of sets, and the files it holds.

    Attributes:
        prefix: before the colon.
        files: plural, for messages.
        extensions: of the files, in lower case, with the dot; the first is shown in messages.
    """

    prefix: str
    files: str
    extensions: tuple[str, ...]

    @property
    def layout(self) -> str:
        """How such a folder has to be laid out."""
        end = f"CLASS/*{self.extensions[0]}"
        return f"the layout is PATH/train/{end} and PATH/test/{end}, or PATH/{end}"


class File(NamedTuple):
    """A file: the folder of its split, its place in it (with `/`), and the number of its class.

    Attributes:
        keys: numbers that its name gives beside.
    """

    folder: Path
    place: str
    label: int
    keys: tuple[int, ...] = ()

    def numbers(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the label, and the keys by these names."""
        numbers = dict(zip(("label", *names), (self.label, *self.keys), strict=True))
        return {name: np.asarray(number, np.int32) for name, number in numbers.items()}


class FileSource:
    """Base of sources of one file an example."""

    _files: list[File]

    def __len__(self) -> int:
        return len(self._files)

    def labels(self) -> np.ndarray:
        """Return every label; no file is opened."""
        return np.array([file.label for file in self._files], np.int32)

    def files(self) -> list[str]:
        """Return every file as it lies in the folder of its split, as `<class>/<file>`."""
        return [file.place for file in self._files]

    def ids(self) -> np.ndarray:
        """Return the identity of every file; see `cnnlab.data.sources.identity`."""
        return file_ids((file.folder, file.place) for file in self._files)


def list_split(kind: Kind, path: str, split: str) -> tuple[tuple[str, ...], list[File]]:
    """Return the names of the classes, and the files that `split` selects; none is opened.

    Raises:
        UserError: if `path` does not hold at least two classes of files laid out as above, or if
            there is no such split.
    """
    root = Path(expand(path))
    name = f"{kind.prefix}:{path}"
    if not root.is_dir():
        raise MissingData(f"{name}: there is no such folder")
    folders = _find_splits(kind, root)
    class_names = _list_classes(kind, folders["train"])
    found = {key: _list_files(kind, folder, class_names) for key, folder in folders.items()}
    missing = set(range(len(class_names))) - {file.label for file in found["train"]}
    if missing:
        empty = folders["train"] / class_names[min(missing)]
        kinds = ", ".join(kind.extensions)
        raise UserError(f"{kind.prefix}:{empty} has no {kind.files} in it ({kinds})")
    ranges = resolve(split, {key: [len(files)] for key, files in found.items()}, name=name)
    # A name that is no UTF-8 could not be printed.
    shown = tuple(os.fsencode(name).decode(errors="backslashreplace") for name in class_names)
    return shown, [f for key, start, stop in ranges for f in found[key][start:stop]]


def entries(folder: Path) -> list[os.DirEntry]:
    """Return what is in a folder and not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be read: {error.strerror}; make it readable, or take it "
            "(or the link to it) out of the data set"
        ) from error


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in entries(folder) if is_folder(entry))


def _split_of(name: str) -> str | None:
    """Return the split that a folder of this name holds, None if it names none."""
    return SPLITS.get(ENDING.sub("", re.sub(r"[\W_]", "", name.lower())))


def _find_splits(kind: Kind, root: Path) -> dict[str, Path]:
    names, name = _subfolders(root), f"{kind.prefix}:{root}"
    if not names:
        raise UserError(f"{name} has no folders in it, one per class; {kind.layout}")
    # A class may be called 'train' (a vehicle, say), but then it has files in it, no folders.
    if not any(_split_of(n) == "train" and _subfolders(root / n) for n in names):
        if all(map(_split_of, names)):
            raise UserError(f"{name} needs a folder 'train' with one per class; {kind.layout}")
        _refuse_unknown_splits(kind, root, names)
        return {"train": root}
    folders: dict[str, Path] = {}
    for part in names:
        split = _split_of(part)
        if split in folders:
            raise UserError(f"{name} has both '{folders[split].name}' and '{part}': keep one")
        if split:
            folders[split] = root / part
    return dict(sorted(folders.items(), key=lambda item: list(SPLITS).index(item[0])))


def _refuse_unknown_splits(kind: Kind, root: Path, names: Sequence[str]) -> None:
    """Raise a `UserError` if the folders look like splits of the same classes."""
    inside = []
    for name in names:
        there = entries(root / name)
        folders = {entry.name for entry in there if is_folder(entry)}
        if any(e.name.lower().endswith(kind.extensions) for e in there if e.name not in folders):
            return
        inside.append(folders)
    largest = max(inside, key=len)
    if len(inside) > 1 and all(len(folders & largest) > 1 for folders in inside):
        shared = ", ".join(sorted(set.intersection(*inside) or largest)[:3])
        raise UserError(
            f"{kind.prefix}:{root}: the folders {', '.join(names)} hold folders of the same names "
            f"({shared}): if they are splits, call them train, validation and test; if they are "
            "classes, put them into a folder 'train'"
        )


def _list_classes(kind: Kind, folder: Path) -> list[str]:
    class_names = _subfolders(folder)
    if len(class_names) < 2:
        raise UserError(
            f"{kind.prefix}:{folder} has one class only, '{class_names[0]}': a classifier needs "
            f"two or more; {kind.layout}"
        )
    return class_names


def _list_files(kind: Kind, folder: Path, class_names: Sequence[str]) -> list[File]:
    unknown = sorted(set(_subfolders(folder)) - set(class_names))
    if unknown:
        raise UserError(f"{kind.prefix}:{folder} has a class '{unknown[0]}' that train has not")
    classes = {os.path.realpath(folder / name) for name in class_names}
    files = [
        File(folder, place, label)
        for label, name in enumerate(class_names)
        # A split need not have an example of every class.
        if (folder / name).is_dir()
        for place in _walk(folder, name, classes)
        if place.lower().endswith(kind.extensions)
    ]
    return [files[i] for i in in_order(files)]


def in_order(files: Sequence[File]) -> list[int]:
    """Return which file comes first, and so on: by a hash of the place."""
    return sorted(range(len(files)), key=lambda i: _hash(files[i].place))


def _walk(root: Path, name: str, others: set[str]) -> Iterator[str]:
    """Yield the place in `root` of every file of a class; no link is followed to `others`."""
    seen = set(others)
    waiting = [name]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(root / place)
        for entry in entries(root / place):
            inner = f"{place}/{entry.name}"
            if not is_folder(entry):
                yield inner
                continue
            target = os.path.realpath(entry.path)
            # A link to a folder that holds it has no end.
            if target not in seen and not Path(real).is_relative_to(target):
                seen.add(target)
                waiting.append(inner)


def _hash(place: str) -> bytes:
    return hashlib.blake2b(os.fsencode(place), digest_size=16).digest()
