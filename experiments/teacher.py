"""Momentum teacher (BYOL): the exponential moving average of the trained parameters.

Grill et al. 2020 (BYOL), section 3.1 and appendix J: after each update k = 0, 1, ... of the
parameters theta the teacher's become

    xi <- tau xi + (1 - tau) theta,    tau(k) = 1 - (1 - momentum) (cos(pi k / steps) + 1) / 2

The state is a dictionary of arrays beside the other state of the run:

    params       the teacher's parameters, a part of the network's
    batch_stats  its BatchNorm statistics, which its own forward passes move
    step         int32 [], how often it has been updated

`update` is called at the start of a training loss: updating before step k + 1 equals the paper's
update after step k. The first call copies the network, whose parameters may have been loaded since
`create` (`init_from`).

With `accumulation` every part of a batch calls it with the same parameters, so a parts decay the
teacher by tau^a. For the teacher of whole batches set momentum^(1 / a) and a times the steps.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

Teacher = dict[str, Any]


def create(params: PyTree, batch_stats: PyTree) -> Teacher:
    """Return a teacher equal to the network; `batch_stats` is {} where it has none."""
    # Copies: one buffer cannot be donated to the step twice.
    return {
        "params": jax.tree.map(jnp.copy, params),
        "batch_stats": jax.tree.map(jnp.copy, batch_stats),
        "step": jnp.zeros((), jnp.int32),
    }


def share(
    step: int | Int[Array, ""], *, momentum: float | int = 0.996, steps: int = 0
) -> Float[Array, ""]:
    """Return 1 - tau(step), the share of the network in the next teacher.

    Args:
        step: number of earlier updates, k of the equation; beyond `steps` the teacher is constant.
        momentum: tau at step 0.
        steps: over which tau rises to 1 by half a cosine; 0: tau is constant.
    """
    # 1 - tau of a rounded tau would lose digits.
    start = jnp.asarray(1 - momentum, jnp.float32)
    if steps == 0:
        return start
    part = jnp.clip(jnp.asarray(step, jnp.float32) / steps, 0, 1)
    return start * (jnp.cos(math.pi * part) + 1) / 2


def update(
    teacher: Teacher,
    params: PyTree,
    batch_stats: PyTree,
    *,
    momentum: float | int = 0.996,
    steps: int = 0,
) -> Teacher:
    """Return the updated teacher; the first update copies the network.

    Args:
        teacher: as `create` or the last `update` returned it.
        params: of the network, in the structure of the teacher; no gradient passes through them.
        batch_stats: of the network; used in the first update alone.
        momentum: see `share`.
        steps: see `share`.
    """
    first = teacher["step"] == 0
    part = share(teacher["step"] - 1, momentum=momentum, steps=steps)

    def move(old, new):
        new = jax.lax.stop_gradient(new)
        return jnp.where(first, new, old + part * (new - old)).astype(old.dtype)

    def start(old, new):
        return jnp.where(first, jax.lax.stop_gradient(new), old)

    return {
        "params": jax.tree.map(move, teacher["params"], params),
        "batch_stats": jax.tree.map(start, teacher["batch_stats"], batch_stats),
        "step": teacher["step"] + 1,
    }
