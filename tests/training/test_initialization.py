"""Where parameters start from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from cnnlab.errors import UserError

LSUV = dict(init__name="lsuv", model__hidden=(32, 16), model__activation="relu")


def outputs(parts):
    """Return the variance of every layer's output on the first examples, as training sees them."""
    images = np.stack([parts.train.source[n]["image"] for n in range(256)])
    x = jnp.asarray(images, jnp.float32).reshape(256, -1) / 255
    found = []
    for name in ("hidden1", "hidden2", "logits"):
        layer = parts.state.params[name]
        x = x @ layer["kernel"] + layer["bias"]
        found.append(float(jnp.var(x)))
        x = jax.nn.relu(x)
    return found


def test_lsuv_makes_every_layer_start_with_variance_one():
    found = outputs(small.build(small.config(**LSUV)))
    assert all(abs(variance - 1) < 0.1 for variance in found)
    # Not by chance: the model's own weights do not.
    own = outputs(small.build(small.config(**{**LSUV, "init__name": "model"})))
    assert max(abs(variance - 1) for variance in own) > 0.3


@pytest.mark.parametrize("strategy", ["jit", "fsdp"])
@pytest.mark.sample(1)
def test_lsuv_starts_from_the_same_weights_on_many_devices(strategy):
    one = small.build(small.config(**LSUV)).state
    entries = dict(parallel__devices=8, parallel__strategy=strategy)
    many = small.build(small.config(**LSUV, **entries)).state
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_last_layer_can_keep_its_own_weights():
    parts = small.build(small.config(**LSUV, init__lsuv__skip_last=True))
    own = small.build(small.config(**{**LSUV, "init__name": "model"}))
    for params in (parts.state.params, own.state.params):
        assert set(params) == {"hidden1", "hidden2", "logits"}
    np.testing.assert_array_equal(
        parts.state.params["logits"]["kernel"], own.state.params["logits"]["kernel"]
    )
    assert not np.allclose(
        parts.state.params["hidden1"]["kernel"], own.state.params["hidden1"]["kernel"]
    )


def test_layers_out_of_reach_are_named(caplog):
    caplog.set_level("INFO", logger="cnnlab")
    # No distance is below 0, however a processor rounds.
    settings = small.config(**LSUV, init__lsuv__tolerance=0.0, init__lsuv__max_iterations=1)
    small.build(settings)
    assert "variance still not 1 after 1 turns: hidden1, hidden2, logits" in caplog.text


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (dict(init__name="lsvu"), "unknown init 'lsvu'; did you mean 'lsuv'"),
        (dict(init__name="lsuv", init__lsuv__batch_size=0), "batch_size=0"),
    ],
)
def test_bad_entries_are_refused(entries, message):
    with pytest.raises(UserError, match=message):
        small.build(small.config(**entries))
