"""Every objective gives the same losses and gradients however it is spread over devices."""

import jax
import numpy as np
import pytest
import small
from objectives import GRADIENT, OBJECTIVES

from cnnlab import config as cfg

SPREADS = {
    "pmap on 8": dict(parallel__strategy="pmap", parallel__devices=8),
    "jit on 8": dict(parallel__strategy="jit", parallel__devices=8),
    "fsdp on 8": dict(parallel__strategy="fsdp", parallel__devices=8),
    "pmap on 2": dict(parallel__strategy="pmap", parallel__devices=2),
}


def steps(count, **changes):
    """Return the losses of some steps and the parameters and statistics after the first."""
    parts = small.build(small.config(**GRADIENT, **changes))
    before = jax.device_get((parts.state.params, parts.state.model_state))
    state, losses, first = parts.state, [], None
    batches = parts.train.batches(0)
    for _ in range(count):
        batch = parts.parallel.place_batch(next(batches))
        state, report = parts.train_step(state, batch, parts.data)
        jax.block_until_ready(report)
        losses.append(report.metrics["loss"].compute())
        if first is None:
            first = jax.device_get((state.params, state.model_state))
    change = jax.tree.map(np.subtract, first, before)
    return np.array(losses), change


# Other quick tests compare replicas with one device for these, or for their kind.
SLOW = {
    *("joint_embedding_byol", "joint_embedding_vicreg", "joint_embedding_nt_xent"),
    *("cpc", "supervised_sigmoid"),
}


def assert_same(change, other, tolerance):
    named = jax.tree_util.tree_leaves_with_path(change)
    assert max(np.abs(x).max() for _, x in named) > 1e-2, "too small to tell anything"
    for (path, a), b in zip(named, jax.tree.leaves(other), strict=True):
        # Where statistics normalize statistics, rounding is relative to the gradient's size.
        size = max(1, 10 * np.abs(b).max())
        where = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * size, err_msg=where)


@pytest.mark.parametrize(
    "objective",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in OBJECTIVES],
)
def test_losses_and_gradients_do_not_depend_on_how_the_batch_is_spread(objective):
    losses, change = steps(4, **OBJECTIVES[objective])
    # What is not supervised differs by what it gathers: two ways to do so are enough.
    names = SPREADS if objective.startswith("supervised") else ("pmap on 8", "jit on 8")
    for name in names:
        spread = SPREADS[name]
        other_losses, other = steps(4, **OBJECTIVES[objective], **spread)
        np.testing.assert_allclose(other_losses[0], losses[0], rtol=1e-6, err_msg=name)
        assert_same(change, other, 1e-6)
        # Rounding grows from step to step at this rate; a wrong average would be off at once.
        np.testing.assert_allclose(other_losses, losses, rtol=1e-3, err_msg=name)


def test_without_sync_bn_each_replica_normalises_by_its_own_statistics():
    entries = OBJECTIVES["supervised"]
    loss, _ = steps(1, **entries)
    parts = {**GRADIENT, "parallel__sync_bn": False}
    settings = small.config(**parts, **entries, **SPREADS["pmap on 8"])
    built = small.build(settings)
    batch = built.parallel.place_batch(next(built.train.batches(0)))
    _, report = built.train_step(built.state, batch, built.data)
    assert abs(report.metrics["loss"].compute() - loss[0]) > 1e-3


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.sample(2)
def test_accumulated_gradients_are_those_of_the_whole_batch(strategy, parts):
    entries = dict(experiment=cfg.experiment("supervised"), model=cfg.model("mlp", hidden=(12,)))
    spread = dict(parallel__strategy=strategy, parallel__devices=2)
    loss, change = steps(1, **entries, **spread)
    other_loss, other = steps(1, accumulation=parts, **entries, **spread)
    np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
    assert_same(change, other, 1e-6)


@pytest.mark.parametrize("spread", ["pmap on 8", "jit on 8"])
def test_augmentation_does_not_depend_on_the_number_of_devices(spread):
    entries = dict(
        experiment=cfg.experiment("supervised"),
        model=cfg.model("mlp", hidden=(12,)),
        data__train__augment=cfg.augment(affine={}),
    )
    loss, change = steps(1, **entries)
    other_loss, other = steps(1, **entries, **SPREADS[spread])
    np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
    assert_same(change, other, 1e-6)
