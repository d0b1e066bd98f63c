"""Where the gradient of an overlap takes a box: of disjoint boxes IoU has none.

Rezatofighi et al. 2019 (GIoU), section 3; Zheng et al. 2020 (DIoU), figure 1: where two boxes do
not meet, 1 - IoU is 1 whatever their distance, and its gradient is exactly 0. Those of GIoU, DIoU
and CIoU first enlarge the box until it meets the other, GIoU's for longest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from cnnlab.geometry import iou

MEASURES = {"IoU": iou.iou, "GIoU": iou.giou, "DIoU": iou.diou, "CIoU": iou.ciou}
Box = Real[np.ndarray, "4"]


def descend(
    measure: str, box: Box, target: Box, *, steps: int = 300, length: float = 0.2
) -> Float[np.ndarray, "s 4"]:
    """Return the boxes of gradient descent on 1 - measure, the first and one for each step.

    Args:
        measure: one of `MEASURES`.
        box: [y0, x0, y1, x1] in pixels, to begin with.
        target: the box to reach.
        steps: of the descent.
        length: pixels by which a step changes the four numbers in all (their Euclidean norm); a
            gradient of 0 changes nothing.
    """
    slope = jax.grad(lambda x: 1 - MEASURES[measure](x, jnp.asarray(target, jnp.float32)))

    def step(x, _):
        direction = slope(x)
        size = jnp.linalg.norm(direction)
        x = x - length * direction / jnp.where(size > 0, size, 1.0)
        return x, x

    start = jnp.asarray(box, jnp.float32)
    _, boxes = jax.jit(lambda x: jax.lax.scan(step, x, length=steps))(start)
    return np.concatenate([start[None], boxes])


def losses(measure: str, box: Box, target: Box, shifts: Float[np.ndarray, "n"]) -> np.ndarray:
    """Return 1 - measure of a box moved to the right by so many pixels each."""
    moved = np.asarray(box, float) + shifts[:, None] * np.array([0, 1, 0, 1])
    values = MEASURES[measure](jnp.asarray(moved), jnp.asarray(target, jnp.float32))
    return np.asarray(1 - values)
