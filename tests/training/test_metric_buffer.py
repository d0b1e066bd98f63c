"""The meter adds metrics exactly, in order, and stops at the first value that is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.metrics.metric import Mean
from cnnlab.training.metric_buffer import MetricBuffer, NonFinite
from cnnlab.training.step import Report


def report(total, count, bad=-1):
    mean = Mean(jnp.asarray(total, jnp.float32), jnp.asarray(count, jnp.int32))
    return Report({"loss": mean}, jnp.asarray(bad, jnp.int32))


def test_mean_weighs_by_count():
    meter = MetricBuffer([])
    meter.add(1, report(3.0, 1))
    meter.add(2, report(3.0, 3))
    assert meter.flush() == {"loss": 1.5}
    assert meter.flush() == {}


def test_saved_sums_go_on_to_the_same_number():
    totals = np.random.default_rng(0).normal(size=20).astype(np.float32)
    whole = MetricBuffer([])
    for step, total in enumerate(totals):
        whole.add(step, report(total, 1))
    first, second = MetricBuffer([]), MetricBuffer([])
    for step, total in enumerate(totals[:9]):
        first.add(step, report(total, 1))
    second.restore(first.state())
    for step, total in enumerate(totals[9:], start=9):
        second.add(step, report(total, 1))
    assert second.flush() == whole.flush()


def test_state_that_nothing_was_added_to_is_handed_on():
    meter = MetricBuffer([])
    meter.restore([4.0, 2.0])
    assert meter.state() == [4.0, 2.0]
    meter.add(1, report(2.0, 1))
    assert meter.flush() == {"loss": 2.0}


def test_first_step_that_is_not_finite_is_named():
    meter = MetricBuffer(["loss", "params/a"])
    for step, bad in ((1, -1), (2, 1), (3, 0)):
        meter.add(step, report(0.0, 1, bad))
    with pytest.raises(NonFinite, match="step 2: 'params/a' is not finite"):
        meter.flush()


def test_steps_of_one_dispatch_count_one_by_one():
    reports = [report(1.0, 1), report(2.0, 1), report(6.0, 1)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *reports)
    meter = MetricBuffer(["loss"])
    meter.add(3, stacked)
    assert meter.flush() == {"loss": 3.0}
    bad = [report(1.0, 1), report(2.0, 1, 0), report(6.0, 1, 0)]
    meter.add(6, jax.tree.map(lambda *x: jnp.stack(x), *bad))
    with pytest.raises(NonFinite, match="step 5"):
        meter.flush()
