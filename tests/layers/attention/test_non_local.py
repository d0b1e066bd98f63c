"""Non-local block: each pairwise function by a loop, the identity at the start, attention."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.attention.dot_product import attention
from cnnlab.layers.attention.non_local import NonLocal, concatenation, dot_product, gaussian

RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=2e-6)


def started(module, x):
    """Parameters as after some training: nothing is zero."""
    params = module.init(jax.random.key(0), x)["params"]
    return {"params": jax.tree.map(lambda p: p + 0.3 * normal(*p.shape), params)}


@pytest.mark.parametrize("places", [2, 9])  # Either order of the products of `dot_product`.
@pytest.mark.parametrize("name", ["gaussian", "dot_product", "concatenation"])
def test_operations_equal_a_loop_over_pairs(name, places):
    theta, phi, g, w = normal(2, places, 3), normal(2, 5, 3), normal(2, 5, 4), normal(6)
    functions = {
        "gaussian": (gaussian, lambda a, b: np.exp(a @ b)),
        "dot_product": (dot_product, lambda a, b: a @ b),
        "concatenation": (
            partial(concatenation, weights=w),
            lambda a, b: max(0.0, w @ np.concatenate([a, b])),
        ),
    }
    ours, f = functions[name]
    expected = np.zeros((2, places, 4))
    for b, i in np.ndindex(2, places):
        pairs = np.array([f(theta[b, i], phi[b, j]) for j in range(5)])
        count = pairs.sum() if name == "gaussian" else 5
        expected[b, i] = pairs @ np.asarray(g[b]) / count
    close(ours(theta, phi, g), expected)


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian", "dot_product"])
@pytest.mark.sample(1)
def test_a_new_block_is_the_identity_and_can_learn(pairwise):
    x = normal(2, 3, 4, 6)
    block = NonLocal(pairwise)
    y, variables = block.init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(y, x)
    grads = jax.grad(lambda v: jnp.sum(block.apply(v, x) ** 2))(variables)["params"]
    assert np.any(grads["out"]["kernel"])


def test_with_a_norm_the_block_starts_as_the_identity_by_its_scale():
    x = normal(2, 3, 4, 6)
    block = NonLocal(norm=partial(nn.BatchNorm, use_running_average=False))
    y, variables = block.init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(y, x)
    assert np.any(variables["params"]["out"]["kernel"])
    assert not np.any(variables["params"]["norm"]["scale"])


def test_embedded_gaussian_is_attention_without_the_root():
    x = normal(2, 3, 4, 6)
    block = NonLocal(features=5)
    variables = started(block, x)
    flat = x.reshape(2, 12, 6)
    p = variables["params"]
    q, k, v = (flat @ p[n]["kernel"][0] + p[n]["bias"] for n in ("theta", "phi", "g"))
    y = attention(q * 5**0.5, k, v) @ p["out"]["kernel"][0] + p["out"]["bias"]
    close(block.apply(variables, x), x + y.reshape(x.shape))


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "concatenation"])
def test_permuting_the_places_of_a_clip_permutes_the_result(pairwise):
    x, order = normal(2, 2, 3, 2, 4), RNG.permutation(12)
    block = NonLocal(pairwise)
    variables = started(block, x)

    def moved(a):
        return a.reshape(2, 12, 4)[:, order].reshape(a.shape)

    close(block.apply(variables, moved(x)), moved(block.apply(variables, x)))


def test_a_clip_of_one_frame_is_an_image():
    x = normal(2, 4, 3, 4)
    for subsample in (1, 2):
        block = NonLocal(subsample=subsample)
        variables = started(block, x)
        close(block.apply(variables, x[:, None])[:, 0], block.apply(variables, x))


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "gaussian"])
@pytest.mark.sample(1)
def test_subsampling_of_blocks_that_are_constant_changes_nothing(pairwise):
    # Four equal keys weigh as one of them does, when each has four.
    x = jnp.repeat(jnp.repeat(normal(1, 2, 3, 4), 2, axis=1), 2, axis=2)
    variables = started(NonLocal(pairwise), x)
    close(
        NonLocal(pairwise, subsample=2).apply(variables, x), NonLocal(pairwise).apply(variables, x)
    )


def test_subsampling_sees_the_largest_of_each_window():
    x = normal(1, 4, 4, 3)
    block = NonLocal("dot_product", subsample=2, use_bias=False)
    variables = started(block, x)
    p = {n: q["kernel"][0] for n, q in variables["params"].items()}
    phi, g = (
        (x @ p[n]).reshape(1, 2, 2, 2, 2, 1).max(axis=(2, 4)).reshape(1, 4, 1) for n in ("phi", "g")
    )
    y = dot_product((x @ p["theta"]).reshape(1, 16, 1), phi, g) @ p["out"]
    close(block.apply(variables, x), x + y.reshape(x.shape))


def test_concatenation_starts_with_pairs_that_matter():
    x = normal(2, 3, 3, 4)
    params = NonLocal("concatenation").init(jax.random.key(0), x)["params"]
    assert params["pair"].shape == (4,) and np.all(params["pair"] != 0)


def test_an_empty_batch_stays_empty():
    x = jnp.zeros((0, 3, 3, 4))
    assert NonLocal(subsample=2).init_with_output(jax.random.key(0), x)[0].shape == x.shape


@pytest.mark.parametrize(
    ("message", "arguments", "shape"),
    [
        ("did you mean 'gaussian'", {"pairwise": "gausian"}, (1, 2, 2, 4)),
        (r"\[b, \*space, c\]", {}, (2, 4)),
        ("subsample=0", {"subsample": 0}, (1, 2, 2, 4)),
    ],
)
def test_what_cannot_be_is_named(message, arguments, shape):
    with pytest.raises(UserError, match=message):
        NonLocal(**arguments).init(jax.random.key(0), jnp.zeros(shape))


def test_weights_of_concatenation_are_for_both_of_a_pair():
    with pytest.raises(UserError, match=r"must be \(6,\)"):
        concatenation(normal(2, 3), normal(2, 3), normal(2, 3), weights=normal(3))
