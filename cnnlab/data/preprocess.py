"""Resizing and cropping of single examples of any size, on the host, before they are batched.

An example is a dict whose "image" is a uint8 array (h, w, c), or whose "waveform" is an array (t,).
Each function takes the example and a `numpy.random.Generator`, which the deterministic ones ignore,
and returns a new dict. Boxes and masks move along where that is easy, and stop the run where it is
not.

`interpolation` is explained in `cnnlab.data.resampling`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from cnnlab.choices import defaults, pick
from cnnlab.data.augment.guards import refuse_targets
from cnnlab.data.augment.limits import (
    FractionInterval,
    Interval,
    PositiveWhole,
    check_arguments,
)
from cnnlab.data.augment.rectangles import TRIES, central_rectangle
from cnnlab.data.framing import center_window, random_crop, random_resize, random_window
from cnnlab.data.resampling import Interpolation, image_of, resample
from cnnlab.errors import UserError


def resize(
    example: Mapping[str, Any],
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 256,
    mode: Literal["shorter", "exact"] = "shorter",
    interpolation: Interpolation = "auto",
) -> dict[str, Any]:
    """Resize to a shorter side of `size`, keeping the aspect, or to exactly `size` x `size`.

    The longer side is rounded down, as in torchvision. `boxes` (n, 4) as y0, x0, y1, x1 in pixels
    are scaled along, `masks` (n, h, w) take the nearest pixel. Raises `UserError` for keypoints
    and flow.
    """
    image = image_of(example, "resize")
    refuse_targets(example, "resize", ("keypoints", "flow"))
    height, width = image.shape[:2]
    shorter = min(height, width) if mode == "shorter" else 0
    new = (size * height // shorter, size * width // shorter) if shorter else (size, size)
    result = {**example, "image": resample(image, new, interpolation)}
    if "boxes" in example:
        factor = np.array(new, np.float32) / np.array((height, width), np.float32)
        result["boxes"] = np.asarray(example["boxes"], np.float32) * np.tile(factor, 2)
    if "masks" in example:
        rows, columns = (
            (2 * np.arange(n) + 1) * old // (2 * n)
            for n, old in zip(new, (height, width), strict=True)
        )
        result["masks"] = np.asarray(example["masks"])[:, rows][:, :, columns]
    return result


def random_resized_crop(
    example: Mapping[str, Any],
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 224,
    scale: FractionInterval = (0.08, 1.0),
    ratio: Interval = (3 / 4, 4 / 3),
    interpolation: Interpolation = "auto",
) -> dict[str, Any]:
    """Resize a random part, a fraction `scale` of the area, of aspect `ratio`, to `size` x `size`.

    Szegedy et al. 2014, "Going Deeper with Convolutions", section 6. The area is uniform in
    `scale`, the aspect (width / height) log-uniform in `ratio`; after ten draws that do not fit it
    is the largest central part of that aspect. Raises `UserError` for boxes, masks and other
    targets with a place.
    """
    image = image_of(example, "random_resized_crop")
    refuse_targets(example, "random_resized_crop")
    top, left, height, width = _random_part(rng, image.shape[:2], scale, ratio)
    part = image[top : top + height, left : left + width]
    return {**example, "image": resample(part, (size, size), interpolation)}


def center_crop(
    example: Mapping[str, Any],
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 224,
) -> dict[str, Any]:
    """Cut the central `size` x `size` pixels out.

    Raises `UserError` for a smaller image, and for boxes, masks and other targets with a place.
    """
    image = image_of(example, "center_crop")
    refuse_targets(example, "center_crop")
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(
            f"center_crop.size = {size} is more than an image of {height} x {width} pixels has; "
            f"resize to {size} or more first, or make the crop smaller"
        )
    top, left = round((height - size) / 2), round((width - size) / 2)
    return {**example, "image": image[top : top + size, left : left + size]}


# In the order of application, whatever the order in a config.
PREPROCESS: dict[str, Callable[..., dict[str, Any]]] = {
    "resize": resize,
    "random_resize": random_resize,
    "random_resized_crop": random_resized_crop,
    "center_crop": center_crop,
    "random_crop": random_crop,
    "random_window": random_window,
    "center_window": center_window,
}
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
        if name in chosen:
            given = {**defaults(function), **chosen[name]}
            side = given["size"] if "size" in given else given["shorter"][1]
            sizes.append(side if name.endswith("window") else side**2)
    return max(sizes) + batch * sizes[-1] if sizes else 0


def is_random(chosen: Any) -> bool:
    """Return whether any of the `chosen` names draws from the generator."""
    return any(name in RANDOM for name in chosen)


def preprocess(
    example: Mapping[str, Any], rng: np.random.Generator | None, /, **chosen: Any
) -> dict[str, Any]:
    """Apply the `chosen` functions, each with its dict of arguments, in the order of `PREPROCESS`.

    `rng` may be None if nothing chosen is random. Example:
    `preprocess(example, rng, center_crop={"size": 224}, resize={"size": 256})` resizes, then crops.
    Raises `UserError`: see `check`.
    """
    check(chosen)
    result = dict(example)
    for name, function in PREPROCESS.items():
        if name in chosen:
            result = function(result, rng, **chosen[name])
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
