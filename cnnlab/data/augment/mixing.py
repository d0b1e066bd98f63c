"""Mixup and CutMix: images mixed with a partner's, and so their labels.

Both leave `label` alone and add `label_mixed`, the partner's label, and `label_weight` (float32),
the weight of the own label; a loss is then weight * loss(label) + (1 - weight) * loss(label_mixed).
The partner is the next example of the local batch (the batch rolled by one; batches are shuffled).
So a mixed image depends on its neighbor, and, unless `per_example`, on the batch's first key.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from cnnlab.data.argument_types import NonNegative, Number
from cnnlab.data.augment.batch_transform import image_of
from cnnlab.data.spatial_targets import BY_NAME, Targets, refuse
from cnnlab.errors import UserError


def _partner(values: Array) -> Array:
    return jnp.roll(values, -1, axis=0)


def _check(batch: Mapping[str, Any], targets: Targets, name: str) -> Float[Array, "b h w c"]:
    image = image_of(batch, name)
    refuse(batch, targets, name)
    if "label" not in batch:
        raise UserError(f"{name} mixes labels and needs batch['label']; do without {name}")
    return image


def _weights(keys: Key[Array, " b"], alpha: Number, per_example: bool) -> Float[Array, " b"]:
    """Draw from Beta(alpha, alpha), one for all or one an example; 1, no mixing, if alpha is 0."""
    if alpha == 0:
        return jnp.ones(len(keys), jnp.float32)
    if per_example:
        return jax.vmap(lambda key: jax.random.beta(key, alpha, alpha, dtype=jnp.float32))(keys)
    return jnp.full(len(keys), jax.random.beta(keys[0], alpha, alpha, dtype=jnp.float32))


def mixup(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    targets: Targets = BY_NAME,
    /,
    *,
    alpha: NonNegative = 0.2,
    per_example: bool = False,
) -> dict[str, Any]:
    """Average each image with its partner's by a weight from Beta(`alpha`, `alpha`).

    Zhang et al. 2017, "mixup: Beyond Empirical Risk Minimization", section 1 (alpha for ImageNet:
    3.1); one weight a batch as in the authors' code, or one an example. `alpha` 0 mixes nothing.
    Raises `UserError` without a label, and for boxes, masks and other targets with a place.

    Args:
        alpha: of the Beta distribution of the weight; 0: no mixing.
        per_example: draw a weight for each example, not one for the batch.
    """
    image = _check(batch, targets, "mixup")
    weight = _weights(keys, alpha, per_example)
    share = weight[:, None, None, None].astype(image.dtype)
    return {
        **batch,
        "image": share * image + (1 - share) * _partner(image),
        "label_mixed": _partner(batch["label"]),
        "label_weight": weight,
    }


def cutmix(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    targets: Targets = BY_NAME,
    /,
    *,
    alpha: NonNegative = 1.0,
    per_example: bool = False,
) -> dict[str, Any]:
    """Paste a rectangle of the partner's image; the weight is the area kept, exactly.

    Yun et al. 2019, "CutMix", section 3.1 and Algorithm A1: the rectangle has the image's aspect
    and a fraction 1 - lambda of its area, lambda from Beta(`alpha`, `alpha`), and its center is
    uniform in the image, beyond whose border it is cut off. One rectangle a batch as in the
    authors' code, or one an example. `alpha` 0 mixes nothing.
    Raises `UserError` without a label, and for boxes, masks and other targets with a place.

    Args:
        alpha: of the Beta distribution of the area kept; 0: no mixing.
        per_example: draw a rectangle for each example, not one for the batch.
    """
    image = _check(batch, targets, "cutmix")
    pasted = _pasted(keys, (image.shape[1], image.shape[2]), alpha, per_example)
    return {
        **batch,
        "image": jnp.where(pasted[..., None], _partner(image), image),
        "label_mixed": _partner(batch["label"]),
        "label_weight": 1 - pasted.mean((1, 2), dtype=jnp.float32),
    }


def _pasted(
    keys: Key[Array, " b"], size: tuple[int, int], alpha: Number, per_example: bool
) -> Bool[Array, "b h w"]:
    """Return where each image is its partner's."""
    place, weight = jax.vmap(jax.random.split, out_axes=1)(keys)
    side = jnp.sqrt(1 - _weights(weight, alpha, per_example))[:, None]
    centers = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(place)
    if not per_example:
        centers = jnp.broadcast_to(centers[:1], centers.shape)

    def covered(center: Float[Array, "b 1"], length: int) -> Bool[Array, "b length"]:
        half = jnp.floor(side * length).astype(jnp.int32)
        start = jnp.floor(center * length).astype(jnp.int32) - half // 2
        # The authors' code loses a pixel of odd sides, which here are whole.
        place = jnp.arange(length)
        return (place >= start) & (place < start + half)

    rows, columns = covered(centers[:, :1], size[0]), covered(centers[:, 1:], size[1])
    return rows[:, :, None] & columns[:, None, :]
