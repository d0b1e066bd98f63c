"""Learning-rate schedules: functions `step -> learning rate`, all with a linear warm-up.

Every schedule is `shape(learning_rate, steps, *, warmup=0, ...)` and follows three rules:

- Lengths (`warmup`, `boundaries`, `every`) are fractions of the run if below 1, else whole steps.
- Warm-up: step t < warmup uses (t + 1) / (warmup + 1) of the value at step `warmup`, so that no
  step is spent at zero and the full rate is reached at step `warmup` (Goyal et al. 2017, 2.2).
  The decay covers the steps that remain; the boundaries of `step` count from the start of the run.
- From step `steps` on the value stays at its last. `final` and `start` are fractions of
  `learning_rate`, so a sweep over the rate scales the whole curve.

All are traceable: `step` may be an int or a traced scalar; the value is a float32 scalar.

Args:
    warmup: length of the linear warm-up, in steps; a fraction of the run if below 1.
    boundaries: steps at which the rate changes, from the start of the run; fractions of it if
        below 1.
    factor: by which the rate is multiplied at each boundary.
    factors: of the full rate, one from each boundary on.
    final: last value, as a fraction of the full rate.
    power: exponent of the fall.
    rate: factor of each fall.
    every: steps between two falls; a fraction of the run if below 1.
    staircase: fall at once, not smoothly.
    flat: part of the steps at the full rate.
    peak_fraction: part of the steps up to the full rate.
    start: first value, as a fraction of the full rate.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from cnnlab.errors import UserError
from cnnlab.utils.registry import check_keywords, pick

Number = int | float


def constant(learning_rate: Number, steps: int, *, warmup: Number = 0) -> optax.Schedule:
    """Keep the rate as it is after the warm-up."""
    return _schedule(lambda past, rest: 1.0, learning_rate, steps, warmup)


def step(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    boundaries: Sequence[Number] = (0.5, 0.75),
    factor: Number = 0.1,
) -> optax.Schedule:
    """Multiply the rate by `factor` at each boundary (ResNet on CIFAR-10: 32k and 48k of 64k)."""
    first = _validate(learning_rate, steps, warmup)
    _positive("factor", factor)
    at = sorted(_lengths("boundaries", boundaries, steps))
    if at and at[0] < first:
        raise UserError(f"boundaries={tuple(boundaries)}: one is within the warm-up, {first} steps")

    def shape(past, rest):
        return jnp.asarray(factor, jnp.float32) ** sum(first + past >= boundary for boundary in at)

    return _schedule(shape, learning_rate, steps, warmup)


def cosine(
    learning_rate: Number, steps: int, *, warmup: Number = 0, final: Number = 0.0
) -> optax.Schedule:
    """Half a cosine from the full rate down to `final` (SGDR, Loshchilov & Hutter 2017, eq. 5)."""
    _not_negative("final", final)
    return _schedule(
        lambda past, rest: final + (1 - final) * _fall(past / rest), learning_rate, steps, warmup
    )


def polynomial(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    power: Number = 2.0,
    final: Number = 0.0,
) -> optax.Schedule:
    """Fall as (1 - part done)^power to `final` (LARS, You et al. 2017: power 2)."""
    _positive("power", power)
    _not_negative("final", final)

    def shape(past, rest):
        return final + (1 - final) * (1 - past / rest) ** power

    return _schedule(shape, learning_rate, steps, warmup)


def exponential(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    rate: Number = 0.94,
    every: Number = 0.02,
    staircase: bool = True,
) -> optax.Schedule:
    """Multiply by `rate` each `every` steps, at once (`staircase`) or smoothly between them.

    Inception v3 (Szegedy et al. 2016, section 8): 0.94 every two epochs; counted from the end of
    the warm-up.
    """
    _positive("rate", rate)
    _positive("every", every)
    span = max(_length("every", every, steps), 1)

    def shape(past, rest):
        times = past // span if staircase else past / span
        return jnp.asarray(rate, jnp.float32) ** times

    return _schedule(shape, learning_rate, steps, warmup)


def piecewise(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    boundaries: Sequence[Number] = (0.5, 0.75),
    factors: Sequence[Number] = (0.1, 0.01),
) -> optax.Schedule:
    """Multiply the full rate by `factors[i]` from `boundaries[i]` on (LeNet-5, LeCun et al. 1998).

    Unlike those of `step`, the factors do not add up. Boundaries count from the start of the run.
    """
    first = _validate(learning_rate, steps, warmup)
    if len(factors) != len(boundaries):
        raise UserError(
            f"factors={tuple(factors)}: needs as many as boundaries={tuple(boundaries)}; set both"
        )
    for factor in factors:
        _not_negative("factors", factor)
    at = _lengths("boundaries", boundaries, steps)
    if at != sorted(at) or (at and at[0] < first):
        raise UserError(f"boundaries={tuple(boundaries)}: need to rise, from the warm-up on")

    def shape(past, rest):
        passed = sum((jnp.asarray(first + past) >= a).astype(jnp.int32) for a in at)
        return jnp.asarray((1.0, *factors), jnp.float32)[passed]

    return _schedule(shape, learning_rate, steps, warmup)


def flat_cosine(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    flat: Number = 0.75,
    final: Number = 1e-5,
) -> optax.Schedule:
    """Keep the rate for the fraction `flat` of the steps, then fall to `final` by half a cosine.

    What fast.ai trains XResNets with, by the name of flat-cos, and with these defaults.
    """
    _not_negative("final", final)
    if not 0 <= flat < 1:
        raise UserError(f"flat={flat} must be at least 0 and below 1")

    def shape(past, rest):
        return final + (1 - final) * _fall((past / rest - flat) / (1 - flat))

    return _schedule(shape, learning_rate, steps, warmup)


def one_cycle(
    learning_rate: Number,
    steps: int,
    *,
    warmup: Number = 0,
    peak_fraction: Number = 0.3,
    start: Number = 0.04,
    final: Number = 4e-6,
) -> optax.Schedule:
    """Rise from `start` to the full rate over `peak_fraction` of the run, then fall to `final`.

    Super-convergence (Smith & Topin 2017). Deviation: half cosines in place of straight lines, as
    in fast.ai's and PyTorch's version. A `warmup` comes before the cycle and leads to `start`.
    """
    _not_negative("start", start)
    _not_negative("final", final)
    if not 0 < peak_fraction < 1:
        raise UserError(f"peak_fraction={peak_fraction} must lie between 0 and 1")

    def shape(past, rest):
        done = past / rest
        rise = 1 + (start - 1) * _fall(done / peak_fraction)
        fall = final + (1 - final) * _fall((done - peak_fraction) / (1 - peak_fraction))
        return jnp.where(done < peak_fraction, rise, fall)

    return _schedule(shape, learning_rate, steps, warmup)


SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    "constant": constant,
    "step": step,
    "piecewise": piecewise,
    "cosine": cosine,
    "polynomial": polynomial,
    "exponential": exponential,
    "flat_cosine": flat_cosine,
    "one_cycle": one_cycle,
}


def make(name: str, learning_rate: Number, steps: int, **kwargs: Any) -> optax.Schedule:
    """Return the schedule called `name` over `steps` steps.

    Raises:
        UserError: unknown name or keyword, a negative or non-finite number, no steps, or a
            warm-up or boundary that does not fit into the run; the message has the value.
    """
    function = pick(SCHEDULES, name, "schedule")
    check_keywords(function, kwargs, f"schedule '{name}'")
    return function(learning_rate, steps, **kwargs)


def _fall(part):
    """Return half a cosine: 1 at part = 0, 0 at part = 1."""
    return (1 + jnp.cos(jnp.pi * jnp.clip(part, 0, 1))) / 2


def _schedule(shape, learning_rate, steps, warmup) -> optax.Schedule:
    """Put the warm-up before `shape`, a function of the steps after it: `past` of `rest`."""
    first = _validate(learning_rate, steps, warmup)

    def schedule(count):
        count = jnp.asarray(count)
        past = jnp.clip(count - first, 0, steps - first)
        ramp = jnp.minimum(1, (count + 1) / (first + 1))
        value = learning_rate * ramp * shape(past, max(steps - first, 1))
        return value.astype(jnp.float32)

    return schedule


def _validate(learning_rate, steps, warmup) -> int:
    """Return the length of the warm-up in steps."""
    _not_negative("learning_rate", learning_rate)
    if steps < 1:
        raise UserError(f"steps={steps}: a schedule needs at least one step")
    return _length("warmup", warmup, steps)


def _length(name: str, value: Number, steps: int) -> int:
    """Return `value` in steps: a fraction of the run if below 1."""
    _not_negative(name, value)
    if value >= 1 and value != int(value):
        raise UserError(f"{name}={value} must be whole steps, or a fraction of the run below 1")
    if value > steps:
        raise UserError(
            f"{name}={value} does not fit into a run of {steps} steps: "
            "set a fraction of the run, below 1, or more steps"
        )
    return int(value) if value >= 1 else round(value * steps)


def _lengths(name: str, values: Sequence[Number], steps: int) -> list[int]:
    for value in values:
        if value > steps:
            raise UserError(
                f"{name}={tuple(values)}: {value} does not fit into a run of {steps} steps: "
                "set fractions of the run, below 1, as (0.5, 0.75), or more steps"
            )
    return [_length(name, value, steps) for value in values]


def _not_negative(name: str, value: Number) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise UserError(f"{name}={value} must be a finite number, zero or more")


def _positive(name: str, value: Number) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{name}={value} must be a finite number above zero")
