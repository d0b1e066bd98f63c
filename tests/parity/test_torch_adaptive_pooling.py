"""Adaptive average pooling and its gradient against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.pooling.adaptive import adaptive_avg_pool

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    ("size", "out"),
    [((13, 9), (6, 6)), ((7, 7), (7, 7)), ((1, 2), (7, 7)), ((12, 8), (3, 4)), ((30, 31), (7, 5))],
)
def test_values_and_gradients_are_those_of_pytorch(size, out):
    import torch

    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(2, *s, 3)).astype(np.float32) for s in (size, out))
    y, pullback = jax.vjp(lambda x: adaptive_avg_pool(x, out), jnp.asarray(x))
    theirs = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    expected = torch.nn.functional.adaptive_avg_pool2d(theirs, out)
    expected.backward(torch.tensor(np.moveaxis(dy, -1, 1)))
    for one, other in ((y, expected.detach()), (pullback(jnp.asarray(dy))[0], theirs.grad)):
        np.testing.assert_allclose(one, np.moveaxis(other.numpy(), 1, -1), rtol=1e-5, atol=1e-6)
