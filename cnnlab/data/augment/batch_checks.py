"""What every batch transform asks of its batch before it touches it."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Real

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
