"""Color jitter: random brightness, contrast, saturation and hue, in random order."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.argument_types import Limit, NonNegative, Number, Probability
from cnnlab.data.augment.batch_checks import Image, check_color, image_of
from cnnlab.data.augment.image_ops import blend, gray, shift_hue

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
    """Change the colors of each image by random amounts, each drawn anew, in an order drawn anew.

    The factor of brightness b is uniform from max(0, 1 - b) to 1 + b, so for contrast and
    saturation; the turn of the hue circle is uniform in ±`hue`; 0 leaves a quality out. From
    Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", section 2, where b is 0.5 and there is no hue; 0.4 is what later ImageNet
    recipes have. Each image is changed with `probability` at all: 0.8 in Chen et al. 2020, "A
    Simple Framework for Contrastive Learning of Visual Representations", appendix A, where the
    first three qualities are 0.8 s and the hue is 0.2 s, s being 1 for ImageNet and 0.5 for
    CIFAR-10; 0.8 too in Grill et al. 2020, "Bootstrap Your Own Latent", appendix B, with 0.4, 0.4,
    0.2 and 0.1. Gray images have no saturation and hue to change, so those do nothing there.
    Raises `UserError` for images of 2, 4 or more channels.
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
