"""Overlapping patches of images, with random crops and dropped colors for each patch.

van den Oord, Li & Vinyals 2018 (contrastive predictive coding), section 3.2: patches of 64x64 every
32 pixels, 7x7 of them from 256x256; in training each is cropped at random to 60x60 and padded back.
Henaff et al. 2019, section 4.1: of each patch two of three color channels are dropped.

    images [b, h, w, c] -> patches [b, rows, cols, size, size, c], rows = (h - size) // stride + 1

A remainder at the right and at the bottom is in no patch. Deviation: the paper does not specify the
padding; here it is zeros, half on each side, which is gray for images of mean 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from cnnlab.errors import UserError

Patches = Float[Array, "b rows cols size size c"]


def cut_patches(images: Float[Array | np.ndarray, "b h w c"], size: int, stride: int) -> Patches:
    """Return the square patches of `size` pixels that start every `stride` pixels.

    Raises:
        UserError: for a size or stride below 1, and for images smaller than a patch.
    """
    height, width = images.shape[1:3]
    if size < 1 or stride < 1:
        raise UserError(f"patches: size={size}, stride={stride}: both need to be at least 1")
    if min(height, width) < size:
        raise UserError(f"patches of {size} pixels need images as large, not {height}x{width}")
    images = jnp.asarray(images)
    # Slices of slices: 2 n copies, where one gather of n x n patches is slower on CPU.
    bands = [images[:, top : top + size] for top in range(0, height - size + 1, stride)]
    strips = jnp.stack(bands, axis=1)
    columns = [strips[:, :, :, left : left + size] for left in range(0, width - size + 1, stride)]
    return jnp.stack(columns, axis=2)


def jitter_patches(patches: Patches, key: Key[Array, ""], crop: int) -> Patches:
    """Return patches cropped to `crop` pixels, each at a place of its own, padded back with zeros.

    Without it, edges and colors that continue over the border of overlapping patches identify
    patches of one image.

    Args:
        patches: square patches.
        key: of the places, uniform and independent for each axis.
        crop: pixels that are kept of each side.

    Raises:
        UserError: for a crop below 1 or larger than the patches.
    """
    *grid, size, _, channels = patches.shape
    if not 1 <= crop <= size:
        raise UserError(f"patches: crop={crop} of {size} pixels: needs to be from 1 to {size}")
    flat = patches.reshape(-1, size, size, channels)
    corners = jax.random.randint(key, (len(flat), 2), 0, size - crop + 1)

    def cropped(patch, corner):
        return lax.dynamic_slice(patch, (corner[0], corner[1], 0), (crop, crop, channels))

    low = (size - crop) // 2
    side = (low, size - crop - low)
    kept = jnp.pad(jax.vmap(cropped)(flat, corners), ((0, 0), side, side, (0, 0)))
    return kept.reshape(*grid, size, size, channels)


def drop_colors(patches: Patches, key: Key[Array, ""]) -> Patches:
    """Return patches with one channel, drawn for each of them, and zeros in the others.

    Color statistics of a lens or a sensor would identify patches of one image.

    Args:
        patches: square patches of mean 0.
        key: of the channels that stay.
    """
    channels = patches.shape[-1]
    kept = jax.random.randint(key, (*patches.shape[:3], 1, 1, 1), 0, channels)
    return jnp.where(jnp.arange(channels) == kept, patches, jnp.zeros((), patches.dtype))
