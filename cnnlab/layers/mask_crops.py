"""Masks cropped to boxes at one size: the targets of a mask head (He et al. 2017, section 3)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from cnnlab.layers.roi_align import bin_weights

Masks = Real[Array | np.ndarray, "g h w"] | Bool[Array | np.ndarray, "g h w"]


def crop_masks(
    masks: Masks,
    boxes: Real[Array | np.ndarray, "n 4"],
    size: tuple[int, int],
    *,
    rows: Int[Array | np.ndarray, "n"] | None = None,
    sampling: int = 0,
    aligned: bool = True,
) -> Float[Array, "n p q"]:
    """Return how much of each bin of a box its mask covers, from 0 to 1.

    torchvision's targets are these shares with `aligned=False`; Detectron2's are whether they are
    at least one half.

    Args:
        masks: of the objects, at the size of the picture.
        boxes: [y0, x0, y1, x1] in pixels of the picture.
        size: bins down and across.
        rows: the mask of each box; None: they go together.
        sampling, aligned: as of `cnnlab.layers.roi_align.roi_align`.
    """
    chosen = jnp.asarray(masks, jnp.float32)
    chosen = chosen if rows is None else chosen[rows]
    down, across = bin_weights(boxes, masks.shape[1:], size, sampling=sampling, aligned=aligned)
    return jnp.einsum("nph,nhw,nqw->npq", down, chosen, across)
