"""Random Gaussian blur, each image by its own amount.

Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
appendix A: a kernel of a tenth of the image's side, its standard deviation uniform in (0.1, 2.0),
for half of the images; Grill et al. 2020, "Bootstrap Your Own Latent", appendix B: 23 pixels of
224, for all images of one view and a tenth of those of the other.

The blur is a product with a banded matrix along each axis, of which each image has its own:
convolutions with a kernel an image are slow on CPUs.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cnnlab.data.argument_types import Interval, Limit, Number, Probability
from cnnlab.data.augment.batch_transform import Image, image_of

Fraction = Annotated[
    Number,
    Limit("a number above 0, up to 1", lambda v: isinstance(v, int | float) and 0 < v <= 1),
]


def gaussian_blur(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    /,
    *,
    sigma: Interval = (0.1, 2.0),
    kernel: Fraction = 0.1,
    probability: Probability = 0.5,
) -> dict[str, Any]:
    """Convolve each image, with `probability`, with a Gaussian of random width.

    The standard deviation in pixels is uniform in `sigma`. The kernel, whose weights sum to 1, has
    2 r + 1 pixels along an axis of n, r being `kernel` n / 2 rounded down, but 1 at least: 3 of 32
    pixels, 9 of 96, 23 of 224. Beyond its border the image is mirrored, without repeating the
    outermost pixels; SimCLR's own code has zeros there, which darkens the border.

    Args:
        sigma: smallest and largest standard deviation in pixels.
        kernel: side of the kernel as a share of the image's.
        probability: of each image to be blurred.
    """
    image = image_of(batch, "gaussian_blur")
    radii = [max(1, int(kernel * size / 2)) for size in image.shape[1:3]]

    def one(image: Image, key: Key[Array, ""]) -> Image:
        uniform = jax.random.uniform(key, (2,))
        width = sigma[0] + uniform[0] * (sigma[1] - sigma[0])
        rows, columns = map(partial(band, width), image.shape[:2], radii)
        # At full precision: accelerators would take the products in bfloat16 or less.
        blurred = jnp.einsum("ih,hwc->iwc", rows, image, precision="highest")
        blurred = jnp.einsum("jw,iwc->ijc", columns, blurred, precision="highest")
        return jnp.where(uniform[1] < probability, blurred.astype(image.dtype), image)

    return {**batch, "image": jax.vmap(one)(image, keys)}


def band(sigma: Float[Array, ""], size: int, radius: int) -> Float[Array, "n n"]:
    """Return the matrix that blurs an axis of `size` values; its rows sum to 1."""
    place = np.arange(size)
    mirrored = np.pad(place, radius, mode="reflect")
    # How often each pixel (third axis) lies at each distance (first) from each place (second).
    count = np.zeros((radius + 1, size, size), np.float32)
    for offset in range(-radius, radius + 1):
        count[abs(offset), place, mirrored[place + offset + radius]] += 1
    weights = jnp.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    weights /= 2 * weights.sum() - 1
    return jnp.einsum("k,kij->ij", weights, count, precision="highest")
