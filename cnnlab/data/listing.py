"""Files in one folder per class, in splits and in an order that is the same on every machine.

    PATH/train/<class>/*        or, for one split called train,   PATH/<class>/*
    PATH/validation/<class>/*   (also val, valid)
    PATH/test/<class>/*

Classes are the sorted names of the folders in train. Deeper folders belong to their class; hidden
files and those of another kind are passed over. Files are put in the order of a hash of
`<class>/<file>`, so that a slice such as train[:80%] has all classes in it, where the order of
names would leave the last classes out.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cnnlab.data.splits import resolve
from cnnlab.errors import UserError

SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


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
    """A file: the folder of its split, its place in it (with `/`), and the number of its class."""

    folder: Path
    place: str
    label: int


def list_split(kind: Kind, path: str, split: str) -> tuple[tuple[str, ...], list[File]]:
    """Return the names of the classes, and the files that `split` selects; none is opened.

    Raises:
        UserError: if `path` does not hold at least two classes of files laid out as above, or if
            there is no such split.
    """
    root = Path(path).expanduser()
    name = f"{kind.prefix}:{path}"
    if not root.is_dir():
        raise UserError(f"{name}: there is no such folder")
    folders = _find_splits(kind, root)
    class_names = _list_classes(kind, folders["train"])
    found = {key: _list_files(kind, folder, class_names) for key, folder in folders.items()}
    missing = set(range(len(class_names))) - {file.label for file in found["train"]}
    if missing:
        empty = folders["train"] / class_names[min(missing)]
        kinds = ", ".join(kind.extensions)
        raise UserError(f"{kind.prefix}:{empty} has no {kind.files} in it ({kinds})")
    ranges = resolve(split, {key: [len(files)] for key, files in found.items()}, name=name)
    return tuple(class_names), [f for key, start, stop in ranges for f in found[key][start:stop]]


def _subfolders(folder: Path) -> list[str]:
    names = (entry.name for entry in os.scandir(folder) if entry.is_dir())
    return sorted(name for name in names if not name.startswith("."))


def _find_splits(kind: Kind, root: Path) -> dict[str, Path]:
    names, name = _subfolders(root), f"{kind.prefix}:{root}"
    if not names:
        raise UserError(f"{name} has no folders in it, one per class; {kind.layout}")
    # A class may be called 'train' (a vehicle, say), but then it has files in it, no folders.
    if "train" not in names or not _subfolders(root / "train"):
        if set(names) <= set(SPLITS):
            raise UserError(f"{name} needs a folder 'train' with one per class; {kind.layout}")
        return {"train": root}
    folders: dict[str, Path] = {}
    for part in sorted(set(names) & set(SPLITS), key=list(SPLITS).index):
        if SPLITS[part] in folders:
            raise UserError(
                f"{name} has both '{folders[SPLITS[part]].name}' and '{part}': keep one"
            )
        folders[SPLITS[part]] = root / part
    return folders


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
    files: list[File] = []
    for label, class_name in enumerate(class_names):
        # Folders of links into a larger set are common, so links are followed.
        for parent, subfolders, names in os.walk(folder / class_name, followlinks=True):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            place = Path(parent).relative_to(folder)
            own = (n for n in names if n.lower().endswith(kind.extensions) and n[0] != ".")
            files += [File(folder, (place / n).as_posix(), label) for n in own]
    return sorted(files, key=lambda file: _hash(file.place))


def _hash(place: str) -> bytes:
    return hashlib.blake2b(os.fsencode(place), digest_size=16).digest()
