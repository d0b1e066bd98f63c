"""Multiply-adds against counting them one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnlab.analysis.jaxpr import trace
from cnnlab.analysis.macs import activations, macs
from cnnlab.layers.convolution.conv import conv


def count(function, *shapes):
    return macs(trace(function, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes)))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_multiplies_once_for_every_tap_channel_and_output(groups, stride):
    x, kernel = (2, 9, 8, 4), (3, 2, 4 // groups, 8)
    total = 0
    y = jax.eval_shape(
        lambda x, k: conv(x, k, stride=stride, groups=groups), jnp.ones(x), jnp.ones(kernel)
    ).shape
    for _ in itertools.product(*map(range, y)):
        total += 3 * 2 * (4 // groups)
    assert count(lambda x, k: conv(x, k, stride=stride, groups=groups), x, kernel) == total


def test_a_transposed_convolution_costs_what_its_adjoint_does():
    x, kernel = (1, 5, 5, 3), (4, 4, 3, 7)
    transposed = count(lambda x, k: lax.conv_transpose(x, k, (2, 2), "VALID"), x, kernel)
    assert transposed == 5 * 5 * 4 * 4 * 3 * 7


def test_products_count_their_batch_and_contraction():
    assert count(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), (2, 3, 4), (2, 4, 5)) == 120


def test_a_loop_counts_every_turn_and_a_branch_its_dearest():
    def loop(x, w):
        return lax.scan(lambda h, _: (h @ w, None), x, None, length=7)[0]

    assert count(loop, (2, 3), (3, 3)) == 7 * 18

    def branch(x, w):
        return lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)

    assert count(branch, (2, 3), (3, 3)) == 36


def test_the_step_of_training_costs_twice_the_forward_pass_more():
    def loss(w, x):
        return jnp.sum(jnp.tanh(x @ w) ** 2)

    # dW and dx, each as dear as the product itself; dx is not needed for the first layer.
    assert count(jax.grad(loss), (5, 4), (3, 5)) == 2 * 3 * 5 * 4
    assert count(jax.grad(loss, argnums=(0, 1)), (5, 4), (3, 5)) == 3 * 3 * 5 * 4


def test_activations_are_what_convolutions_and_products_put_out():
    def net(x, k, w):
        return jnp.mean(jax.nn.relu(conv(x, k)), axis=(1, 2)) @ w

    shapes = [(2, 8, 8, 3), (3, 3, 3, 5), (5, 4)]
    program = trace(net, *(jax.ShapeDtypeStruct(s, np.float32) for s in shapes))
    assert sum(map(activations, program.equations)) == 2 * 8 * 8 * 5 + 2 * 4
