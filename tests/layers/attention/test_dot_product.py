"""Attention: the slide's numbers, what masks mean, symmetry, and flax's own layer."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.attention import dot_product as file
from cnnlab.layers.attention.dot_product import (
    attention,
    by_library,
    causal_mask,
    padding_mask,
)

RNG = np.random.default_rng(0)


def arrays(*batch, queries=4, keys=6, d=3, d_v=5, dtype=np.float32):
    shapes = ((*batch, queries, d), (*batch, keys, d), (*batch, keys, d_v))
    return tuple(jnp.asarray(RNG.normal(size=s), dtype) for s in shapes)


def close(ours, expected, tolerance=2e-6):
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)


def loop(q, k, v, mask=None, bias=None):
    """Query by query, key by key, in float64."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for place in np.ndindex(*q.shape[:-1]):
        batch, i = place[:-1], place[-1]
        total = 0.0
        for j in range(k.shape[-2]):
            if mask is not None and not mask[(*batch, i, j)]:
                continue
            score = np.dot(q[place], k[(*batch, j)]) / np.sqrt(q.shape[-1])
            weight = np.exp(score + (0 if bias is None else bias[(*batch, i, j)]))
            y[place] += weight * v[(*batch, j)]
            total += weight
        y[place] /= max(total, 1e-300)
    return y


def test_two_tokens_give_the_numbers_of_the_slide():
    eye, v = jnp.eye(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    y, weights = attention(eye, eye, v, return_weights=True)
    close(weights, [[0.6698, 0.3302], [0.3302, 0.6698]], 5e-5)
    close(y, [[1.6605, 2.6605], [2.3395, 3.3395]], 5e-5)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_values_equal_a_loop_over_queries_and_keys(batch):
    q, k, v = arrays(*batch)
    mask = RNG.random((*batch, 4, 6)) < 0.6
    bias = RNG.normal(size=(*batch, 4, 6)).astype(np.float32)
    close(attention(q, k, v), loop(q, k, v))
    y = attention(q, k, v, mask=jnp.asarray(mask), bias=jnp.asarray(bias))
    close(y, loop(q, k, v, mask, bias))


@pytest.mark.parametrize("limit", [24, 48, 100])  # One head at a time, two, and four of twelve.
@pytest.mark.sample(1)
def test_heads_in_groups_give_what_all_at_once_give(monkeypatch, limit):
    q, k, v = arrays(4, 3)
    one, each, own = causal_mask(4, 6), RNG.random((4, 1, 1, 6)) < 0.7, RNG.normal(size=(3, 4, 6))
    changes = [{}, {"mask": one}, {"mask": jnp.asarray(each)}]
    changes += [{"bias": jnp.asarray(own, jnp.float32)}, {"mask": jnp.ones(6, bool)}]
    changes += [{"drop_rate": 0.5, "dropout_key": jax.random.key(0)}]

    def both(change):
        def pulled(q, k, v):
            y, pull = jax.vjp(lambda *a: attention(*a, **change), q, k, v)
            return y, pull(jnp.cos(y))

        return jax.jit(pulled)(q, k, v)

    together = [both(change) for change in changes]
    monkeypatch.setattr(file, "SCORES_AT_A_TIME", limit)
    assert "scan" in str(jax.make_jaxpr(attention)(q, k, v))
    for change, expected in zip(changes, together, strict=True):
        jax.tree.map(close, both(change), expected)


def test_gradients_of_grouped_heads_equal_finite_differences(monkeypatch):
    monkeypatch.setattr(file, "SCORES_AT_A_TIME", 24)
    with jax.enable_x64(True):
        q, k, v = arrays(2, dtype=np.float64)
        bias = jnp.asarray(RNG.normal(size=(4, 6)))

        @jax.jit
        def f(q, k, v, bias):
            return attention(q, k, v, bias=bias, mask=causal_mask(4, 6))

        check_grads(f, (q, k, v, bias), order=2, modes=("fwd", "rev"))


def test_permuted_queries_permute_the_result():
    q, k, v = arrays(2)
    order = RNG.permutation(4)
    close(attention(q[:, order], k, v), attention(q, k, v)[:, order])


def test_order_of_the_keys_does_not_matter():
    q, k, v = arrays(2)
    order = RNG.permutation(6)
    close(attention(q, k[:, order], v[:, order]), attention(q, k, v))


def test_masked_keys_count_as_much_as_absent_ones():
    q, k, v = arrays(2)
    y = attention(q, k, v, mask=padding_mask(jnp.array([4, 4]), 6))
    close(y, attention(q, k[:, :4], v[:, :4]))
    # Also what they hold: no gradient, whatever the value.
    dk = jax.grad(lambda k: attention(q, k, v, mask=jnp.arange(6) < 4).sum())(k * 100)
    assert not np.any(dk[:, 4:]) and np.any(dk[:, :4])


def test_padding_mask_has_the_length_of_each_sequence():
    expected = [[[True, False, False]], [[True, True, True]], [[False, False, False]]]
    np.testing.assert_array_equal(padding_mask(jnp.array([1, 3, 0]), 3), expected)


def test_causal_attention_never_sees_the_future():
    q, k, v = arrays(queries=5, keys=5)
    y = attention(q, k, v, mask=causal_mask(5))
    changed = attention(q, k.at[3:].add(7.0), v.at[3:].add(-9.0), mask=causal_mask(5))
    np.testing.assert_array_equal(y[:3], changed[:3])
    assert np.all(np.abs(y[3:] - changed[3:]) > 0.1)
    close(y[0], v[0])


def test_causal_mask_can_let_the_last_query_see_all_keys():
    mask = causal_mask(2, 4, first=2)
    np.testing.assert_array_equal(mask, [[True, True, True, False], [True] * 4])


def test_a_query_that_may_look_nowhere_gets_zeros_and_finite_gradients():
    q, k, v = arrays()
    mask = jnp.ones((4, 6), bool).at[2].set(False)
    close(attention(q, k, v, mask=mask)[2], np.zeros(5))
    grads = jax.grad(lambda *a: attention(*a, mask=mask).sum(), argnums=(0, 1, 2))(q, k, v)
    assert all(np.all(np.isfinite(g)) for g in grads)
    assert not np.any(grads[0][2]) and np.any(grads[0][1])


@pytest.mark.parametrize("size", [{"keys": 0}, {"queries": 0}])
def test_without_keys_or_queries_there_is_nothing_to_sum(size):
    y, weights = attention(*arrays(2, **size), return_weights=True)
    assert not np.any(y) and y.shape == (2, size.get("queries", 4), 5)
    assert weights.size == 0
    assert attention(*arrays(0)).shape == (0, 4, 5)


def test_large_scores_do_not_overflow():
    q, k, v = arrays()
    y, weights = attention(1e4 * q, 1e4 * k, v, return_weights=True)
    close(y, v[np.argmax(q @ k.T, -1)])
    close(weights.sum(-1), np.ones(4))


def test_bfloat16_is_as_exact_as_its_inputs_and_result():
    q, k, v = arrays(2, keys=300, dtype=jnp.bfloat16)
    y = attention(q, k, v)
    assert y.dtype == jnp.bfloat16
    exact = attention(*(a.astype(jnp.float32) for a in (q, k, v)))
    # Rounding of the weights and of the result, 2^-9 each, of means of values of about 1.
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=2**-8)


def test_dropped_weights_are_made_up_for_by_the_others():
    q, k, v = arrays(50, 20)
    key = jax.random.key(3)
    y, weights = attention(q, k, v, drop_rate=0.25, dropout_key=key, return_weights=True)
    _, whole = attention(q, k, v, return_weights=True)
    np.testing.assert_allclose(weights[weights > 0], whole[weights > 0] / 0.75, rtol=1e-5)
    assert abs(np.mean(weights == 0) - 0.25) < 0.01
    close(y, attention(q, k, v, drop_rate=0.25, dropout_key=key))


@pytest.mark.parametrize(
    ("message", "change"),
    {
        "batch axes": {"k": jnp.zeros((3, 6, 3))},
        "as many features": {"k": jnp.zeros((2, 6, 4))},
        "as many keys as values": {"v": jnp.zeros((2, 5, 5))},
        r"\[\*batch, tokens, d\]": {"q": jnp.zeros(3)},
        "dtypes .*bfloat16": {"v": jnp.zeros((2, 6, 5), jnp.bfloat16)},
        r"mask \(3, 6\) does not broadcast": {"mask": jnp.ones((3, 6), bool)},
        r"bias \(1, 2, 4, 6\) does not": {"bias": jnp.ones((1, 2, 4, 6))},
        "drop_rate=0.5 needs": {"drop_rate": 0.5},
        "rate=2.0 must be": {"drop_rate": 2.0, "dropout_key": jax.random.key(0)},
    }.items(),
)
def test_arrays_that_do_not_fit_are_named(message, change):
    q, k, v = arrays(2)
    with pytest.raises(UserError, match=message):
        # Without the run-time check of shapes, which would speak first.
        getattr(attention, "__wrapped__", attention)(**{"q": q, "k": k, "v": v} | change)


def test_masks_of_numbers_are_refused():
    with pytest.raises(UserError, match="boolean"):
        file.check(*arrays(), jnp.ones((4, 6)), None)


def test_flax_gives_the_same():
    q, k, v = arrays(2, 4, d_v=3)
    mask = jnp.asarray(RNG.random((2, 1, 4, 6)) < 0.6).at[..., 0].set(True)
    theirs = nn.dot_product_attention(*(jnp.swapaxes(a, -2, -3) for a in (q, k, v)), mask=mask)
    close(attention(q, k, v, mask=mask), jnp.swapaxes(theirs, -2, -3))


def test_vmap_over_grouped_heads_equals_a_batch(monkeypatch):
    monkeypatch.setattr(file, "SCORES_AT_A_TIME", 24)
    q, k, v = arrays(2, 3)
    mapped = jax.vmap(partial(attention, mask=causal_mask(4, 6)))(q, k, v)
    close(mapped, attention(q, k, v, mask=causal_mask(4, 6)))


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("changes", [(), ("mask",), ("bias",), ("mask", "bias")])
@pytest.mark.sample(6)
def test_the_library_computes_the_same_with_the_same_gradients(batch, changes):
    rng = np.random.default_rng(0)
    q, k, v, weight = (
        jnp.asarray(rng.normal(size=(*batch, tokens, 4)), jnp.float32) for tokens in (5, 7, 7, 5)
    )
    # One query may look nowhere, and one mask serves the whole batch.
    given = {
        "mask": jnp.asarray(rng.random((5, 7)) < 0.6).at[2].set(False),
        "bias": jnp.asarray(rng.normal(size=(*batch, 1, 7)), jnp.float32),
    }
    given = {name: given[name] for name in changes}

    def of(function):
        def weighted(q, k, v):
            return jnp.sum(function(q, k, v, scale=0.3, **given) * weight)

        def both(q, k, v):
            return function(q, k, v, scale=0.3, **given), jax.grad(weighted, (0, 1, 2))(q, k, v)

        return jax.jit(both)(q, k, v)

    for ours, theirs in zip(
        jax.tree.leaves(of(attention)), jax.tree.leaves(of(by_library)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize("drop", [False, True])
def test_the_library_serves_other_platforms_where_nothing_is_dropped(drop, monkeypatch):
    monkeypatch.setattr(file, "by_library", lambda q, k, v, *_, scale: jnp.cos(v[..., :5, :]))
    x = jnp.ones((2, 5, 4))
    given = {"drop_rate": 0.5, "dropout_key": jax.random.key(0)} if drop else {}
    traced = jax.jit(lambda x: attention(x, x, x, **given)).trace(x)
    there = {
        p: "cosine" in traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda")
    }
    assert there == {"cpu": False, "cuda": not drop}
