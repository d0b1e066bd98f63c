"""From the mlp over local windows to shared weights: units alike, parameters counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError

IMAGE = (1, 32, 32, 1)
# Outputs of the layers with weights, in all three networks.
UNITS = {"c1": 28 * 28 * 6, "c3": 10 * 10 * 16, "c5": 120, "f6": 84, "logits": 10}


def counts(name, **arguments):
    rows = summarize(models.create(name, **arguments), IMAGE).rows
    return {row.name: row for row in rows if row.parameters}


def test_locality_and_sharing_save_parameters_with_as_many_units():
    dense = counts("mlp", hidden=tuple(UNITS.values())[:-1])
    local, shared = counts("locally_connected"), counts("lenet5")
    for network in (dense, local, shared):
        assert [np.prod(row.shape) for row in network.values()] == list(UNITS.values())
    inputs = [32 * 32, *list(UNITS.values())[:-1]]
    assert [row.parameters for row in dense.values()] == [
        (i + 1) * o for i, o in zip(inputs, UNITS.values(), strict=True)
    ]
    # Each unit has its own window of 5x5 over the maps before it, or each filter.
    window = {"c1": 25 * 1, "c3": 25 * 6, "c5": 25 * 16, "f6": 120, "logits": 84}
    assert {name: row.parameters for name, row in local.items()} == {
        name: (window[name] + 1) * units for name, units in UNITS.items()
    }
    places = {"c1": 28 * 28, "c3": 10 * 10, "c5": 1, "f6": 1, "logits": 1}
    assert {name: row.parameters for name, row in shared.items()} == {
        name: row.parameters / places[name] for name, row in local.items()
    }
    totals = [sum(row.parameters for row in net.values()) for net in (dense, local, shared)]
    assert totals == [12_552_734, 423_038, 61_706]
    # Sharing saves memory, not work.
    assert [row.macs for row in local.values()] == [row.macs for row in shared.values()]


@pytest.mark.parametrize(("activation", "pool"), [("relu", "max"), ("tanh", "avg")])
def test_with_the_same_kernel_everywhere_it_is_lenet5(activation, pool):
    rng = np.random.default_rng(0)
    arguments = dict(activation=activation, pool=pool, padding=2)
    local, shared = (models.create(n, **arguments) for n in ("locally_connected", "lenet5"))
    images = jnp.asarray(rng.normal(size=(2, 28, 28, 1)), jnp.float32)
    shapes = [jax.eval_shape(m.init, jax.random.key(0), images)["params"] for m in (local, shared)]
    params = jax.tree.map(lambda x: jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype), shapes[1])
    spread = jax.tree.map(lambda like, x: jnp.broadcast_to(x, like.shape), shapes[0], params)
    expected = jax.jit(shared.apply)({"params": params}, images)[1]
    found = jax.jit(local.apply)({"params": spread}, images)[1]
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("tanh", 1.0)])
def test_initial_weights_count_the_inputs_of_a_unit_not_the_places(activation, gain):
    model = models.create("locally_connected", activation=activation)
    # What is not asked for is not computed.
    kernel = jax.jit(lambda key: model.init(key, jnp.zeros(IMAGE))["params"]["c3"]["kernel"])
    assert jnp.var(kernel(jax.random.key(0))) == pytest.approx(gain / (25 * 6), rel=0.03)


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((1, 28, 28, 1), {"padding": 1}, "28x28 with padding=1 are too small, it needs 32x32"),
        (IMAGE, {"pool": "mean"}, "unknown pool of lenet5 'mean'"),
        (IMAGE, {"activation": "rely"}, "did you mean 'relu'"),
    ],
)
def test_what_cannot_work_is_named(shape, arguments, message):
    with pytest.raises(UserError, match=message):
        summarize(models.create("locally_connected", **arguments), shape)
