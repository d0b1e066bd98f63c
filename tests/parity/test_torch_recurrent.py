"""GRU with the reset after the product: states and gradients of PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.recurrent.gru import gru

pytestmark = pytest.mark.parity


def test_states_and_gradients_are_those_of_pytorch():
    import torch

    torch.manual_seed(0)
    peer = torch.nn.GRU(3, 4, batch_first=True)
    x = torch.randn(2, 6, 3, requires_grad=True)
    states, _ = peer(x)
    torch.sin(states).sum().backward()

    weights = {name: p.detach().numpy() for name, p in peer.named_parameters()}
    own, recurrent = weights["bias_ih_l0"], weights["bias_hh_l0"]
    # Biases of the gates only ever appear as their sum.
    bias = own + np.concatenate([recurrent[:8], np.zeros(4, np.float32)])
    arguments = (weights["weight_ih_l0"].T, weights["weight_hh_l0"].T, bias, recurrent[8:])

    @jax.jit
    @jax.value_and_grad
    def loss(arrays):
        x, kernel_x, kernel_h, bias, bias_h = arrays
        return jnp.sum(jnp.sin(gru(x, kernel_x, kernel_h, bias=bias, bias_h=bias_h, reset="after")))

    arrays = (jnp.asarray(x.detach().numpy()), *(jnp.asarray(a) for a in arguments))
    value, (dx, dkernel_x, dkernel_h, dbias, dbias_h) = loss(arrays)
    np.testing.assert_allclose(value, torch.sin(states).sum().item(), rtol=1e-5)
    theirs = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    for ours, expected in (
        (dx, x.grad.numpy()),
        (dkernel_x, theirs["weight_ih_l0"].T),
        (dkernel_h, theirs["weight_hh_l0"].T),
        (dbias, theirs["bias_ih_l0"]),
        (dbias_h, theirs["bias_hh_l0"][8:]),
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
