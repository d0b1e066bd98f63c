"""Box regression: boxes encoded as offsets from reference boxes, and decoded.

Girshick et al. 2014 (R-CNN), appendix C: (ty, tx, th, tw), shifts of the center in units of the
reference's sides, and logarithms of the ratios of sides, each times a weight.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

Boxes = Real[Array | np.ndarray, "*#n 4"]
Weights = tuple[float, float, float, float]
# Of (ty, tx, th, tw): in the proposal network, and in the second stage of Fast R-CNN.
PROPOSAL: Weights = (1.0, 1.0, 1.0, 1.0)
REGION: Weights = (10.0, 10.0, 5.0, 5.0)
# No side grows by more: the exponential of an untrained network is finite (Detectron).
LARGEST = math.log(1000 / 16)
# Pixels; sides below are taken for so much.
LEAST_SIDE = 1e-6


def encode(boxes: Boxes, references: Boxes, weights: Weights = PROPOSAL) -> Float[Array, "*n 4"]:
    """Return the offsets that take references to boxes; of empty boxes they are finite."""
    center, size = _center_size(boxes)
    reference, reference_size = _center_size(references)
    shift = (center - reference) / reference_size
    scale = jnp.log(size / reference_size)
    return jnp.concatenate([shift, scale], axis=-1) * jnp.asarray(weights)


def decode(
    offsets: Float[Array | np.ndarray, "*#n 4"],
    references: Boxes,
    weights: Weights = PROPOSAL,
    largest: float = LARGEST,
) -> Float[Array, "*n 4"]:
    """Return the boxes at these offsets from references; logarithms are at most `largest`."""
    center, size = _center_size(references)
    offsets = jnp.asarray(offsets) / jnp.asarray(weights)
    center = center + offsets[..., :2] * size
    half = jnp.exp(jnp.minimum(offsets[..., 2:], largest)) * size / 2
    return jnp.concatenate([center - half, center + half], axis=-1)


def _center_size(boxes: Boxes) -> tuple[Float[Array, "*n 2"], Float[Array, "*n 2"]]:
    boxes = jnp.asarray(boxes)
    size = jnp.maximum(boxes[..., 2:] - boxes[..., :2], LEAST_SIDE)
    return boxes[..., :2] + size / 2, size
