"""Checks of a batch's images, and the decorator that moves targets along with them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from cnnlab.data.spatial_targets import BY_NAME, DROPPED, VALID, Movement, Targets, find, move
from cnnlab.errors import UserError

Image = Float[Array, "h w c"]
Scalar = Real[Array, ""] | float | int


def image_of(batch: Mapping[str, Any], name: str) -> Float[Array, "b h w c"]:
    """Return `batch["image"]`; a `UserError` in the name of `name` unless it is an NHWC float."""
    if "image" not in batch:
        raise UserError(f"{name} needs batch['image']; the batch has: {', '.join(sorted(batch))}")
    image = jnp.asarray(batch["image"])
    if image.ndim != 4 or not jnp.issubdtype(image.dtype, jnp.floating):
        raise UserError(
            f"{name} needs float images of shape (batch, height, width, channels), not "
            f"{image.dtype} {tuple(image.shape)}; call to_float on the batch first"
        )
    return image


def check_color(image: Float[Array, "*b h w c"], name: str) -> None:
    """Raise a `UserError` unless the images are gray (1 channel) or RGB (3 channels)."""
    if image.shape[-1] not in (1, 3):
        raise UserError(
            f"{name} knows gray and RGB images, 1 or 3 channels; these have {image.shape[-1]}"
        )


def geometric(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Decorate a function of images as a transform `(batch, keys, targets) -> batch`.

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
