"""`folder:/path`: images in one folder per class.

    /path/train/<class>/*.jpg        or, for one split called train,   /path/<class>/*.jpg
    /path/validation/<class>/*.jpg   (also val, valid)
    /path/test/<class>/*.jpg

Classes are the sorted names of the folders in train. Deeper folders belong to their class; hidden
files and files that are no images are passed over. Files are put in the order of a hash of
`<class>/<file>`: it is the same on every machine, and a slice such as train[:80%] has all classes
in it, where the order of names would leave the last classes out.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from cnnlab.data.decode import EXTENSIONS, decode
from cnnlab.data.info import Info
from cnnlab.data.splits import resolve
from cnnlab.errors import UserError

SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
LAYOUT = "the layout is PATH/train/CLASS/*.jpg and PATH/test/CLASS/*.jpg, or PATH/CLASS/*.jpg"


class FolderSource:
    """RGB images of any size with the label of their folder."""

    def __init__(self, path: str, split: str):
        """List the files that `split` selects; none is opened yet.

        Raises:
            UserError: if `path` does not hold at least two classes of images laid out as above.
        """
        root = Path(path).expanduser()
        if not root.is_dir():
            raise UserError(f"folder:{path}: there is no such folder")
        folders = _find_splits(root)
        class_names = _list_classes(folders["train"])
        found = {key: _list_files(folder, class_names) for key, folder in folders.items()}
        missing = set(range(len(class_names))) - {label for _, label in found["train"]}
        if missing:
            empty = folders["train"] / class_names[min(missing)]
            raise UserError(f"folder:{empty} has no images in it ({', '.join(EXTENSIONS)})")
        name = f"folder:{path}"
        ranges = resolve(split, {key: [len(files)] for key, files in found.items()}, name=name)
        self._files = [
            (folders[key], *entry)
            for key, start, stop in ranges
            for entry in found[key][start:stop]
        ]
        self.info = Info(
            name,
            split,
            tuple(class_names),
            {"image": ((None, None, 3), "uint8"), "label": ((), "int32")},
        )

    def __len__(self) -> int:
        return len(self._files)

    def labels(self) -> np.ndarray:
        """Return every label; no image is opened."""
        return np.array([label for _, _, label in self._files], np.int32)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        folder, file, label = self._files[index]
        image = decode(folder / file, index=int(index))
        return {"image": image, "label": np.asarray(label, np.int32)}


def _subfolders(folder: Path) -> list[str]:
    names = (entry.name for entry in os.scandir(folder) if entry.is_dir())
    return sorted(name for name in names if not name.startswith("."))


def _find_splits(root: Path) -> dict[str, Path]:
    names = _subfolders(root)
    if not names:
        raise UserError(f"folder:{root} has no folders in it, one per class; {LAYOUT}")
    # A class may be called 'train' (a vehicle, say), but then it has images in it, no folders.
    if "train" not in names or not _subfolders(root / "train"):
        if set(names) <= set(SPLITS):
            raise UserError(f"folder:{root} needs a folder 'train' with one per class; {LAYOUT}")
        return {"train": root}
    folders: dict[str, Path] = {}
    for name in sorted(set(names) & set(SPLITS), key=list(SPLITS).index):
        if SPLITS[name] in folders:
            raise UserError(
                f"folder:{root} has both '{folders[SPLITS[name]].name}' and '{name}': keep one"
            )
        folders[SPLITS[name]] = root / name
    return folders


def _list_classes(folder: Path) -> list[str]:
    class_names = _subfolders(folder)
    if len(class_names) < 2:
        raise UserError(
            f"folder:{folder} has one class only, '{class_names[0]}': a classifier needs two or "
            f"more; {LAYOUT}"
        )
    return class_names


def _list_files(folder: Path, class_names: list[str]) -> list[tuple[str, int]]:
    unknown = sorted(set(_subfolders(folder)) - set(class_names))
    if unknown:
        raise UserError(f"folder:{folder} has a class '{unknown[0]}' that train has not")
    files: list[tuple[str, int]] = []
    for label, class_name in enumerate(class_names):
        # Folders of links into a larger set are common, so links are followed.
        for parent, subfolders, names in os.walk(folder / class_name, followlinks=True):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            place = Path(parent).relative_to(folder)
            images = (n for n in names if n.lower().endswith(EXTENSIONS) and n[0] != ".")
            files += [((place / n).as_posix(), label) for n in images]
    return sorted(files, key=lambda entry: _hash(entry[0]))


def _hash(file: str) -> bytes:
    return hashlib.blake2b(os.fsencode(file), digest_size=16).digest()
