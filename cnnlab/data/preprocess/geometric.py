"""The decorator of geometric transforms on the host: targets move with the image."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnlab.data.preprocess.resampling import pictures_of, split_pictures
from cnnlab.data.spatial_targets import BY_NAME, VALID, Movement, Targets, drop_rows, find, move


def geometric(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return the transform `(example, rng, targets) -> example` that a function describes.

    `function(image, rng, **arguments)` returns the new image and the 2 x 3 matrix that maps its
    points to points of the old one. The frames of a clip, `video`, are further channels of `image`.
    """

    @functools.wraps(function)
    def transform(
        example: Mapping[str, Any],
        rng: np.random.Generator | None = None,
        targets: Targets = BY_NAME,
        /,
        **arguments: Any,
    ) -> dict[str, Any]:
        name = function.__name__
        image = pictures_of(example, name)
        kinds = find(example, targets, name)
        new, matrix = function(image, rng, **arguments)
        own = {key: np.asarray(value) for key, value in example.items()} if kinds else {}
        moved = {**example, **split_pictures(new, example)}
        if kinds:
            moved |= move(own, kinds, Movement(matrix, new.shape[:2]), targets)
        return drop_rows(moved, kinds) if VALID in moved and VALID not in example else moved

    return transform
