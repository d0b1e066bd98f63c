"""The train state: everything a run has learned, and nothing else."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree


@flax.struct.dataclass
class TrainState:
    """What a step maps to the next step; a checkpoint holds all of it.

    Attributes:
        step: int32 [], number of optimizer updates done.
        params: trainable parameters, float32.
        model_state: every other collection of the model (BatchNorm statistics, a teacher, a queue).
        opt_state: the optimizer's state.
        ema: exponential moving average of `(params, model_state)`; `()` when switched off.
        rng: uint32 [2], data of the run's base key; a step's keys are folded from it, so that it
            never changes.
    """

    # Not annotated with shapes: the same structure holds arrays, shapes and shardings in turn.
    step: Any
    params: Any
    model_state: Any
    opt_state: Any
    ema: Any
    rng: Any


def create(variables: Any, optimizer: optax.GradientTransformation, seed: int, ema: bool):
    """Build the state of step 0 from a model's freshly initialised variables."""
    model_state = {name: value for name, value in variables.items() if name != "params"}
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        opt_state=optimizer.init(params),
        # A copy: two names of one buffer cannot both be donated to the step.
        ema=jax.tree.map(jnp.copy, (params, model_state)) if ema else (),
        rng=jax.random.key_data(jax.random.key(seed)),
    )


def leaf_names(tree: PyTree, prefix: str = "") -> list[str]:
    """Return a slash-separated name for every leaf of `tree`, in the order of `jax.tree.leaves`."""
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return [prefix + jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in paths]
