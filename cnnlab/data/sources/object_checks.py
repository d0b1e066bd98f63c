"""What sources of boxes check alike: the size of an image, and boxes without a pixel in it."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cnnlab.data.preprocess.decode import CorruptImage

LOG = logging.getLogger(__name__)


def check_size(
    image: UInt8[np.ndarray, "h w c"], size: tuple[int, int], path: Path, index: int, by: str
) -> None:
    """Raise `CorruptImage` for an image of another height and width than `by` says."""
    if image.shape[:2] != size:
        found, said = (" x ".join(map(str, sides)) for sides in (image.shape[:2], size))
        raise CorruptImage(str(path), int(index), f"{found} pixels, and {said} in {by}")


def warn_left_out(place: str | Path, objects: Sequence[str]) -> None:
    """Warn of objects, each named with its box, that have no pixel in their image."""
    if objects:
        LOG.warning(
            "%s: %d object(s) without a pixel in their image are left out, the first: %s",
            *(place, len(objects), objects[0]),
        )
