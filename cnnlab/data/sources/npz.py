"""`npz:/path/to/file.npz`: arrays, in one split or several.

    image, label                                               one split, called train
    train_image, train_label, test_image, test_label, ...      splits train, validation, test

Images are (n, h, w, c) or, grey, (n, h, w); uint8, or floats in [0, 1], which are scaled to uint8.
Labels are (n,), integers from 0; the first class may lack examples only where classes are named.
Further arrays with n rows ride along under their own names, and
`class_names` names the classes. `np.savez_compressed(file, image=x, label=y)` writes such a file.
"""

from pathlib import Path

import numpy as np

from cnnlab.data.sources.arrays import ArraysSource
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.console import LOG
from cnnlab.utils.files import expand
from cnnlab.utils.memory import memory

SPLITS = ("train", "validation", "test")
MAX_CHANNELS = 4
MAX_CLASSES = 2**20
# Bytes whose reading takes seconds.
LARGE = 10**9
NPY = b"\x93NUMPY"


class NpzSource(ArraysSource):
    """The rows of a file of arrays, held in memory."""

    def __init__(self, path: str, split: str):
        """Read and check the arrays of the file.

        Raises:
            UserError: if the file cannot be read, or if an array is missing or of a kind that
                the module's docstring does not list.
        """
        name = f"npz:{path}"
        place = Path(expand(path))
        arrays = _read(name, place)
        class_names = arrays.pop("class_names", None)
        splits = _by_split(name, arrays)
        checked = {key: _check(f"{name} ({key})", rows) for key, rows in splits.items()}
        super().__init__(
            name,
            split,
            lengths={key: len(rows["label"]) for key, rows in checked.items()},
            read=checked.__getitem__,
            class_names=_name_classes(name, class_names, [r["label"] for r in checked.values()]),
            place=place,
        )


def _read(name: str, path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise MissingData(f"{name}: there is no such file")
    try:
        with path.open("rb") as file:
            if file.read(len(NPY)) == NPY:
                raise UserError(
                    f"{name} holds one array, as np.save writes; wanted images and labels in one "
                    "file: np.savez_compressed(file, image=x, label=y)"
                )
        with np.load(path, allow_pickle=False) as file:
            _check_size(name, sum(member.file_size for member in file.zip.infolist()))
            return {key: file[key] for key in file.files}
    except (UserError, PermissionError):
        raise
    # A damaged archive raises what zipfile, zlib and the parser of headers do, MemoryError too.
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        if "Object" in why:
            why = "it holds Python objects, not numbers"
        elif "pickle" in why:
            why = "it is no archive of arrays"
        elif "ast." in why or "<" in why:
            why = "the header of an array is damaged"
        elif isinstance(error, NotImplementedError | RuntimeError):
            why = f"{why}: save it again with np.savez"
        raise UserError(f"{name} is no file that np.savez wrote, or is damaged: {why}") from error


def _check_size(name: str, size: int) -> None:
    """Announce arrays whose reading takes a while; refuse those that do not fit the memory."""
    if size > (there := memory()):
        raise UserError(
            f"{name}: its arrays take {size / 1e9:,.1f} GB, this machine has {there / 1e9:,.1f} GB "
            "of memory: save fewer examples, or images in a folder (folder:PATH)"
        )
    if size >= LARGE:
        LOG.warning("%s: reading %.1f GB of arrays into memory", name, size / 1e9)


def _name_classes(
    name: str, class_names: np.ndarray | None, labels: list[np.ndarray]
) -> tuple[str, ...]:
    """Return the names of the classes; by default the numbers of the labels."""
    present = np.concatenate(labels)
    lowest, count = int(present.min(initial=MAX_CLASSES)), 1 + int(present.max(initial=0))
    if class_names is None:
        if len(present) and lowest:
            raise UserError(
                f"{name}: labels begin at {lowest}, wanted 0: subtract {lowest}, or add "
                "'class_names' if the classes before it have no examples"
            )
        return tuple(map(str, range(count)))
    if class_names.ndim != 1 or class_names.dtype.kind not in "USiu":
        raise UserError(
            f"{name}: 'class_names' must be strings of shape (classes,), not {class_names.dtype} "
            f"of shape {class_names.shape}"
        )
    if len(class_names) < count:
        hint = "; labels count from 0: subtract 1" if lowest == 1 else ""
        raise UserError(
            f"{name}: there is a label {count - 1}, but only {len(class_names)} 'class_names'{hint}"
        )
    return tuple(
        c.decode(errors="backslashreplace") if isinstance(c, bytes) else str(c)
        for c in class_names.tolist()
    )


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
    wrong = _wrong_label(label)
    if wrong:
        raise UserError(f"{name}: labels must be integers from 0, of shape (n,), not {wrong}")
    for key, rows in arrays.items():
        if rows.shape[:1] != label.shape:
            raise UserError(
                f"{name}: '{key}' has shape {rows.shape}, but there are {len(label)} labels"
            )
    return {**arrays, "image": _to_uint8(name, arrays["image"]), "label": label.astype(np.int32)}


def _wrong_label(label: np.ndarray) -> str:
    """Return what is wrong with an array of labels, "" if nothing is."""
    hint = None
    if label.ndim != 1:
        hint = "; see np.squeeze" if label.shape[1:] == (1,) else "; see np.argmax"
    elif label.dtype.kind in "SU":
        hint = "; for names, class_names, label = np.unique(names, return_inverse=True)"
    elif label.dtype.kind not in "iu":
        hint = "; see label.astype(int)"
    elif label.min(initial=0) < 0:
        hint = " with negative ones"
    elif label.max(initial=0) >= MAX_CLASSES:
        hint = f" up to {label.max()}, more than {MAX_CLASSES:,} classes"
    return "" if hint is None else f"{label.dtype} of shape {label.shape}{hint}"


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
    if 0 in image.shape[1:]:
        raise UserError(f"{name}: images of shape {shape} have no pixels")
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == "f" and image.size and image.min() >= 0 and image.max() <= 1:
        return np.round(image * 255).astype(np.uint8)
    numbers = image.dtype.kind in "biuf" and image.size
    reach = f" from {image.min()} to {image.max()}" if numbers else ""
    raise UserError(f"{name}: images are {image.dtype}{reach}; wanted uint8, or floats from 0 to 1")
