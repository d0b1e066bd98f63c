"""`npz:/path/to/file.npz`: arrays, in one split or several.

    image, label                                               one split, called train
    train_image, train_label, test_image, test_label, ...      splits train, validation, test

Images are (n, h, w, c) or, grey, (n, h, w); uint8, or floats in [0, 1], which are scaled to uint8.
Labels are (n,), integers from 0. Further arrays with n rows ride along under their own names, and
`class_names` names the classes. `np.savez_compressed(file, image=x, label=y)` writes such a file.
"""

import zipfile
from pathlib import Path

import numpy as np

from cnnlab.data.info import Info
from cnnlab.data.splits import resolve
from cnnlab.errors import UserError

SPLITS = ("train", "validation", "test")
MAX_CHANNELS = 4


class NpzSource:
    """The rows of a file of arrays, held in memory."""

    def __init__(self, path: str, split: str):
        """Read and check the arrays of every split that `split` asks for.

        Raises:
            UserError: if the file cannot be read, or if an array is missing or of a kind that
                the module's docstring does not list.
        """
        name = f"npz:{path}"
        arrays = _read(name, Path(path).expanduser())
        class_names = arrays.pop("class_names", None)
        splits = _by_split(name, arrays)
        checked = {key: _check(f"{name} ({key})", rows) for key, rows in splits.items()}
        ranges = resolve(split, {k: [len(rows["label"])] for k, rows in checked.items()}, name=name)
        first = checked[ranges[0][0]]
        for key, _, _ in ranges:
            _check_alike(name, first, checked[key])
        self._rows = {
            key: np.concatenate([checked[part][key][start:stop] for part, start, stop in ranges])
            for key in first
        }
        count = 1 + max(int(rows["label"].max(initial=0)) for rows in checked.values())
        if class_names is None:
            class_names = np.arange(count)
        elif len(class_names) < count:
            raise UserError(
                f"{name}: there is a label {count - 1}, but only {len(class_names)} 'class_names'"
            )
        spec = {key: (rows.shape[1:], rows.dtype.name) for key, rows in self._rows.items()}
        self.info = Info(name, split, tuple(str(c) for c in class_names), spec)

    def __len__(self) -> int:
        return len(self._rows["label"])

    def labels(self) -> np.ndarray:
        """Return every label."""
        return self._rows["label"]

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: np.asarray(rows[index]) for key, rows in self._rows.items()}


def _read(name: str, path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"{name}: there is no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        why = "holds Python objects, not numbers" if "Object" in str(error) else str(error)
        raise UserError(f"{name} is no file that np.savez wrote, or is damaged: {why}") from error


def _by_split(name: str, arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    if "image" in arrays:
        return {"train": arrays}
    splits: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS:
        own = {
            k.removeprefix(f"{split}_"): v for k, v in arrays.items() if k.startswith(f"{split}_")
        }
        if own:
            splits[split] = own
    if not splits:
        raise UserError(
            f"{name} has arrays {sorted(arrays)}; wanted: image and label, or train_image, "
            "train_label, test_image, test_label"
        )
    return splits


def _check(name: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for key in ("image", "label"):
        if key not in arrays:
            raise UserError(f"{name}: there is no array '{key}' beside {sorted(arrays)}")
    label = arrays["label"]
    if label.ndim != 1 or label.dtype.kind not in "iu" or label.min(initial=0) < 0:
        raise UserError(
            f"{name}: labels must be integers from 0, of shape (n,), not {label.dtype} of shape "
            f"{label.shape}" + (" with negative ones" if label.ndim == 1 else "; see np.argmax")
        )
    for key, rows in arrays.items():
        if rows.shape[:1] != label.shape:
            raise UserError(
                f"{name}: '{key}' has shape {rows.shape}, but there are {len(label)} labels"
            )
    return {**arrays, "image": _to_uint8(name, arrays["image"]), "label": label.astype(np.int32)}


def _to_uint8(name: str, image: np.ndarray) -> np.ndarray:
    shape = image.shape
    if image.ndim == 3:
        image = image[..., None]
    if image.ndim != 4 or image.shape[-1] > MAX_CHANNELS:
        hint = "; for channels first, np.moveaxis(image, 1, -1)" if image.ndim == 4 else ""
        raise UserError(
            f"{name}: images have shape {shape}, wanted (n, h, w) or (n, h, w, c) with at most "
            f"{MAX_CHANNELS} channels{hint}"
        )
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == "f" and image.size and image.min() >= 0 and image.max() <= 1:
        return np.round(image * 255).astype(np.uint8)
    reach = f" from {image.min()} to {image.max()}" if image.size else ""
    raise UserError(f"{name}: images are {image.dtype}{reach}; wanted uint8, or floats from 0 to 1")


def _check_alike(name: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    if one.keys() != other.keys():
        raise UserError(f"{name}: splits differ in arrays: {sorted(one)} and {sorted(other)}")
    for key in one:
        if one[key].shape[1:] != other[key].shape[1:]:
            raise UserError(
                f"{name}: '{key}' differs between splits: rows of shape {one[key].shape[1:]} and "
                f"{other[key].shape[1:]}"
            )
