"""Random changes of color: jitter, grayscale, solarization and PCA noise."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cnnlab.data.argument_types import Limit, NonNegative, Number, Probability
from cnnlab.data.augment.batch_transform import Image, check_color, image_of
from cnnlab.data.augment.image_ops import blend, gray, invert, shift_hue
from cnnlab.errors import UserError

HalfTurn = Annotated[
    Number,
    Limit("a number from 0 to 0.5", lambda v: isinstance(v, int | float) and 0 <= v <= 0.5),
]


def color_jitter(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    /,
    *,
    brightness: NonNegative = 0.4,
    contrast: NonNegative = 0.4,
    saturation: NonNegative = 0.4,
    hue: HalfTurn = 0.0,
    probability: Probability = 1.0,
) -> dict[str, Any]:
    """Change brightness, contrast, saturation and hue by random amounts, in random order.

    The factor of brightness b is uniform from max(0, 1 - b) to 1 + b, so for contrast and
    saturation; the rotation of the hue circle is uniform in ±`hue`; 0 leaves a quality out. From
    Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", section 2, where b is 0.5 and there is no hue; 0.4 is what later ImageNet
    recipes have. Each image is changed with `probability` at all: 0.8 in Chen et al. 2020, "A
    Simple Framework for Contrastive Learning of Visual Representations", appendix A, where the
    first three qualities are 0.8 s and the hue is 0.2 s, s being 1 for ImageNet and 0.5 for
    CIFAR-10; 0.8 too in Grill et al. 2020, "Bootstrap Your Own Latent", appendix B, with 0.4, 0.4,
    0.2 and 0.1. Gray images have no saturation and hue to change, so those do nothing there.
    Raises `UserError` for images of 2, 4 or more channels.

    Args:
        brightness, contrast, saturation: b of a factor from max(0, 1 - b) to 1 + b; 0: none.
        hue: largest rotation of the hue circle, either way; 0: none.
        probability: of each image to be changed.
    """
    image = image_of(batch, "color_jitter")
    check_color(image, "color_jitter")
    colored = image.shape[-1] == 3
    strengths = jnp.array([brightness, contrast, saturation, hue])
    active = [
        number
        for number, strength in enumerate((brightness, contrast, saturation, hue))
        if strength and (colored or number < 2)
    ]

    def one(original: Image, key: Key[Array, ""]) -> Image:
        image = original
        uniform = jax.random.uniform(key, (8,))
        low = jnp.maximum(1 - strengths, 0)
        factors = low + uniform[:4] * (1 + strengths - low)
        turn = (2 * uniform[3] - 1) * hue
        # Three of the four blend the image with something: each place in the order chooses that
        # something, and blends once.
        order = jnp.array(active)[jnp.argsort(uniform[4 : 4 + len(active)])]
        for number in order:
            luma = gray(image)
            without = jnp.where(number == 0, 0, jnp.where(number == 1, luma.mean(), luma))
            changed = blend(without, image, factors[number])
            if hue and colored:
                changed = jnp.where(number == 3, shift_hue(image, turn), changed)
            image = changed
        if probability == 1:
            return image
        # From a key of its own, so that it changes nothing for the images that are jittered.
        chosen = jax.random.bernoulli(jax.random.fold_in(key, 1), float(probability))
        return jnp.where(chosen, image, original)

    return {**batch, "image": jax.vmap(one)(image, keys) if active else image}


def grayscale(
    batch: Mapping[str, Any], keys: Key[Array, " b"], /, *, probability: Probability = 0.2
) -> dict[str, Any]:
    """Put the luma in all three channels, of each image with `probability`.

    Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
    appendix A. Gray images stay as they are. Raises `UserError` for images of 2, 4 or more
    channels.

    Args:
        probability: of each image to become gray.
    """
    image = image_of(batch, "grayscale")
    check_color(image, "grayscale")
    chosen = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    luma = jax.vmap(gray)(image)
    return {**batch, "image": jnp.where(chosen[:, None, None, None], luma, image)}


def solarize(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    /,
    *,
    threshold: Probability = 0.5,
    probability: Probability = 0.2,
) -> dict[str, Any]:
    """Replace values x >= `threshold` by 1 - x, in each image with `probability`.

    Grill et al. 2020, "Bootstrap Your Own Latent", appendix B, where the probability is 0 for one
    view and 0.2 for the other. The operation of the same name in `rand_augment` rounds to 8 bits
    first, this does not.

    Args:
        threshold: values from here on are inverted.
        probability: of each image to be changed.
    """
    image = image_of(batch, "solarize")
    chosen = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    return {**batch, "image": invert(image, chosen[:, None, None, None] & (image >= threshold))}


# Eigenvectors and eigenvalues of the covariance of ImageNet's pixels from 0 to 1, as published with
# fb.resnet.torch (Facebook 2016), from where most recipes have them; the paper prints none.
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
# One eigenvector a column; the rows are red, green and blue.
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
    """Add one random color to all pixels of each image, along the principal axes of RGB.

    Krizhevsky et al. 2012, section 4.1: the shift is sum_i a_i l_i p_i, with p_i and l_i the
    eigenvectors and eigenvalues of the covariance of RGB over the training set, and a_i drawn from
    a normal distribution of standard deviation `std`, once for each image each time it is shown. It
    imitates the color and brightness of the light. VGG (section 3.1) and ResNet (section 3.4) have
    it too. The eigenvalues are variances, so that the shift depends on the range of the pixels: at
    `std` 0.1 it is 0.022 along the first axis, 5.5 of 255 levels.

    Raises `UserError` for images that are not RGB.

    Args:
        std: standard deviation of the factor of each axis.
    """
    image = image_of(batch, "pca_noise")
    if image.shape[-1] != 3:
        raise UserError(f"pca_noise needs RGB images; these have {image.shape[-1]} channel(s)")
    draws = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
    # A sum, not a matrix product, which accelerators would take in bfloat16.
    shift = std * (draws[:, None, :] * EIGENVALUES * EIGENVECTORS).sum(-1)
    return {**batch, "image": image + shift[:, None, None, :].astype(image.dtype)}
