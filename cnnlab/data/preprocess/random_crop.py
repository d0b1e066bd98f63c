"""Random scale and random place: how the papers from AlexNet to ResNet bring images to one size.

Krizhevsky et al. 2012, section 4.1, crop at random from images resized to 256 pixels; Simonyan &
Zisserman 2014, section 3.1, and He et al. 2015, section 3.4, draw that size anew each time ("scale
jitter"). They work on single examples on the host and are in the table of `transforms.py`.

So do windows of a waveform: van den Oord et al. 2018, "Representation Learning with Contrastive
Predictive Coding", section 3.1, learns from random ones of 20,480 samples, 1.28 s at 16 kHz.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Shaped

from cnnlab.data.argument_types import Limit, PositiveWhole
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.resampling import Image, Interpolation, Resized, resample
from cnnlab.errors import UserError
from cnnlab.geometry.affine import Matrix, scale_shift


def _whole_interval(value: Any) -> bool:
    listed = isinstance(value, list | tuple) and len(value) == 2
    return listed and all(type(v) is int for v in value) and 0 < value[0] <= value[1]


WholeInterval = Annotated[
    Sequence[int], Limit("two whole numbers (low, high) with 0 < low <= high", _whole_interval)
]


@geometric
def random_resize(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    shorter: WholeInterval = (256, 480),
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side drawn uniformly from the whole numbers of `shorter`, ends included.

    The aspect stays; the longer side is rounded down. (256, 480) is ResNet's range, (256, 512)
    VGG's.
    """
    size = int(rng.integers(shorter[0], shorter[1], endpoint=True))
    height, width = image.shape[:2]
    new = size * height // min(height, width), size * width // min(height, width)
    matrix = scale_shift((height / new[0], width / new[1]), (0, 0))
    return resample(image, new, interpolation), matrix


@geometric
def random_crop(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 224,
) -> tuple[Resized, Matrix]:
    """Cut `size` x `size` pixels out, all places alike.

    Raises `UserError` for a smaller image.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(
            f"random_crop.size = {size} is more than an image of {height} x {width} pixels has; "
            f"resize to {size} or more first, or make the crop smaller"
        )
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return image[top : top + size, left : left + size], scale_shift((1, 1), (top, left))


def random_window(
    example: Mapping[str, Any],
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 20_480,
    shorter: Literal["refuse", "pad"] = "refuse",
) -> dict[str, Any]:
    """Cut `size` successive samples out of "waveform", all places alike.

    A shorter one is refused with a `UserError`, or padded with zeros at its end. (Silence is easily
    told from sound, so many padded windows make contrastive learning easy.)
    """
    waveform = _long_enough(example, "random_window", size, shorter)
    start = rng.integers(len(waveform) - size + 1)
    return {**example, "waveform": waveform[start : start + size]}


def center_window(
    example: Mapping[str, Any],
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 20_480,
    shorter: Literal["refuse", "pad"] = "refuse",
) -> dict[str, Any]:
    """Cut the middle `size` samples out of "waveform"; for shorter ones see `random_window`."""
    waveform = _long_enough(example, "center_window", size, shorter)
    start = (len(waveform) - size) // 2
    return {**example, "waveform": waveform[start : start + size]}


def _long_enough(
    example: Mapping[str, Any], name: str, size: int, shorter: str
) -> Shaped[np.ndarray, "t"]:
    waveform = np.asarray(example["waveform"]) if "waveform" in example else np.zeros(())
    if waveform.ndim != 1:
        raise UserError(
            f"{name} needs a 'waveform' of shape (samples,); the example has: "
            + ", ".join(f"{key} {np.shape(value)}" for key, value in sorted(example.items()))
        )
    if len(waveform) >= size:
        return waveform
    if shorter == "refuse":
        raise UserError(
            f"{name}.size = {size} is more than a waveform of {len(waveform)} samples has; make "
            f"the window smaller, leave short files out, or pad them with {name}.shorter='pad'"
        )
    return np.pad(waveform, (0, size - len(waveform)))
