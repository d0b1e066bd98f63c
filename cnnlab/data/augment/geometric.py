"""What makes a geometric transform of a batch: new images, and the matrices that move the rest."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from cnnlab.data.augment.batch_checks import image_of
from cnnlab.data.spatial_targets import BY_NAME, DROPPED, VALID, Movement, Targets, find, move


def geometric(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return the transform `(batch, keys, targets) -> batch` that a function of images describes.

    `function(images [b, h, w, c], keys [b], **arguments)` returns the new images and one or more
    arrays [b, 2, 3]: maps from points of the new images to points of the old, one after another as
    the images undergo them. What comes in from outside between two of them is not known to either.
    """

    @functools.wraps(function)
    def transform(
        batch: Mapping[str, Any], keys: Any, targets: Targets = BY_NAME, /, **arguments: Any
    ) -> dict[str, Any]:
        name = function.__name__
        image = image_of(batch, name)
        kinds = find(batch, targets, name, batched=True)
        moved, *matrices = function(image, keys, **arguments)
        size = moved.shape[1:3]

        def step(example: dict[str, Any], matrix: Any) -> dict[str, Any]:
            return move(example, kinds, Movement(matrix, size), targets)

        result = {**batch, "image": moved}
        for matrix in matrices if kinds else ():
            own = {key: result[key] for key in (*kinds, VALID, DROPPED) if key in result}
            result |= jax.vmap(step)(own, matrix)
        return result

    return transform
