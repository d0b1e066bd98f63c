"""Augmentation of batches: pure functions of (batch, keys), run on the device in the jitted step.

A batch is a dict whose "image" is (b, h, w, c), float from 0 to 1 (`to_float`); `keys` has one key
an example. What an example undergoes depends on its own key alone, not on how the batch is sharded
(mixup and cutmix apart: see `mixing`). No transform changes the dict it is given.
"""

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import jax
import numpy as np
from jaxtyping import Array, Key

from cnnlab.data.argument_types import check_arguments
from cnnlab.data.augment.affine import affine
from cnnlab.data.augment.color import color_jitter, grayscale, pca_noise, solarize
from cnnlab.data.augment.crop import pad_crop, random_resized_crop
from cnnlab.data.augment.erasing import random_erasing
from cnnlab.data.augment.flip import flip, quarter_turn
from cnnlab.data.augment.gaussian_blur import gaussian_blur
from cnnlab.data.augment.mixing import cutmix, mixup
from cnnlab.data.augment.rand_augmentation import rand_augment
from cnnlab.data.augment.standardize import normalize, to_float
from cnnlab.data.spatial_targets import BY_NAME, Targets
from cnnlab.errors import UserError
from cnnlab.utils.registry import pick

__all__ = ["AUGMENT", "augment", "check", "deterministic", "to_float"]

# In the order of application, whatever the order in a config.
AUGMENT: dict[str, Callable[..., dict[str, Any]]] = {
    "random_resized_crop": random_resized_crop,
    "pad_crop": pad_crop,
    "flip": flip,
    "quarter_turn": quarter_turn,
    "affine": affine,
    "rand_augment": rand_augment,
    "color_jitter": color_jitter,
    "grayscale": grayscale,
    "gaussian_blur": gaussian_blur,
    "solarize": solarize,
    "pca_noise": pca_noise,
    "normalize": normalize,
    "random_erasing": random_erasing,
    "mixup": mixup,
    "cutmix": cutmix,
}
DETERMINISTIC = ("normalize",)
MIXING = ("mixup", "cutmix")
GEOMETRIC = ("random_resized_crop", "pad_crop", "flip", "quarter_turn", "affine", "rand_augment")


def check(chosen: Any) -> None:
    """Raise a `UserError` for the first unknown name, argument or value in `chosen`.

    `chosen` maps names of `AUGMENT` to dicts of their arguments (ConfigDicts too). What depends on
    the images, such as the number of channels, is checked when the step is traced.
    """
    for name in chosen:
        check_arguments(pick(AUGMENT, name, "augmentation"), chosen[name], f"augment.{name}")


def deterministic(chosen: Any) -> dict[str, Any]:
    """Return those of `chosen` that draw nothing: what evaluation shares with training."""
    return {name: chosen[name] for name in chosen if name in DETERMINISTIC}


def augment(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"] | None,
    targets: Targets = BY_NAME,
    /,
    **chosen: Any,
) -> dict[str, Any]:
    """Apply the `chosen` transforms, each with its dict of arguments, in the order of `AUGMENT`.

    Each transform draws from the examples' keys with its own name folded in, so choosing one more
    changes nothing for the others. If mixup and cutmix are both chosen, each batch undergoes one of
    them, with probability 1/2 each. `keys` may be None if nothing chosen is random. `targets` says
    which keys have a place in the image; those that are geometric move them along. Example:
    `augment(batch, keys, flip={}, pad_crop={"padding": 4})`. Raises `UserError`: see `check`,
    `spatial_targets.find`.
    """
    check(chosen)
    if keys is None and len(deterministic(chosen)) < len(chosen):
        drawing = ", ".join(name for name in chosen if name not in DETERMINISTIC)
        raise UserError(f"augment: {drawing} need one random key per example, and keys is None")
    both = "mixup" in chosen and "cutmix" in chosen
    names = [name for name in AUGMENT if name in chosen and not (both and name in MIXING)]
    own = _own_keys(keys, [*names, *MIXING, "choice"] if both else names)
    for name in names:
        placed = (targets,) if name in (*GEOMETRIC, *MIXING) else ()
        batch = AUGMENT[name](batch, own.get(name), *placed, **chosen[name])
    if both:
        batch = jax.lax.cond(
            jax.random.bernoulli(own["choice"][0]),
            lambda: mixup(batch, own["mixup"], targets, **chosen["mixup"]),
            lambda: cutmix(batch, own["cutmix"], targets, **chosen["cutmix"]),
        )
    return dict(batch)


def _own_keys(keys: Key[Array, " b"] | None, names: list[str]) -> dict[str, Key[Array, " b"]]:
    """Return keys for each name, folded in as its checksum; all at once, to compile it once."""
    if keys is None or not names:
        return {}
    sums = np.array([crc32(name.encode()) for name in names], np.uint32)
    folded = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))(keys, sums)
    return dict(zip(names, folded, strict=True))
