"""Ranger: rectified Adam (RAdam) with Lookahead's slow weights.

RAdam is Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2;
Lookahead is Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", algorithm 1.
The combination and its defaults are fast.ai's, which trains XResNets with it.

Args:
    b1: decay of the mean of gradients.
    b2: decay of the mean of their squares.
    eps: added to the denominator.
    every: updates between two of the slow weights.
    alpha: share of the way to the fast weights that the slow ones go.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from cnnlab.errors import UserError

Number = int | float


class LookaheadState(NamedTuple):
    """State of `lookahead`.

    Attributes:
        count: updates since the weights were last joined.
        slow: the slow weights, like the parameters.
        fast: state of the optimizer within.
    """

    count: Any
    slow: Any
    fast: Any


def lookahead(
    optimizer: optax.GradientTransformation, *, every: int = 6, alpha: Number = 0.5
) -> optax.GradientTransformation:
    """Every `every` updates move slow weights by `alpha` to the fast ones, and these onto them.

    Unlike optax's own, it needs no pairs of parameters: the model sees the fast weights, and the
    slow ones are in the state. Zhang et al. evaluate the slow weights; so does this after each
    `every` updates, when both are the same.
    """

    def init(params):
        # A copy: two names of one buffer cannot both be donated to the step.
        slow = jax.tree.map(jnp.copy, params)
        return LookaheadState(jnp.zeros((), jnp.int32), slow, optimizer.init(params))

    def update(gradients, state, params=None):
        updates, fast = optimizer.update(gradients, state.fast, params)
        join = state.count + 1 == every

        def ahead(slow, param, change):
            return jnp.where(join, slow + alpha * (param + change - slow), slow)

        slow = jax.tree.map(ahead, state.slow, params, updates)
        updates = jax.tree.map(
            lambda slow, param, change: jnp.where(join, slow - param, change), slow, params, updates
        )
        return updates, LookaheadState(jnp.where(join, 0, state.count + 1), slow, fast)

    return optax.GradientTransformation(init, update)


def ranger(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Callable[[Any], Any],
    /,
    *,
    b1: Number = 0.95,
    b2: Number = 0.99,
    eps: Number = 1e-6,
    every: int = 6,
    alpha: Number = 0.5,
) -> optax.GradientTransformation:
    """RAdam with decoupled decay, p -= lr (radam + wd p), within Lookahead.

    RAdam divides by the root of the second moments only once their estimate can be trusted, from
    the 6th update on with b2 = 0.99, and its step is shorter at first; before that it is momentum
    SGD.
    """
    for name, value in (("b1", b1), ("b2", b2)):
        if not 0 <= value < 1:
            raise UserError(f"{name}={value} must be at least 0 and below 1")
    if every < 1:
        raise UserError(f"every={every} must be 1 or more updates")
    if not 0 < alpha <= 1:
        raise UserError(f"alpha={alpha} must be above 0 and at most 1")
    radam = optax.chain(
        optax.scale_by_radam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, mask) if weight_decay else optax.identity(),
        optax.scale_by_learning_rate(schedule),
    )
    return lookahead(radam, every=every, alpha=alpha)
