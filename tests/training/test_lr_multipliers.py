"""Learning-rate multipliers against updates written out in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnlab.errors import UserError
from cnnlab.training import lr_multipliers, optimizers

# As many as Ranger needs to join its slow weights.
RATES = np.array([0.1, 0.2, 0.05, 0.1, 0.2, 0.1])
SHAPES = {"conv1": {"kernel": (3, 4), "bias": (4,)}, "logits": {"kernel": (4, 2), "bias": (2,)}}
# What each parameter's rate is multiplied by below: the first pair that matches counts.
PAIRS = (("^conv1/kernel", 0.1), ("/bias$", 2.0), ("conv1", 7.0))
FACTORS = {"conv1": {"kernel": 0.1, "bias": 2.0}, "logits": {"kernel": 1.0, "bias": 2.0}}


def values(step):
    rng = np.random.default_rng(step)
    return {
        module: {name: rng.normal(size=shape) for name, shape in parts.items()}
        for module, parts in SHAPES.items()
    }


def run(name, schedule, **options):
    """Return the parameters after an update at each of `RATES`."""
    with jax.enable_x64(True):
        optimizer = optimizers.make(name, schedule, **options)
        params = jax.tree.map(jnp.asarray, values(0))
        state = optimizer.init(params)
        for t in range(len(RATES)):
            gradient = jax.tree.map(jnp.asarray, values(t + 1))
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return jax.device_get(params)


def test_momentum_and_decay_with_rates_of_its_own_for_each_parameter_by_hand():
    found = run(
        "sgd", lambda t: jnp.asarray(RATES)[t], weight_decay=0.1, momentum=0.9, multipliers=PAIRS
    )
    for module, parts in SHAPES.items():
        for name in parts:
            p, v = values(0)[module][name], 0.0
            for t, rate in enumerate(RATES):
                decay = 0.1 if name == "kernel" else 0.0
                v = 0.9 * v + values(t + 1)[module][name] + decay * p
                p = p - rate * FACTORS[module][name] * v
            np.testing.assert_allclose(found[module][name], p, rtol=1e-12)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
@pytest.mark.sample(4)
def test_a_multiplier_is_another_learning_rate(name):
    options = dict(weight_decay=0.1)
    scaled = run(name, lambda t: jnp.asarray(RATES)[t], multipliers=(("kernel$", 0.5),), **options)
    halved = run(name, lambda t: 0.5 * jnp.asarray(RATES)[t], **options)
    whole = run(name, lambda t: jnp.asarray(RATES)[t], **options)
    for module in SHAPES:
        np.testing.assert_allclose(scaled[module]["kernel"], halved[module]["kernel"], rtol=1e-9)
        np.testing.assert_allclose(scaled[module]["bias"], whole[module]["bias"], rtol=1e-9)


def test_clipping_sees_the_gradient_before_it_is_multiplied():
    options = dict(clip_norm=0.5, momentum=0.0)
    clipped = run("sgd", lambda _: jnp.asarray(1.0), **options)
    doubled = run("sgd", lambda _: jnp.asarray(1.0), multipliers=((".", 2.0),), **options)
    start = values(0)
    for module, parts in SHAPES.items():
        for name in parts:
            np.testing.assert_allclose(
                doubled[module][name] - start[module][name],
                2 * (clipped[module][name] - start[module][name]),
            )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (("conv1", 0.1), "'conv1' is no pair, as in"),
        ((("conv1",),), "is no pair"),
        ((("conv1", -1.0),), "'conv1' has -1.0"),
        ((("conv1", float("nan")),), "'conv1' has nan"),
        ((("conv1", "0.1"),), "'conv1' has '0.1'"),
        ((("conv1", True),), "'conv1' has True"),
        ((("(", 0.1),), "is no regular expression"),
        ((("conv2", 0.1),), "optimizer.multipliers: 'conv2' matches no parameter"),
    ],
)
def test_bad_pairs_are_named(pairs, message):
    with pytest.raises(UserError) as error:
        lr_multipliers.check(pairs, values(0))
    assert message in str(error.value)
