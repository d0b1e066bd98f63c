"""Resizing and cropping of single examples of any size, on the host, before they are batched.

An example is a dict whose "image" is a uint8 array (h, w, c), or whose "waveform" is an array (t,).
Each function takes the example and a `numpy.random.Generator`, which the deterministic ones ignore,
and returns a new dict. Targets with a place move along with the image (see
`cnnlab.data.spatial_targets`); `pad_objects` gives all examples the same number of objects.

`interpolation` is explained in `cnnlab.data.preprocess.resampling`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from cnnlab.data.argument_types import FractionInterval, Interval, PositiveWhole, check_arguments
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.pad_objects import pad_objects
from cnnlab.data.preprocess.random_crop import (
    center_window,
    random_crop,
    random_resize,
    random_window,
)
from cnnlab.data.preprocess.resampling import Image, Interpolation, Resized, resample
from cnnlab.data.spatial_targets import BY_NAME, Targets
from cnnlab.errors import UserError
from cnnlab.geometry.affine import Matrix, scale_shift
from cnnlab.geometry.rectangles import TRIES, central_rectangle
from cnnlab.utils.registry import defaults, pick


@geometric
def resize(
    image: Image,
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 256,
    mode: Literal["shorter", "exact"] = "shorter",
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side of `size`, keeping the aspect, or to exactly `size` x `size`.

    The longer side is rounded down, as in torchvision.
    """
    height, width = image.shape[:2]
    shorter = min(height, width) if mode == "shorter" else 0
    new = (size * height // shorter, size * width // shorter) if shorter else (size, size)
    matrix = scale_shift((height / new[0], width / new[1]), (0, 0))
    return resample(image, new, interpolation), matrix


@geometric
def random_resized_crop(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 224,
    scale: FractionInterval = (0.08, 1.0),
    ratio: Interval = (3 / 4, 4 / 3),
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize a random part, a fraction `scale` of the area, of aspect `ratio`, to `size` x `size`.

    Szegedy et al. 2014, "Going Deeper with Convolutions", section 6. The area is uniform in
    `scale`, the aspect (width / height) log-uniform in `ratio`; after ten draws that do not fit it
    is the largest central part of that aspect.
    """
    top, left, height, width = _random_part(rng, image.shape[:2], scale, ratio)
    part = image[top : top + height, left : left + width]
    matrix = scale_shift((height / size, width / size), (top, left))
    return resample(part, (size, size), interpolation), matrix


@geometric
def center_crop(
    image: Image,
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 224,
) -> tuple[Resized, Matrix]:
    """Cut the central `size` x `size` pixels out.

    Raises `UserError` for a smaller image.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(
            f"center_crop.size = {size} is more than an image of {height} x {width} pixels has; "
            f"resize to {size} or more first, or make the crop smaller"
        )
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[top : top + size, left : left + size], scale_shift((1, 1), (top, left))


# In the order of application, whatever the order in a config.
PREPROCESS: dict[str, Callable[..., dict[str, Any]]] = {
    "resize": resize,
    "random_resize": random_resize,
    "random_resized_crop": random_resized_crop,
    "center_crop": center_crop,
    "random_crop": random_crop,
    "random_window": random_window,
    "center_window": center_window,
    "pad_objects": pad_objects,
}
GEOMETRIC = ("resize", "random_resize", "random_resized_crop", "center_crop", "random_crop")
RANDOM = ("random_resize", "random_resized_crop", "random_crop", "random_window")


def check(chosen: Any) -> None:
    """Raise a `UserError` for the first unknown name, argument or value in `chosen`.

    `chosen` maps names of `PREPROCESS` to dicts of their arguments (ConfigDicts too).
    """
    for name in chosen:
        check_arguments(pick(PREPROCESS, name, "preprocessing"), chosen[name], f"preprocess.{name}")


def size_in_bytes(chosen: Any, batch: int) -> int:
    """Return about how much the largest image, and a batch of the last ones, take of one color."""
    sizes = []
    for name, function in PREPROCESS.items():
        if name in chosen and name != "pad_objects":
            given = {**defaults(function), **chosen[name]}
            side = given["size"] if "size" in given else given["shorter"][1]
            sizes.append(side if name.endswith("window") else side**2)
    return max(sizes) + batch * sizes[-1] if sizes else 0


def is_random(chosen: Any) -> bool:
    """Return whether any of the `chosen` names draws from the generator."""
    return any(name in RANDOM for name in chosen)


def preprocess(
    example: Mapping[str, Any],
    rng: np.random.Generator | None,
    targets: Targets = BY_NAME,
    /,
    **chosen: Any,
) -> dict[str, Any]:
    """Apply the `chosen` functions, each with its dict of arguments, in the order of `PREPROCESS`.

    `rng` may be None if nothing chosen is random. `targets` says which keys have a place in the
    image. Example:
    `preprocess(example, rng, center_crop={"size": 224}, resize={"size": 256})` resizes, then crops.
    Raises `UserError`: see `check`.
    """
    check(chosen)
    result = dict(example)
    for name, function in PREPROCESS.items():
        if name in chosen:
            placed = (targets,) if name in (*GEOMETRIC, "pad_objects") else ()
            result = function(result, rng, *placed, **chosen[name])
    return result


def _random_part(
    rng: np.random.Generator,
    size: tuple[int, ...],
    scale: Any,
    ratio: Any,
) -> tuple[int, ...]:
    """Draw (top, left, height, width); see `random_resized_crop`."""
    height, width = size
    for _ in range(TRIES):
        area = rng.uniform(*scale) * height * width
        aspect = np.exp(rng.uniform(*np.log(ratio)))
        rows, columns = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
        if 1 <= rows <= height and 1 <= columns <= width:
            top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
            return int(top), int(left), rows, columns
    return central_rectangle((height, width), ratio)
