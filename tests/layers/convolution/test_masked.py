"""Masked convolution: what a place sees, and that it never sees what comes later."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.masked import MASKS, MaskedConv, masked_conv, visible


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def seen(mask, di, dj):
    """Whether a place sees the one di rows and dj columns further: the definitions, in words."""
    above, left = di < 0, di == 0 and dj < 0
    return {"A": above or left, "B": above or left or (di, dj) == (0, 0), "row": di <= 0}[mask]


def loops(x, kernel, bias, window, mask):
    rows, columns = window
    y = np.zeros((*x.shape[:-1], kernel.shape[-1])) + bias
    taps = [
        (di, dj)
        for di in range(1 - rows, 1)
        for dj in range(-(columns // 2), columns // 2 + 1)
        if seen(mask, di, dj)
    ]
    assert len(taps) == len(kernel)
    for b, i, j in np.ndindex(x.shape[:3]):
        for (di, dj), weights in zip(taps, kernel, strict=True):
            if 0 <= i + di < x.shape[1] and 0 <= j + dj < x.shape[2]:
                y[b, i, j] += x[b, i + di, j + dj] @ weights
    return y


@pytest.mark.parametrize("window", [(2, 3), (3, 3), (1, 5)])
@pytest.mark.parametrize("mask", MASKS)
def test_it_is_the_sum_over_the_places_that_are_seen(mask, window):
    taps = visible(window, mask).sum()
    x, kernel, bias = normal(2, 4, 5, 3), normal(taps, 3, 2, seed=1), normal(2, seed=2)
    y = masked_conv(*(jnp.asarray(a) for a in (x, kernel, bias)), window=window, mask=mask)
    np.testing.assert_allclose(y, loops(x, kernel, bias, window, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
def test_of_two_layers_no_output_changes_with_what_comes_later(mask):
    layers = [MaskedConv(4, (2, 3), name) for name in (mask, "B" if mask == "A" else mask)]
    places = list(np.ndindex(4, 5))
    # One image as it is, and one for each place at which it is another.
    images = np.repeat(normal(1, 4, 5, 4), 1 + len(places), axis=0)
    for n, (i, j) in enumerate(places, 1):
        images[n, i, j] = 10
    images, keys = jnp.asarray(images), jax.random.split(jax.random.key(0))
    weights = [jax.jit(layer.init)(k, images) for k, layer in zip(keys, layers, strict=True)]
    hidden = jnp.tanh(jax.jit(layers[0].apply)(weights[0], images))
    outputs = np.asarray(jax.jit(layers[1].apply)(weights[1], hidden))
    changed = np.any(outputs[1:] != outputs[0], axis=-1)
    for (i, j), others in zip(places, changed, strict=True):
        for p, q in np.ndindex(4, 5):
            # Two layers reach two rows up and two columns to each side.
            near = abs(p - i) <= 2 and abs(q - j) <= 2
            before = seen(mask, i - p, j - q)
            assert not others[p, q] or before, (i, j, p, q)
            if mask == "row" and near and before:
                assert others[p, q], (i, j, p, q)


def test_initial_weights_are_scaled_by_what_is_seen():
    x = jnp.zeros((1, 4, 4, 64))
    layer = MaskedConv(64, (2, 3), "A")
    params = jax.jit(layer.init)(jax.random.key(0), x)["params"]
    assert params["kernel"].shape == (4, 64, 64) and params["bias"].shape == (64,)
    assert abs(np.std(params["kernel"]) / (2 / (4 * 64)) ** 0.5 - 1) < 0.03


def test_without_bias_there_is_none():
    shapes = jax.eval_shape(
        MaskedConv(2, use_bias=False).init, jax.random.key(0), np.zeros((3, 3, 1))
    )
    assert set(shapes["params"]) == {"kernel"}


@pytest.mark.parametrize(
    ("window", "mask", "message"),
    [
        ((2, 2), "row", "odd columns"),
        ((0, 3), "row", "1 row or more"),
        ((1, 1), "A", "sees nothing"),
        ((2, 3), "C", "unknown mask 'C'"),
        ((2, 3), "B", "needs 5 taps"),
    ],
)
def test_windows_that_cannot_be_are_named(window, mask, message):
    with pytest.raises(UserError, match=message):
        masked_conv(jnp.zeros((3, 3, 1)), jnp.zeros((6, 1, 1)), window=window, mask=mask)
