"""Dropout: shares and means that follow from the rate, whole maps, its own gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.dropout import Dropout, dropout

KEY = jax.random.key(3)
ONES = jnp.ones((200, 200))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_values_are_zero_at_the_rate_or_scaled_up_to_keep_the_mean(rate):
    y = np.asarray(dropout(KEY, ONES, rate))
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)
    # Four standard errors of a share of 40,000.
    error = 4 * np.sqrt(rate * (1 - rate) / y.size)
    assert abs(np.mean(y == 0) - rate) < error
    assert abs(y.mean() - 1) < error / (1 - rate)


def test_rate_0_changes_nothing_and_rate_1_leaves_nothing():
    np.testing.assert_array_equal(dropout(KEY, ONES, 0.0), ONES)
    np.testing.assert_array_equal(dropout(KEY, ONES, 1.0), 0 * ONES)
    assert np.all(np.isfinite(jax.grad(lambda x: dropout(KEY, x, 1.0).sum())(ONES)))


def test_the_key_decides():
    np.testing.assert_array_equal(dropout(KEY, ONES, 0.5), dropout(KEY, ONES, 0.5))
    assert np.any(dropout(KEY, ONES, 0.5) != dropout(jax.random.key(4), ONES, 0.5))


def test_the_backward_pass_is_dropout_of_the_gradient_with_the_same_key():
    x, dy = jax.random.normal(KEY, (2, 5, 6))
    _, pull = jax.vjp(lambda x: dropout(KEY, x, 0.4), x)
    np.testing.assert_array_equal(pull(dy)[0], dropout(KEY, dy, 0.4))


@pytest.mark.parametrize("axes", [(1, 2), (-3, -2)])
def test_whole_maps_are_dropped_where_places_share_their_fate(axes):
    y = np.asarray(dropout(KEY, jnp.ones((8, 3, 4, 16)), 0.5, shared_axes=axes))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    dropped = np.mean(y[:, 0, 0] == 0)
    assert 0.3 < dropped < 0.7


def test_what_is_dropped_may_be_infinite():
    y = dropout(KEY, jnp.full(64, jnp.inf), 0.5)
    assert set(np.unique(y)) == {0, np.inf}


def test_the_module_drops_in_training_alone_by_the_rng_named_dropout():
    x = jax.random.normal(KEY, (8, 8))
    module = Dropout(0.5)
    np.testing.assert_array_equal(module.apply({}, x, train=False), x)
    trained = module.apply({}, x, train=True, rngs={"dropout": KEY})
    assert np.any(trained == 0)
    np.testing.assert_array_equal(
        trained, module.clone(train=True).apply({}, x, rngs={"dropout": KEY})
    )
    np.testing.assert_array_equal(Dropout(0.0, train=True).apply({}, x), x)


@pytest.mark.parametrize(("ours", "theirs"), [((), ()), ((1,), (1,))])
def test_runs_of_before_drop_the_same_values_as_flax(ours, theirs):
    x = jax.random.normal(KEY, (8, 8))
    y = Dropout(0.3, shared_axes=ours, train=True).apply({}, x, rngs={"dropout": KEY})
    expected = nn.Dropout(0.3, broadcast_dims=theirs, deterministic=False)
    np.testing.assert_array_equal(y, expected.apply({}, x, rngs={"dropout": KEY}))


@pytest.mark.parametrize(
    ("rate", "axes", "message"),
    [(1.5, (), "rate=1.5"), (-0.1, (), "rate=-0.1"), (0.5, (2,), "axes=")],
)
def test_what_cannot_be_is_named(rate, axes, message):
    with pytest.raises(UserError, match=message):
        dropout(KEY, ONES, rate, shared_axes=axes)
