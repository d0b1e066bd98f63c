"""The written backward pass of attention is the derivative of the forward pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.attention.dot_product import attention, causal_mask
from cnnlab.layers.attention.dot_product_backward import attention_backward


@pytest.mark.parametrize("change", ["none", "mask", "bias", "row without keys"])
@pytest.mark.parametrize("batch", [(), (2, 3)])
@pytest.mark.sample(3)
def test_backward_equals_automatic_differentiation(change, batch):
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        shapes = [(*batch, *s) for s in ((4, 3), (6, 3), (6, 5), (4, 5))]
        q, k, v, dy = (jnp.asarray(rng.normal(size=s)) for s in shapes)
        more = {
            "none": {},
            "mask": {"mask": causal_mask(4, 6, first=1)},
            "bias": {"bias": jnp.asarray(rng.normal(size=(4, 6)))},
            "row without keys": {"mask": jnp.ones((4, 6), bool).at[1].set(False)},
        }[change]
        pull = jax.vjp(lambda q, k, v: attention(q, k, v, **more), q, k, v)[1]
        for ours, theirs in zip(attention_backward(q, k, v, dy, **more), pull(dy), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_two_tokens_by_hand():
    # A = [[a, b], [b, a]] and dY = [[1, 0], [0, 0]]: dA = V's first column in the first row.
    eye, v = jnp.eye(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    dy = jnp.zeros((2, 2)).at[0, 0].set(1.0)
    dq, dk, dv = attention_backward(eye, eye, v, dy)
    a = 1 / (1 + np.exp(-np.sqrt(0.5)))
    b = 1 - a
    ds = np.array([[a * (1 - (a + 3 * b)), b * (3 - (a + 3 * b))], [0, 0]]) / np.sqrt(2)
    np.testing.assert_allclose(dv, [[a, 0], [b, 0]], rtol=1e-6)
    np.testing.assert_allclose(dq, ds, rtol=1e-5)
    np.testing.assert_allclose(dk, ds.T, rtol=1e-5)
