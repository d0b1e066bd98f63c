"""A momentum teacher: a network whose parameters follow those of the one that is trained.

Grill et al. 2020 (BYOL), section 3.1 and appendix J: after each update k = 0, 1, ... of the
parameters theta the teacher's become

    xi <- tau xi + (1 - tau) theta,    tau(k) = 1 - (1 - momentum) (cos(pi k / steps) + 1) / 2

The state is a dictionary of arrays beside the other state of the run:

    params       the teacher's parameters, a part of the network's
    batch_stats  its BatchNorm statistics, which its own forward passes move
    step         int32 [], how often it has been updated

`update` is called at the start of a training loss, with the parameters of that moment: what it
does before step k + 1 is what the paper does after step k, and no step sees the difference. Its
first call copies the network: as that may have come from elsewhere in the meantime
(`init_from`), the teacher starts where the network does.

With `accumulation` every part of a batch calls it, with the same parameters: a parts move the
teacher by tau^a. To have the teacher of whole batches give momentum^(1 / a) and a times the steps.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

Teacher = dict[str, Any]


def create(params: PyTree, batch_stats: PyTree) -> Teacher:
    """Return a teacher equal to the network; `batch_stats` is {} where it has none."""
    # Copies: two names of one buffer cannot both be donated to the step.
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
        step: number of updates before, k of the equation; beyond `steps` the teacher rests.
        momentum: tau at step 0.
        steps: over which tau rises to 1 by half a cosine; 0: it stays as it is.
    """
    # Not 1 - tau of a rounded tau, of which few digits are left.
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
    """Return the teacher moved towards the network, or in its first update set to it.

    Args:
        teacher: as `create` or the last `update` returned it.
        params: the network's, in the teacher's structure; no gradient reaches them.
        batch_stats: the network's, of use in the first update alone.
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
