"""What sources of boxes and label maps check alike: files, sizes of images, and boxes in them."""

import functools
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from cnnlab.data.preprocess.decode import CorruptImage, size_of

LOG = logging.getLogger(__name__)
# Headers of so many images are read when a set is opened.
MOST_HEADERS = 1000


class Declared(NamedTuple):
    """A file, and the height and width that it has by the words of `by`."""

    path: Path
    size: tuple[int, int]
    by: str


class Clipped(NamedTuple):
    """Boxes of an image, clipped to it.

    Attributes:
        boxes: those that have a pixel in the image.
        kept: which of the given ones these are.
        beyond: how many of the given ones end more than a pixel outside.
        tiny: how many end within two pixels of the corner, as shares of the image do.
    """

    boxes: Float32[np.ndarray, "k 4"]
    kept: Bool[np.ndarray, "n"]
    beyond: int
    tiny: int


def clip(boxes: Float[np.ndarray, "n 4"], size: tuple[int, int]) -> Clipped:
    """Clip boxes to an image of height and width `size`."""
    inside = boxes.clip(0, [*size, *size])
    kept = np.asarray((inside[:, 2:] > inside[:, :2]).all(1))
    beyond = (boxes[:, 2:] > np.array(size) + 1).any(1).sum()
    tiny = (boxes[:, 2:] <= 2).all(1).sum()
    return Clipped(inside[kept].astype(np.float32), kept, int(beyond), int(tiny))


def warn(place: str | Path, images: Iterable[Clipped], left_out: Sequence[str], form: str) -> None:
    """Warn of boxes without a pixel in their image, and where most look as if of another format.

    Args:
        place: file or set.
        images: of it.
        left_out: the boxes that were, each with its place.
        form: of its boxes.
    """
    if left_out:
        LOG.warning(
            "%s: %d object(s) without a pixel in their image are left out, the first: %s",
            *(place, len(left_out), left_out[0]),
        )
    found = [(len(image.kept), image.beyond, image.tiny) for image in images]
    total, beyond, tiny = np.sum(found or [(0, 0, 0)], axis=0).tolist()
    if beyond > total / 2:
        LOG.warning(
            "%s: %d of %d boxes end outside of their image: %s, these may be of another format",
            *(place, beyond, total, form),
        )
    if tiny > total / 2:
        LOG.warning(
            "%s: %d of %d boxes lie in the corner of their image: %s, these may be shares of it",
            *(place, tiny, total, form),
        )


def check_size(image: Shaped[np.ndarray, "h w ..."], declared: Declared, index: int) -> None:
    """Raise `CorruptImage` for an image of another height and width than declared."""
    _compare(image.shape[:2], declared, index)


def check_declared(files: Sequence[Declared], exif: bool = True) -> None:
    """Raise `CorruptImage` for an image that is missing, or of another size by its head.

    All are looked for; heads are read of at most `MOST_HEADERS`, evenly spread. `exif` as `decode`.
    """
    check_there([file.path for file in files])
    for index in spread(len(files)):
        check_header(files[index], index, exif)


def check_header(declared: Declared, index: int, exif: bool = True) -> None:
    """Raise `CorruptImage` for a file whose head has another height and width than declared."""
    _compare(size_of(declared.path, index, exif=exif), declared, index)


def check_there(files: Sequence[Path]) -> None:
    """Raise `CorruptImage` for the first file that is missing; folders are listed once."""

    @functools.cache
    def names(folder: Path) -> frozenset[str]:
        return frozenset(x.name for x in folder.iterdir()) if folder.is_dir() else frozenset()

    for index, file in enumerate(files):
        if file.name not in names(file.parent):
            raise CorruptImage(str(file), index, "there is no such file")


def spread(count: int) -> list[int]:
    """Return at most `MOST_HEADERS` places of so many, evenly."""
    return np.linspace(0, count - 1, min(count, MOST_HEADERS)).astype(int).tolist()


def _compare(found: Sequence[int], declared: Declared, index: int) -> None:
    if tuple(found) != declared.size:
        has, wanted = (" x ".join(map(str, sides)) for sides in (found, declared.size))
        reason = f"{has} pixels, and {declared.by} {wanted}"
        if tuple(found) == declared.size[::-1]:
            reason += " (if EXIF rotates it: data.exif is apply or ignore)"
        raise CorruptImage(str(declared.path), int(index), reason)
