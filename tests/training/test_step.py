"""The training step: moving average, accumulation bookkeeping, non-finite values, scans."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.training import step as step_lib

ROOT = Path(__file__).resolve().parents[2]


def first_batch(parts):
    return parts.parallel.place_batch(next(parts.train.batches(0)))


@pytest.mark.parametrize(
    "decay, warmup, decays",
    [(0.75, False, (0.75, 0.75, 0.75)), (0.2, True, (1 / 10, 2 / 11, 0.2))],
)
def test_moving_average_follows_its_recursion(decay, warmup, decays):
    changes = dict(ema_decay=decay, ema_warmup=warmup, model__norm="batch")
    parts = small.build(small.config(**changes))
    state = parts.state
    expected = jax.device_get(state.ema)
    for batch, d in zip(parts.train.batches(0), decays, strict=False):
        state, _ = parts.train_step(state, parts.parallel.place_batch(batch), parts.data)
        now = jax.device_get((state.params, state.model_state))
        expected = jax.tree.map(lambda e, n, d=d: d * e + (1 - d) * n, expected, now)
    for a, b in zip(jax.tree.leaves(state.ema), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_report_names_the_first_leaf_that_is_not_finite():
    parts = small.build(small.config())
    params = jax.tree.map(jnp.copy, parts.state.params)
    params["hidden1"]["bias"] = params["hidden1"]["bias"].at[3].set(jnp.inf)
    _, report = parts.train_step(parts.state.replace(params=params), first_batch(parts), parts.data)
    # The loss and every gradient are broken too, but the parameter is where it began.
    assert parts.checked_names[int(report.bad)] == "params/hidden1/bias"
    assert not np.isfinite(report.metrics["loss"].compute())


OPTIMIZED = """
import jax, jax.numpy as jnp
from cnnlab.training.step import _not_finite
leaves = [jnp.zeros(5000).at[4321].set(bad) for bad in (0.0, jnp.nan, jnp.inf, -jnp.inf)]
assert jax.jit(_not_finite)(leaves).tolist() == [False, True, True, True]
"""


def test_a_lone_nan_among_thousands_is_found_by_the_optimized_program():
    # The suite compiles without optimization, where the maximum that lost the NaN was right.
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", OPTIMIZED], env=environment, check=True, cwd=ROOT)


def test_report_is_clean_when_all_is_finite():
    parts = small.build(small.config())
    _, report = parts.train_step(parts.state, first_batch(parts), parts.data)
    assert int(report.bad) == -1


def test_gradient_norm_is_that_of_the_update():
    parts = small.build(
        small.config(
            optimizer__learning_rate=1.0, optimizer__sgd__momentum=0.0, schedule__name="constant"
        )
    )
    before = jax.device_get(parts.state.params)
    state, report = parts.train_step(parts.state, first_batch(parts), parts.data)
    change = jax.tree.map(lambda a, b: np.sum((np.asarray(a) - b) ** 2), state.params, before)
    norm = np.sqrt(sum(jax.tree.leaves(change)))
    np.testing.assert_allclose(report.metrics["grad_norm"].compute(), norm, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
@pytest.mark.sample(1)
def test_many_steps_in_one_dispatch_are_the_same_steps(strategy):
    entries = dict(
        data__placement="device",
        parallel__strategy=strategy,
        parallel__devices=2,
        data__train__augment=cfg.augment(affine={}),
        steps=12,
        log_every=12,
        evaluate__every=12,
        checkpoint__every=12,
    )
    one = small.build(small.config(**entries))
    many = small.build(small.config(steps_per_dispatch=3, **entries))
    state = one.state
    batches = [batch for batch, _ in zip(one.train.batches(0), range(3), strict=False)]
    losses = []
    for batch in batches:
        state, report = one.train_step(state, one.parallel.place_batch(batch), one.data)
        jax.block_until_ready(report)
        losses.append(report.metrics["loss"].compute())
    stacked = {key: np.stack([batch[key] for batch in batches]) for key in batches[0]}
    placed = many.parallel.place_batch(stacked, scan=True)
    scanned, reports = many.train_step(many.state, placed, many.data)
    np.testing.assert_allclose(
        reports.metrics["loss"].total / reports.metrics["loss"].count, losses, rtol=1e-5
    )
    assert int(scanned.step) == 3
    for a, b in zip(jax.tree.leaves(scanned.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_dropout_differs_between_steps_and_repeats_with_the_seed():
    entries = dict(model__dropout=0.5, optimizer__learning_rate=1e-9)

    def losses(seed):
        parts = small.build(small.config(seed=seed, **entries))
        batch = next(parts.train.batches(0))
        state, values = parts.state, []
        for _ in range(2):
            state, report = parts.train_step(state, parts.parallel.place_batch(batch), parts.data)
            values.append(report.metrics["loss"].compute())
        return values

    first, again, other = losses(0), losses(0), losses(1)
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_interleaved_parts_cover_the_batch_once():
    batch = {"x": np.arange(12).reshape(6, 2)}
    parts = step_lib._micro_batches(batch, 3)["x"]
    assert parts.shape == (3, 2, 2)
    assert sorted(np.asarray(parts).reshape(-1)) == list(range(12))
