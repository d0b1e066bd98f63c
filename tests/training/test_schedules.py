"""Schedules against closed forms, step by step."""

import math

import jax
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.training import schedules
from cnnlab.utils.registry import defaults

STEPS, WARMUP, RATE = 40, 8, 0.5


def curve(name, *, steps=STEPS, warmup=WARMUP, more=0, **kwargs):
    schedule = schedules.make(name, RATE, steps, warmup=warmup, **kwargs)
    return np.asarray(schedule(np.arange(steps + more)), np.float64)


def part(t):
    """Share of what comes after the warm-up that is done at step t."""
    return (t - WARMUP) / (STEPS - WARMUP)


CLOSED_FORMS = {
    "constant": ({}, lambda t: 1),
    "step": (
        {"boundaries": (0.5, 30), "factor": 0.2},
        lambda t: 0.2 ** ((t >= 20) + (t >= 30)),
    ),
    "cosine": ({"final": 0.1}, lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * part(t))) / 2),
    "polynomial": (
        {"power": 3.0, "final": 0.1},
        lambda t: 0.1 + 0.9 * (1 - part(t)) ** 3,
    ),
    "piecewise": (
        {"boundaries": (0.5, 30), "factors": (0.4, 0.02)},
        lambda t: 0.02 if t >= 30 else 0.4 if t >= 20 else 1,
    ),
    "flat_cosine": (
        {"flat": 0.75, "final": 0.1},
        lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * max(part(t) - 0.75, 0) / 0.25)) / 2,
    ),
    "exponential": (
        {"rate": 0.9, "every": 5, "staircase": True},
        lambda t: 0.9 ** ((t - WARMUP) // 5),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_after_the_warmup_the_curve_is_the_closed_form(name):
    kwargs, closed = CLOSED_FORMS[name]
    expected = [RATE * closed(t) for t in range(WARMUP, STEPS)]
    np.testing.assert_allclose(curve(name, **kwargs)[WARMUP:], expected, rtol=1e-5, atol=1e-7)


def test_smooth_exponential_decay_is_a_power_of_the_step():
    values = curve("exponential", warmup=0, rate=0.9, every=0.125, staircase=False)
    np.testing.assert_allclose(values, RATE * 0.9 ** (np.arange(STEPS) / 5), rtol=1e-5)


def test_one_cycle_rises_to_the_rate_and_falls_to_its_end():
    values = curve("one_cycle", warmup=0, peak_fraction=0.25, start=0.1, final=0.01, more=1)
    assert values[0] == pytest.approx(RATE * 0.1)
    assert values[10] == pytest.approx(RATE)
    assert values[5] == pytest.approx(RATE * 0.55)  # Half way up, half a cosine is in the middle.
    assert values[25] == pytest.approx(RATE * 0.505)
    assert values[40] == pytest.approx(RATE * 0.01)
    assert np.all(np.diff(values[:11]) > 0) and np.all(np.diff(values[10:]) < 0)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_warmup_is_a_straight_line_from_above_zero_to_the_value_after_it(name):
    values = curve(name)
    line = values[WARMUP] * np.arange(1, WARMUP + 1) / (WARMUP + 1)
    np.testing.assert_allclose(values[:WARMUP], line, rtol=1e-5)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_after_the_last_step_the_value_stays(name):
    schedule = schedules.make(name, RATE, STEPS, warmup=WARMUP)
    assert schedule(STEPS) == schedule(STEPS + 1) == schedule(10 * STEPS)


@pytest.mark.parametrize(("name", "final"), [("cosine", 0.0), ("polynomial", 0.0)])
def test_decay_ends_at_zero_unless_set_otherwise(name, final):
    assert float(schedules.make(name, RATE, STEPS)(STEPS)) == final


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_traced_steps_give_the_same_values(name):
    schedule = schedules.make(name, RATE, STEPS, warmup=WARMUP)
    traced = jax.jit(jax.vmap(schedule))(np.arange(STEPS))
    assert traced.dtype == np.float32
    for t in (0, WARMUP - 1, WARMUP, 25, STEPS - 1):
        np.testing.assert_allclose(traced[t], schedule(t), rtol=2e-6, atol=1e-8)


def test_lengths_below_one_are_fractions_of_the_run():
    np.testing.assert_array_equal(curve("cosine", warmup=0.2), curve("cosine", warmup=8))
    np.testing.assert_array_equal(
        curve("step", boundaries=(0.5, 0.75)), curve("step", boundaries=[30, 20])
    )


def test_a_stair_falls_exactly_at_its_step_however_long_the_run():
    schedule = schedules.make("exponential", 1.0, 3_000_000, rate=0.5, every=1_000_003)
    assert [float(schedule(1_000_003 * n + d)) for n in (1, 2) for d in (-1, 0)] == [
        1,
        0.5,
        0.5,
        0.25,
    ]


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (5, 5)])
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_the_shortest_runs_are_finite(name, steps, warmup):
    # A boundary within the warm-up is refused, so this run has none.
    none: dict = {"boundaries": ()}
    kwargs = {"step": none, "piecewise": {**none, "factors": ()}}.get(name, {})
    assert np.all(np.isfinite(curve(name, steps=steps, warmup=warmup, more=2, **kwargs)))


def test_hyper_parameters_are_keywords_with_a_default():
    for function in schedules.SCHEDULES.values():
        values = defaults(function)
        assert values["warmup"] == 0
        assert None not in values.values()


@pytest.mark.parametrize(
    ("name", "rate", "steps", "kwargs", "message"),
    [
        ("cosine", -0.1, 10, {}, "learning_rate=-0.1"),
        ("cosine", float("nan"), 10, {}, "learning_rate=nan"),
        ("constant", float("inf"), 10, {}, "learning_rate=inf"),
        ("constant", 0.1, 0, {}, "steps=0"),
        ("cosine", 0.1, 10, {"warmup": 11}, "warmup=11 .* run of 10 steps"),
        ("cosine", 0.1, 10, {"warmup": -1}, "warmup=-1"),
        ("cosine", 0.1, 10, {"warmup": 2.5}, "warmup=2.5"),
        ("step", 0.1, 10, {"boundaries": (5, 20)}, "boundaries=.*: 20 does not fit"),
        ("step", 0.1, 10, {"boundaries": (5,), "warmup": 6}, "warm-up"),
        ("step", 0.1, 10, {"factor": -1.0}, "factor=-1"),
        ("piecewise", 0.1, 10, {"factors": (0.1,)}, "factors=.* as boundaries="),
        ("piecewise", 0.1, 10, {"boundaries": (0.75, 0.5)}, "boundaries=.* need to rise"),
        ("piecewise", 0.1, 10, {"warmup": 6}, "boundaries=.* from the warm-up on"),
        ("piecewise", 0.1, 10, {"factors": (0.1, -0.1)}, "factors=-0.1"),
        ("flat_cosine", 0.1, 10, {"flat": 1.0}, "flat=1.0"),
        ("flat_cosine", 0.1, 10, {"final": -1.0}, "final=-1"),
        ("polynomial", 0.1, 10, {"power": 0.0}, "power=0"),
        ("exponential", 0.1, 10, {"every": 0}, "every=0"),
        ("exponential", 0.1, 100, {"rate": 0.0}, "rate=0"),
        ("one_cycle", 0.1, 10, {"peak_fraction": 1.0}, "peak_fraction=1"),
        ("one_cycle", 0.1, 10, {"start": -1.0}, "start=-1"),
        ("cosin", 0.1, 10, {}, "'cosin'; did you mean 'cosine'"),
        ("cosine", 0.1, 10, {"finale": 0.0}, "'finale'; did you mean 'final'"),
    ],
)
def test_bad_values_are_named(name, rate, steps, kwargs, message):
    with pytest.raises(UserError, match=message):
        schedules.make(name, rate, steps, **kwargs)
