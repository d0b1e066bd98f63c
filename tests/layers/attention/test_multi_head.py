"""Multi-head attention: one head after the other, flax's own layer, and its parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.attention.dot_product import attention, causal_mask
from cnnlab.layers.attention.multi_head import MultiHeadAttention

RNG = np.random.default_rng(0)


def tokens(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def init(module, *inputs):
    params = module.init(jax.random.key(0), *inputs)["params"]
    # Biases start at zero, which would hide them.
    return jax.tree.map(lambda p: p + 0.1 * tokens(*p.shape), params)


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("use_bias", [True, False])
def test_flax_layer_with_the_same_parameters_gives_the_same(use_bias):
    q, kv = tokens(2, 4, 6), tokens(2, 5, 3)
    mask = jnp.asarray(RNG.random((2, 4, 5)) < 0.7).at[..., 0].set(True)
    ours = MultiHeadAttention(heads=2, features=8, out_features=7, use_bias=use_bias)
    theirs = nn.MultiHeadDotProductAttention(2, qkv_features=8, out_features=7, use_bias=use_bias)
    params = init(ours, q, kv)
    y = theirs.apply({"params": params}, q, kv, mask=mask[:, None])
    close(ours.apply({"params": params}, q, kv, mask=mask), y)


def test_heads_are_attention_of_projections_side_by_side():
    x = tokens(5, 6)
    module = MultiHeadAttention(heads=3, use_bias=False)
    p = {n: q["kernel"] for n, q in init(module, x).items()}
    heads = [
        attention(*(x @ p[name][:, h] for name in ("query", "key", "value"))) for h in range(3)
    ]
    expected = jnp.concatenate(heads, axis=-1) @ p["out"].reshape(6, 6)
    close(module.apply({"params": {n: {"kernel": k} for n, k in p.items()}}, x), expected)


def test_self_attention_is_permutation_equivariant_and_with_a_causal_mask_is_not():
    x, order = tokens(5, 4), np.array([3, 0, 4, 1, 2])
    module = MultiHeadAttention(heads=2)
    params = {"params": init(module, x)}
    close(module.apply(params, x[order]), module.apply(params, x)[order])
    mask = causal_mask(5)
    masked = [module.apply(params, a, mask=mask) for a in (x[order], x)]
    assert np.abs(masked[0] - masked[1][order]).max() > 0.01
    later = module.apply(params, x.at[3:].add(1.0), mask=mask)
    np.testing.assert_array_equal(later[:3], masked[1][:3])


def test_weights_of_each_head_come_with_the_result():
    x = tokens(2, 5, 4)
    module = MultiHeadAttention(heads=2)
    params = {"params": init(module, x)}
    y, weights = module.apply(params, x, return_weights=True, mask=jnp.arange(5) < 3)
    assert weights.shape == (2, 2, 5, 5) and not np.any(weights[..., 3:])
    close(weights.sum(-1), np.ones((2, 2, 5)))
    close(y, module.apply(params, x, mask=jnp.arange(5) < 3))


def test_bias_of_scores_may_differ_between_heads():
    x = tokens(3, 4)
    module = MultiHeadAttention(heads=2)
    params = {"params": init(module, x)}
    # The first head may only look at itself, by way of a large bias.
    bias = jnp.stack([50.0 * jnp.eye(3), jnp.zeros((3, 3))])
    weights = module.apply(params, x, bias=bias, return_weights=True)[1]
    close(weights[0], np.eye(3))
    assert np.all(weights[1] > 0.01)


def test_weights_are_dropped_in_training_alone():
    x = tokens(4, 9, 4)
    module = MultiHeadAttention(heads=2, drop_rate=0.5)
    params = {"params": init(module, x)}
    rngs = {"dropout": jax.random.key(1)}
    weights = module.apply(params, x, train=True, return_weights=True, rngs=rngs)[1]
    assert 0.4 < np.mean(weights == 0) < 0.6
    close(module.apply(params, x), MultiHeadAttention(heads=2).apply(params, x))


def test_parameters_are_those_of_four_projections():
    params = init(MultiHeadAttention(heads=4, features=16, out_features=5), tokens(1, 2, 6))
    assert sum(p.size for p in jax.tree.leaves(params)) == 3 * (6 * 16 + 16) + 16 * 5 + 5


def test_initial_variance_is_that_of_each_projection_as_one_matrix():
    params = MultiHeadAttention(heads=8).init(jax.random.key(0), tokens(2, 64))["params"]
    for name in ("query", "out"):
        assert abs(np.var(params[name]["kernel"]) * 64 - 1) < 0.1


def test_computation_in_bfloat16_keeps_float32_parameters():
    x = tokens(2, 3, 4)
    y, variables = MultiHeadAttention(heads=2, dtype=jnp.bfloat16).init_with_output(
        jax.random.key(0), x
    )
    assert y.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(variables)} == {np.dtype("float32")}


def test_features_that_heads_cannot_share_are_refused():
    with pytest.raises(UserError, match="heads=3 must divide the 4 features"):
        MultiHeadAttention(heads=3).init(jax.random.key(0), tokens(2, 4))
