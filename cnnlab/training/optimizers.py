"""Optimizers by name, each a chain of optax's pieces with its paper's order of operations.

What they share, in this order: clip the global norm of the gradient; weight decay; the rule;
the learning rate of a schedule; its multipliers by path. Where the decay enters differs, and so do
the results:

- sgd, rmsprop, adam: "coupled" L2, added to the gradient before moments and momentum.
- adamw, lamb, ranger: "decoupled" (Loshchilov & Hutter 2019), added to the rule's own update.
- lars: in the gradient and in the denominator of the trust ratio.

Args:
    momentum: m, the share of the last update that is kept; 0: none.
    nesterov: look ahead by the momentum.
    rate_in_momentum: the learning rate is within the momentum, not outside.
    b1: decay of the mean of gradients.
    b2: decay of the mean of their squares.
    decay: d, of the mean of squared gradients.
    eps: added to the denominator.
    initial: value that the sum of squares starts from.
    trust_coefficient: of the ratio of the norms of parameters and gradient.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cnnlab.errors import UserError
from cnnlab.training import lr_multipliers as multipliers_lib
from cnnlab.training.lookahead import ranger
from cnnlab.training.weight_decay import DECAY_MASKS, Mask, add_decay
from cnnlab.utils.param_paths import HEADS
from cnnlab.utils.registry import defaults, pick, suggest

Number = int | float


def sgd(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    momentum: Number = 0.9,
    nesterov: bool = False,
    rate_in_momentum: bool = False,
) -> optax.GradientTransformation:
    """Momentum v = m v + g, p -= lr v; with `nesterov` p -= lr (g + m v) (Sutskever et al. 2013).

    The rate stands outside the momentum, so a drop acts at once (Goyal et al. 2017, remark 2).
    With `rate_in_momentum` v = m v + lr g, p -= v (Krizhevsky et al. 2012, section 5; Caffe): the
    steps of before a drop die out as they are. At a constant rate both are the same.
    """
    _below_one(momentum=momentum)
    trace = optax.trace(momentum, nesterov) if momentum else optax.identity()
    rate = optax.scale_by_learning_rate(schedule)
    order = (rate, trace) if rate_in_momentum else (trace, rate)
    return optax.chain(add_decay(weight_decay, mask), *order)


def adam(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015, algorithm 1); weight decay is L2 in the gradient."""
    _below_one(b1=b1, b2=b2)
    return optax.chain(
        add_decay(weight_decay, mask),
        optax.scale_by_adam(b1, b2, eps),
        optax.scale_by_learning_rate(schedule),
    )


def adamw(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
) -> optax.GradientTransformation:
    """Adam with decoupled decay: p -= lr (adam + wd p) (Loshchilov & Hutter 2019, algorithm 2).

    Deviation: the decay is scaled by the whole learning rate, as in PyTorch and optax, where the
    paper scales it by the schedule's factor alone.
    """
    _below_one(b1=b1, b2=b2)
    return optax.chain(
        optax.scale_by_adam(b1, b2, eps),
        add_decay(weight_decay, mask),
        optax.scale_by_learning_rate(schedule),
    )


def rmsprop(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    decay: Number = 0.9,
    momentum: Number = 0.9,
    eps: Number = 1.0,
) -> optax.GradientTransformation:
    """RMSProp as Inception v3 (Szegedy et al. 2016, section 8) and MobileNet trained with it.

    s = d s + (1 - d) g^2, v = m v + lr g / sqrt(s + eps), p -= v, from s = 1: TensorFlow's rule,
    with eps within the root, the rate within the momentum, and their large eps of 1.
    """
    _below_one(decay=decay, momentum=momentum)
    return optax.chain(
        add_decay(weight_decay, mask),
        optax.scale_by_rms(decay, eps, initial_scale=1.0, eps_in_sqrt=True),
        optax.scale_by_learning_rate(schedule),
        optax.trace(momentum) if momentum else optax.identity(),
    )


def adagrad(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    initial: Number = 0.1,
    eps: Number = 1e-7,
) -> optax.GradientTransformation:
    """AdaGrad (Duchi, Hazan & Singer 2011), with which FaceNet was trained.

    s += g^2, p -= lr g / sqrt(s + eps), from s = `initial`.
    """
    return optax.chain(
        add_decay(weight_decay, mask),
        optax.scale_by_rss(initial, eps),
        optax.scale_by_learning_rate(schedule),
    )


def lars(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    momentum: Number = 0.9,
    trust_coefficient: Number = 0.001,
    eps: Number = 0.0,
) -> optax.GradientTransformation:
    """LARS (You et al. 2017, algorithm 1): a rate for each layer.

    r = trust |p| / (|g| + wd |p| + eps), v = m v + lr r (g + wd p), p -= v. Parameters outside the
    decay mask keep r = 1 (momentum SGD), as in the released code and in SimCLR and BYOL; the paper
    does not say. So does a parameter that is zero. optax's own `lars` divides by |g + wd p|.
    """
    _below_one(momentum=momentum)
    ratio = _scale_by_layer(weight_decay, trust_coefficient, eps)
    return optax.chain(
        optax.masked(ratio, mask),
        optax.scale_by_learning_rate(schedule),
        optax.trace(momentum) if momentum else optax.identity(),
    )


def lamb(
    schedule: optax.Schedule,
    weight_decay: Number,
    mask: Mask,
    /,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-6,
) -> optax.GradientTransformation:
    """LAMB (You et al. 2020, algorithm 2): u = adam + wd p, p -= lr |p| / |u| u for each layer.

    The norm is not clipped (phi is the identity). Parameters outside the decay mask keep the ratio
    1, as in the released code.
    """
    _below_one(b1=b1, b2=b2)
    return optax.chain(
        optax.scale_by_adam(b1, b2, eps),
        add_decay(weight_decay, mask),
        optax.masked(optax.scale_by_trust_ratio(), mask),
        optax.scale_by_learning_rate(schedule),
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lars": lars,
    "lamb": lamb,
    "ranger": ranger,
}


def make(
    name: str,
    schedule: optax.Schedule,
    *,
    weight_decay: Number = 0.0,
    clip_norm: Number = 0.0,
    decay_mask: str = "kernels",
    multipliers: multipliers_lib.Pairs = (),
    heads: Sequence[str] = HEADS,
    **kwargs: Any,
) -> optax.GradientTransformation:
    """Return the optimizer called `name`; the rate of update t is `schedule(t)`.

    Args:
        name: one of `OPTIMIZERS`.
        schedule: step -> learning rate, from `cnnlab.training.schedules`.
        weight_decay: its coefficient; 0 is off.
        clip_norm: largest global norm of the gradient, before all else; 0 is off.
        decay_mask: "kernels" leaves out biases and norm scales, "not_depthwise" depthwise filters
            too, "all" decays everything.
        multipliers: of the learning rate, by path; see `cnnlab.training.lr_multipliers`.
        heads: names of the modules that "head" stands for in them.
        kwargs: the optimizer's own hyper-parameters.

    Raises:
        UserError: an unknown name or keyword, or a number out of its range.
    """
    function = pick(OPTIMIZERS, name, "optimizer")
    known = {**defaults(function), **defaults(make)}
    for key in kwargs:
        if key not in known:
            raise UserError(f"optimizer '{name}' has no argument '{key}'{suggest(key, known)}")
    _not_negative(weight_decay=weight_decay, clip_norm=clip_norm)
    _not_negative(**{key: kwargs[key] for key in ("eps", "trust_coefficient") if key in kwargs})
    mask = pick(DECAY_MASKS, decay_mask, "decay_mask")
    multipliers_lib.check(multipliers)

    def rule_of(factor: float) -> optax.GradientTransformation:
        rate = (lambda step: factor * schedule(step)) if factor != 1 else schedule
        return function(rate, weight_decay, mask, **kwargs)

    rule = multipliers_lib.by_path(multipliers, rule_of, heads)
    return optax.chain(optax.clip_by_global_norm(clip_norm), rule) if clip_norm else rule


def _scale_by_layer(weight_decay, trust_coefficient, eps) -> optax.GradientTransformation:
    """LARS's ratio and decay; a transformation without state."""

    def scale(gradient, param):
        norm = jnp.linalg.norm(param)
        below = jnp.linalg.norm(gradient) + weight_decay * norm + eps
        defined = (norm > 0) & (below > 0)
        ratio = jnp.where(defined, trust_coefficient * norm / jnp.where(defined, below, 1), 1)
        return ratio * (gradient + weight_decay * param)

    return optax.stateless(lambda updates, params: jax.tree.map(scale, updates, params))


def _below_one(**values: Number) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UserError(f"{name}={value} must be at least 0 and below 1")


def _not_negative(**values: Number) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise UserError(f"{name}={value} must be a finite number, zero or more")
