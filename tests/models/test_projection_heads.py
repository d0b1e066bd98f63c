"""Projector and predictor: parameters by formula, the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.projection_heads import MLPHead

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)), jnp.float32)


def build(widths, **kwargs):
    head = MLPHead(widths, **kwargs)
    variables = jax.jit(head.init)(jax.random.key(0), X)
    # Scales and biases that are not 1 and 0, to see that they count.
    moved = jax.tree.map(lambda x: x + 0.1 * np.arange(x.size).reshape(x.shape), variables)
    return head, moved


def normalized(x, scale=1.0, bias=0.0, mean=None, var=None):
    mean, var = (x.mean(axis=0), x.var(axis=0)) if mean is None else (mean, var)
    return (x - mean) / np.sqrt(var + 1e-5) * scale + bias


def numpy_head(variables, last_norm, statistics=None):
    """Return the head of widths (4, 3) in float64, by the batch's statistics or given ones."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    s = statistics or {"hidden1_norm": {}, "output_norm": {}}
    x = normalized(
        np.asarray(X, np.float64) @ p["hidden1"]["kernel"], **p["hidden1_norm"], **s["hidden1_norm"]
    )
    x = np.maximum(x, 0) @ p["output"]["kernel"] + p["output"].get("bias", 0)
    if last_norm:
        x = normalized(x, **p.get("output_norm", {}), **s["output_norm"])
    return x


@pytest.mark.parametrize(
    ("last_norm", "last_bias", "own"),
    [
        ("", False, {"output": {"kernel"}}),
        ("", True, {"output": {"kernel", "bias"}}),
        ("scale", False, {"output": {"kernel"}, "output_norm": {"scale"}}),
        ("plain", False, {"output": {"kernel"}}),
    ],
)
def test_forward_pass_and_parameters(last_norm, last_bias, own):
    head, variables = build((4, 3), last_norm=last_norm, last_bias=last_bias)
    names = {name: set(p) for name, p in variables["params"].items()}
    assert names == {"hidden1": {"kernel"}, "hidden1_norm": {"scale", "bias"}, **own}
    y, _ = head.apply(variables, X, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(y, numpy_head(variables, last_norm), rtol=1e-4, atol=1e-5)
    inference = numpy_head(variables, last_norm, variables["batch_stats"])
    np.testing.assert_allclose(head.apply(variables, X), inference, rtol=1e-4, atol=1e-5)


def test_simsiams_heads_have_the_papers_parameters():
    # Three layers of 2048 with norms, the last without parameters; 2048 to 512 to 2048 with bias.
    x = jax.ShapeDtypeStruct((2, 2048), np.float32)

    def count(head):
        shapes = jax.eval_shape(head.init, jax.random.key(0), x)["params"]
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    assert count(MLPHead((2048, 2048, 2048), last_norm="plain")) == 3 * 2048**2 + 4 * 2048
    assert count(MLPHead((512, 2048), last_bias=True)) == 2 * 512 * 2048 + 2 * 512 + 2048


def test_one_width_is_a_linear_layer():
    head, variables = build((3,))
    assert "batch_stats" not in variables
    expected = X @ variables["params"]["output"]["kernel"]
    np.testing.assert_allclose(head.apply(variables, X, train=True), expected, rtol=1e-5)


def test_computes_in_bfloat16_and_returns_float32():
    head, variables = build((4, 3), dtype="bfloat16")
    y, _ = head.apply(variables, X, train=True, mutable=["batch_stats"])
    assert y.dtype == np.float32
    assert {str(x.dtype) for x in jax.tree.leaves(variables)} == {"float32"}
    exact = numpy_head(variables, "")
    error = np.abs(y - exact).max() / np.abs(exact).max()
    assert 1e-4 < error < 0.05


@pytest.mark.parametrize(
    ("widths", "kwargs", "message"),
    [
        ((), {}, "needs one or more"),
        ((4, 0), {}, r"widths \(4, 0\)"),
        ((4,), {"last_norm": "plane"}, "did you mean 'plain'"),
    ],
)
def test_what_cannot_be_is_named(widths, kwargs, message):
    with pytest.raises(UserError, match=message):
        MLPHead(widths, **kwargs).init(jax.random.key(0), X)
