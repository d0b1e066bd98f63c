"""From bytes to standardized floats; the two steps that training and evaluation share."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.argument_types import Numbers, Positives
from cnnlab.data.augment.batch_transform import image_of
from cnnlab.errors import UserError


def to_float(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `batch` with uint8 images and clips as float32 x / 255, int16 sound as x / 32768.

    Floats pass unchanged. Raises `UserError` for images or sound of any other type.
    """
    if "waveform" in batch:
        sound = jnp.asarray(batch["waveform"])
        if sound.dtype == jnp.int16:
            batch = {**batch, "waveform": sound.astype(jnp.float32) / 32768}
        elif not jnp.issubdtype(sound.dtype, jnp.floating):
            raise UserError(f"sound of type {sound.dtype}: store int16, or float from -1 to 1")
    return {**batch, **{key: _pixels(batch[key]) for key in ("image", "video") if key in batch}}


def _pixels(image: Any) -> Any:
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UserError(
            f"images of type {image.dtype} have no known range; store uint8, or float from 0 to 1"
        )
    return image


def normalize(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"] | None = None,
    /,
    *,
    mean: Numbers = (0.485, 0.456, 0.406),
    std: Positives = (0.229, 0.224, 0.225),
) -> dict[str, Any]:
    """Return `batch` with images as (x - mean) / std; the default numbers are ImageNet's.

    `mean` and `std` have a number per channel, or one for all. Nothing is random: no keys needed.
    Raises `UserError` if their lengths do not fit the channels.

    Args:
        mean: of each channel, or one for all, of values from 0 to 1.
        std: standard deviation of each channel, or one for all.
    """
    image = image_of(batch, "normalize")
    channels = image.shape[-1]
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise UserError(
                f"normalize.{name} has {len(values)} numbers for images of {channels} channel(s); "
                "give one per channel, or one for all"
            )
    shift, scale = (jnp.asarray(tuple(values), image.dtype) for values in (mean, std))
    return {**batch, "image": (image - shift) / scale}
