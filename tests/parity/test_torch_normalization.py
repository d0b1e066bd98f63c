"""Normalization against PyTorch: values, statistics and gradients in float64."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.layers.normalization.batch_norm import (
    BatchNorm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_train,
)
from cnnlab.layers.normalization.local_response import (
    local_response_norm,
    local_response_norm_backward,
)

pytestmark = pytest.mark.parity
each = settings(max_examples=100, deadline=None, derandomize=True, database=None)
# Few sizes: each new shape is compiled.
SHAPES = st.sampled_from([(3, 4), (2, 5, 4), (2, 3, 4, 4), (3, 2, 2, 2, 6)])
EPSILONS = st.sampled_from([1e-5, 1e-3, 0.5])
SEEDS = st.integers(0, 10**6)


def channels_first(x):
    import torch

    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def normal(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [generator.normal(0.5, 1.5, shape) for shape in shapes]


def gradients(y, dy, *leaves):
    """Return torch's gradients of sum(y dy) with respect to the leaves."""
    import torch

    return torch.autograd.grad(y, leaves, channels_first(dy))


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-9, atol=1e-9)


@partial(jax.jit, static_argnums=4)
def training(x, scale, bias, dy, epsilon):
    (y, mean, var), pull = jax.vjp(
        lambda *args: batch_norm_train(*args, epsilon=epsilon), x, scale, bias
    )
    automatic = pull((dy, jnp.zeros_like(mean), jnp.zeros_like(var)))
    written = batch_norm_backward(x, scale, dy, epsilon=epsilon)
    return y, automatic, written


@each
@given(shape=SHAPES, epsilon=EPSILONS, momentum=st.floats(0, 1), affine=st.booleans(), seed=SEEDS)
def test_batch_norm_in_training(shape, epsilon, momentum, affine, seed):
    import torch

    x, dy, scale, bias = normal(seed, shape, shape, shape[-1:], shape[-1:])
    mean, var = normal(seed + 1, shape[-1:])[0], np.ones(shape[-1])
    if not affine:
        scale, bias = np.ones_like(scale), np.zeros_like(bias)
    tensors = [channels_first(x), torch.tensor(scale), torch.tensor(bias)]
    leaves = [t.requires_grad_() for t in tensors]
    running = [torch.tensor(mean), torch.tensor(var)]
    expected = torch.nn.functional.batch_norm(
        leaves[0],
        *running,
        *(leaves[1:] if affine else (None, None)),
        training=True,
        momentum=momentum,
        eps=epsilon,
    )
    expected_dx, *expected_rest = gradients(expected, dy, *leaves[: 3 if affine else 1])
    with jax.enable_x64(True):
        y, automatic, written = training(x, scale, bias, dy, epsilon)
        module = BatchNorm(
            momentum=1 - momentum,
            epsilon=epsilon,
            unbiased_running_var=True,
            param_dtype=jnp.float64,
            train=True,
        )
        variables = {
            "params": {"scale": scale, "bias": bias},
            "batch_stats": {"mean": mean, "var": var},
        }
        _, state = module.apply(jax.tree.map(jnp.asarray, variables), jnp.asarray(x), mutable=True)
    same(y, channels_last(expected))
    for ours in (automatic, written):
        same(ours[0], channels_last(expected_dx))
        for gradient, wanted in zip(ours[1:], expected_rest, strict=False):
            same(gradient, wanted)
    for name, wanted in zip(("mean", "var"), running, strict=True):
        same(state["batch_stats"][name], wanted)


@each
@given(shape=SHAPES, epsilon=EPSILONS, seed=SEEDS)
def test_batch_norm_by_running_statistics(shape, epsilon, seed):
    import torch

    x, dy, *rest = normal(seed, shape, shape, *[shape[-1:]] * 4)
    scale, bias, mean, var = *rest[:3], rest[3] ** 2
    leaves = [channels_first(x), torch.tensor(scale), torch.tensor(bias)]
    leaves = [t.requires_grad_() for t in leaves]
    expected = torch.nn.functional.batch_norm(
        leaves[0], torch.tensor(mean), torch.tensor(var), *leaves[1:], eps=epsilon
    )
    expected_dx, *expected_rest = gradients(expected, dy, *leaves)
    with jax.enable_x64(True):
        y, pull = jax.vjp(
            lambda x, scale, bias: batch_norm_inference(
                x, scale, bias, jnp.asarray(mean), jnp.asarray(var), epsilon=epsilon
            ),
            *map(jnp.asarray, (x, scale, bias)),
        )
        dx, *rest = pull(jnp.asarray(dy))
    same(y, channels_last(expected))
    same(dx, channels_last(expected_dx))
    for gradient, wanted in zip(rest, expected_rest, strict=True):
        same(gradient, wanted)


@each
@given(
    shape=SHAPES.filter(lambda shape: len(shape) > 2),
    n=st.integers(1, 7),
    k=st.sampled_from([0.5, 1.0, 2.0]),
    alpha=st.sampled_from([1e-4, 0.1, 1.0]),
    beta=st.sampled_from([0.3, 0.5, 0.75, 1.0]),
    seed=SEEDS,
)
def test_local_response_norm_with_the_mean_over_the_window(shape, n, k, alpha, beta, seed):
    import torch

    x, dy = normal(seed, shape, shape)
    leaf = channels_first(x).requires_grad_()
    expected = torch.nn.functional.local_response_norm(leaf, n, alpha=alpha, beta=beta, k=k)
    (expected_dx,) = gradients(expected, dy, leaf)
    arguments = dict(n=n, k=k, alpha=alpha, beta=beta, average=True)
    with jax.enable_x64(True):
        x, dy = jnp.asarray(x), jnp.asarray(dy)
        y, pull = jax.vjp(lambda x: local_response_norm(x, **arguments), x)
        automatic, written = pull(dy)[0], local_response_norm_backward(x, dy, **arguments)
    same(y, channels_last(expected))
    same(automatic, channels_last(expected_dx))
    same(written, channels_last(expected_dx))


@each
@given(shape=SHAPES, epsilon=EPSILONS, layer=st.booleans(), seed=SEEDS)
def test_layer_and_group_norm_as_linen_has_them(shape, epsilon, layer, seed):
    """The rows of the table that are flax's own; in float64, where their one pass is exact."""
    import torch

    x, dy, scale, bias = normal(seed, shape, shape, shape[-1:], shape[-1:])
    if layer:
        leaves = [torch.tensor(t).requires_grad_() for t in (x, scale, bias)]
        expected = torch.nn.functional.layer_norm(leaves[0], shape[-1:], *leaves[1:], eps=epsilon)
        wanted = torch.autograd.grad(expected, leaves, torch.tensor(dy))
        module = nn.LayerNorm(epsilon=epsilon, param_dtype=jnp.float64)
        expected, wanted_dx = expected.detach(), wanted[0]
    else:
        leaves = [channels_first(x), torch.tensor(scale), torch.tensor(bias)]
        leaves = [t.requires_grad_() for t in leaves]
        expected = torch.nn.functional.group_norm(leaves[0], 2, *leaves[1:], eps=epsilon)
        wanted = gradients(expected, dy, *leaves)
        module = nn.GroupNorm(num_groups=2, epsilon=epsilon, param_dtype=jnp.float64)
        expected, wanted_dx = channels_last(expected), channels_last(wanted[0])
    with jax.enable_x64(True):
        y, pull = jax.vjp(
            lambda x, scale, bias: module.apply({"params": {"scale": scale, "bias": bias}}, x),
            *map(jnp.asarray, (x, scale, bias)),
        )
        dx, *rest = pull(jnp.asarray(dy))
    same(y, expected)
    same(dx, wanted_dx)
    for gradient, expected_gradient in zip(rest, wanted[1:], strict=True):
        same(gradient, expected_gradient)
