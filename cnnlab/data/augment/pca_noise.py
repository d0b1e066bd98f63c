"""PCA color noise: one random shift of the color of a whole image, along its natural axes.

Krizhevsky et al. 2012, section 4.1: the shift is sum_i a_i l_i p_i, with p_i and l_i eigenvectors
and eigenvalues of the covariance of RGB over the training set, and a_i drawn from a normal
distribution once for each image each time it is shown. It imitates the color and brightness of
the light. VGG (section 3.1) and ResNet (section 3.4) have it too.

The numbers below are ImageNet's for pixels from 0 to 1, as published with fb.resnet.torch
(Facebook 2016), from where most recipes have them; the paper prints none. The eigenvalues are
variances, so the shift, unlike the paper's formula seems to say, depends on the range of the
pixels: at `std` 0.1 it is 0.022 along the first axis, 5.5 of 255 levels.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from cnnlab.data.augment.argument_types import NonNegative
from cnnlab.data.augment.batch_checks import image_of
from cnnlab.errors import UserError

EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
# A column an eigenvector; a row a channel: red, green, blue.
EIGENVECTORS = np.array(
    [
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ],
    np.float32,
)


def pca_noise(
    batch: Mapping[str, Any], keys: Key[Array, " b"], /, *, std: NonNegative = 0.1
) -> dict[str, Any]:
    """Add one random color to all pixels of each image; `std` is that of the three a_i.

    Raises `UserError` for images that are not RGB.
    """
    image = image_of(batch, "pca_noise")
    if image.shape[-1] != 3:
        raise UserError(f"pca_noise needs RGB images; these have {image.shape[-1]} channel(s)")
    draws = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
    # A sum, not a matrix product, which accelerators would take in bfloat16.
    shift = std * (draws[:, None, :] * EIGENVALUES * EIGENVECTORS).sum(-1)
    return {**batch, "image": image + shift[:, None, None, :].astype(image.dtype)}
