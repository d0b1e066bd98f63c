"""The table of transforms of single examples on the host, and their application in its order.

An example is a dict whose "image" is a uint8 array (h, w, c), or whose "waveform" is an array (t,).
Each function takes the example and a `numpy.random.Generator`, which the deterministic ones ignore,
and returns a new dict. Targets with a place move along with the image (see
`cnnlab.data.spatial_targets`); `pad_image` gives all images one size, and `pad_objects` gives all
examples one number of objects.

`interpolation` is explained in `cnnlab.data.preprocess.resampling`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnlab.data.argument_types import check_arguments
from cnnlab.data.preprocess.crop import center_crop, random_crop, random_resized_crop
from cnnlab.data.preprocess.pad_image import pad_image, start
from cnnlab.data.preprocess.pad_objects import pad_objects
from cnnlab.data.preprocess.resize import random_resize, resize
from cnnlab.data.preprocess.window import center_window, random_window
from cnnlab.data.spatial_targets import BY_NAME, Targets
from cnnlab.utils.registry import defaults, pick

# In the order of application, whatever the order in a config.
PREPROCESS: dict[str, Callable[..., dict[str, Any]]] = {
    "resize": resize,
    "random_resize": random_resize,
    "random_resized_crop": random_resized_crop,
    "center_crop": center_crop,
    "random_crop": random_crop,
    "random_window": random_window,
    "center_window": center_window,
    "pad_image": pad_image,
    "pad_objects": pad_objects,
}
GEOMETRIC = (
    *("resize", "random_resize", "random_resized_crop", "center_crop", "random_crop"),
    "pad_image",
)
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
            area = math.prod(side) if isinstance(side, list | tuple) else side**2
            sizes += [n for n in [side if name.endswith("window") else area] if n]
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
    result = start(example) if "pad_image" in chosen else dict(example)
    for name, function in PREPROCESS.items():
        if name in chosen:
            placed = (targets,) if name in (*GEOMETRIC, "pad_objects") else ()
            result = function(result, rng, *placed, **chosen[name])
    return result
