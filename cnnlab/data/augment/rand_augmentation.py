"""RandAugment: a few operations, drawn uniformly, all of one magnitude.

Cubuk, Zoph, Shlens & Le 2019, "RandAugment: Practical automated data augmentation with a reduced
search space", section 3. Its 14 operations and their strength at magnitude m, with t = m / 10, in
the ranges of AutoAugment (Cubuk et al. 2018, Table 6); ± is a random sign:

    identity, autocontrast, equalize    have none
    rotate                              ± 30 t degrees, about the center
    shear-x, shear-y                    ± 0.3 t pixels a pixel, the first row or column staying
    translate-x, translate-y            ± 150/331 t of the width or height
    color, contrast, brightness,        factor 1 ± 0.9 t, at least 0.1
      sharpness
    solarize                            threshold 256 (1 - t)
    posterize                           8 - 4 t bits, rounded, at least 1

Deviations: geometry is bilinear, where the reference code takes the nearest pixel. The reference
code has no sign for the enhancements (factor 0.1 + 1.8 t, so that magnitude 5 does nothing)
and its solarize and posterize grow weaker with m; here all grow stronger, and t = 1 has the
strongest of the ranges.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from cnnlab.data.argument_types import Limit, NonNegative, Number, Probability, WholeNumber
from cnnlab.data.augment import image_ops
from cnnlab.data.augment.affine import backward_matrix, warp
from cnnlab.data.augment.batch_transform import Image, Scalar, check_color, geometric
from cnnlab.geometry.affine import from_center

MAX_MAGNITUDE = 30  # just above the 28 that the paper has for EfficientNet-B7
Magnitude = Annotated[
    Number,
    Limit(
        f"a number from 0 to {MAX_MAGNITUDE}",
        lambda v: isinstance(v, int | float) and 0 <= v <= MAX_MAGNITUDE,
    ),
]


def _factor(strength: Scalar, sign: Scalar) -> Float[Array, ""]:
    return jnp.maximum(1 + 0.9 * strength * sign, 0.1)


def _bits(strength: Scalar) -> Int[Array, ""]:
    return jnp.clip(jnp.round(8 - 4 * jnp.asarray(strength)), 1, 8).astype(jnp.int32)


def _solarize(image: Image, threshold: Scalar) -> Image:
    """Invert the values whose 8-bit level is `threshold` (0 to 256) or higher."""
    return image_ops.invert(image, image_ops.to_levels(image) >= threshold)


# (image, t, sign) -> image.
PIXEL_OPERATIONS: dict[str, Callable] = {
    "identity": lambda image, t, sign: image,
    "autocontrast": lambda image, t, sign: image_ops.autocontrast(image),
    "equalize": lambda image, t, sign: image_ops.equalize(image),
    "solarize": lambda image, t, sign: _solarize(image, 256 * (1 - t)),
    "posterize": lambda image, t, sign: image_ops.posterize(image, _bits(t)),
    "color": lambda image, t, sign: image_ops.saturation(image, _factor(t, sign)),
    "contrast": lambda image, t, sign: image_ops.contrast(image, _factor(t, sign)),
    "brightness": lambda image, t, sign: image_ops.brightness(image, _factor(t, sign)),
    "sharpness": lambda image, t, sign: image_ops.sharpness(image, _factor(t, sign)),
}


def _shear(amount: Scalar, axis: int, length: int) -> Float[Array, "2 3"]:
    """Sample at x + `amount` y (or y + `amount` x), y from the top edge of its `length` pixels."""
    matrix = jnp.eye(2, 3).at[axis, 1 - axis].set(amount)
    return matrix.at[axis, 2].set(amount * length / 2)


# Where to sample, given t times the sign, height and width; see `affine.backward_matrix`.
PLACE_OPERATIONS: dict[str, Callable] = {
    "rotate": lambda t, h, w: backward_matrix(degrees=30 * t),
    "shear-x": lambda t, h, w: _shear(0.3 * t, 1, h),
    "shear-y": lambda t, h, w: _shear(0.3 * t, 0, w),
    "translate-x": lambda t, h, w: backward_matrix(right=150 / 331 * t * w),
    "translate-y": lambda t, h, w: backward_matrix(down=150 / 331 * t * h),
}
OPERATIONS = (*PIXEL_OPERATIONS, *PLACE_OPERATIONS)


def operate(
    image: Image,
    index: Int[Array, ""] | int,
    strength: Scalar,
    sign: Scalar,
    *,
    fill: Number = 0.5,
) -> Image:
    """Apply the `index`-th of `OPERATIONS` at t = `strength` with `sign` (1 or -1).

    Under `vmap` every image undergoes them all and keeps one; so the five that move pixels are a
    choice of matrix and one sampling.
    """
    first = len(PIXEL_OPERATIONS)
    moved = warp(image, _place_matrix(index, strength * sign, image), fill=fill)
    images = [change(image, strength, sign) for change in PIXEL_OPERATIONS.values()]
    return jax.lax.select_n(jnp.minimum(jnp.int32(index), first), *images, moved)


def _place_matrix(index: Int[Array, ""] | int, amount: Scalar, image: Image) -> Float[Array, "2 3"]:
    """Return where the `index`-th of `OPERATIONS` samples; of pixel operations, anywhere."""
    matrices = [place(amount, *image.shape[:2]) for place in PLACE_OPERATIONS.values()]
    return jnp.stack(matrices)[jnp.maximum(index - len(PIXEL_OPERATIONS), 0)]


@geometric
def rand_augment(
    image: Float[Array, "b h w c"],
    keys: Key[Array, " b"],
    /,
    *,
    layers: WholeNumber = 2,
    magnitude: Magnitude = 9,
    magnitude_std: NonNegative = 0.0,
    fill: Probability = 0.5,
) -> tuple[Array, ...]:
    """Apply `layers` random operations of `magnitude` to each image; see the module's table.

    With `magnitude_std` each operation's magnitude is drawn from a normal distribution, clipped to
    0 to 30. What comes in from beyond the border is `fill`, the reference's gray. On gray images
    "color" does nothing. Raises `UserError` for images of 2, 4 or more channels.

    Args:
        layers: operations an image.
        magnitude: of every operation, 0 to 30.
        magnitude_std: standard deviation of each operation's magnitude.
        fill: value beyond the border.
    """
    check_color(image, "rand_augment")

    def one(image: Image, key: Key[Array, ""]) -> tuple[Array, ...]:
        vary, draw = jax.random.split(key)
        uniform = jax.random.uniform(draw, (layers, 2))
        indices = jnp.floor(uniform[:, 0] * len(OPERATIONS)).astype(jnp.int32)
        signs = jnp.where(uniform[:, 1] < 0.5, -1, 1)
        level = jnp.full((layers,), magnitude, jnp.float32)
        if magnitude_std:
            level = level + magnitude_std * jax.random.normal(vary, (layers,))
        strengths = jnp.clip(level, 0, MAX_MAGNITUDE) / 10
        matrices = []
        for layer in range(layers):
            matrix = _place_matrix(indices[layer], strengths[layer] * signs[layer], image)
            moved = from_center(matrix, image.shape[:2])
            matrices.append(jnp.where(indices[layer] < len(PIXEL_OPERATIONS), jnp.eye(2, 3), moved))
            image = operate(image, indices[layer], strengths[layer], signs[layer], fill=fill)
        return image, *matrices

    return jax.vmap(one)(image, keys)
