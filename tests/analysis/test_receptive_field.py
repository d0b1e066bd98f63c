"""Receptive fields of programs: the recurrence, and the input positions of true gradients."""

import json
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnlab.analysis.intervals import input_interval
from cnnlab.analysis.jaxpr import trace
from cnnlab.analysis.receptive_field import dependency_intervals, field
from cnnlab.layers.convolution.conv import conv

CASES = json.loads((Path(__file__).parent / "conv_arithmetic.json").read_text())
N = 24


def fields(function, shape, axis=1):
    program = trace(function, jax.ShapeDtypeStruct(shape, jnp.float32))
    start = input_interval(shape[axis], len(shape), axis)
    return [field(interval) for interval in dependency_intervals(program, [start], shape[axis])]


def ones(*shape):
    return jnp.ones(shape)


def conv1(x, taps=3, **kwargs):
    return conv(x, ones(taps, x.shape[-1] // kwargs.get("groups", 1), x.shape[-1]), **kwargs)


@pytest.mark.parametrize("case", CASES["receptive_field"], ids=lambda case: case["id"])
def test_chains_of_the_papers_follow_the_recurrence(case):
    def chain(x):
        seen = []
        for taps, stride, dilation in case["layers"]:
            x = conv1(x, taps, stride=stride, dilation=dilation)
            seen.append(x)
        return seen

    found = fields(chain, (1, 64, 1))
    assert [[f.size, f.stride] for f in found] == case["trace"]


def depth_to_space(x):
    x = conv(x, ones(3, 1, 2))
    return conv1(x.reshape(1, 2 * N, 1))


def branches(x):
    return jnp.concatenate([x, conv1(x), conv1(x, 5)], axis=-1)


def patches(x):
    return x.reshape(1, N // 4, 4) @ ones(4, 3)


def shifted_sum(x):
    padded = jnp.pad(x, ((0, 0), (2, 2), (0, 0)))
    return jnp.stack([padded[:, i : i + N] for i in (0, 2, 4)]).sum(axis=0)


def loop(x):
    return lax.scan(lambda h, _: (conv1(h), None), x, None, length=3)[0]


def loop_over_space(x):
    rows = lax.scan(lambda h, row: (row, h + row), x[:, 0], x.transpose(1, 0, 2))[1]
    return rows.transpose(1, 0, 2)


def backward_loop(x):
    rows = lax.scan(lambda h, row: (row, h + row), x[:, 0], x.transpose(1, 0, 2), reverse=True)[1]
    return rows.transpose(1, 0, 2)


def either(x):
    return lax.cond(jnp.array(2.0) > 1, conv1, lambda x: conv1(x, 5), x)


def tiled_twice(x):
    # Position along an axis that was split and merged again.
    return conv1(x.reshape(1, N // 2, 2, 1)[:, :, ::-1].reshape(1, N, 1))


TRUTHS = {
    "same": conv1,
    "strided": lambda x: conv1(x, 5, stride=3),
    "causal": lambda x: conv1(x, 4, padding="CAUSAL"),
    "dilated": lambda x: conv1(conv1(x, dilation=2), dilation=3),
    "circular": lambda x: conv1(x, padding_mode="circular"),
    "residual": lambda x: x + conv1(conv1(x)),
    "branches": branches,
    "transposed": lambda x: lax.conv_transpose(x, ones(4, 1, 1), (2,), "SAME"),
    "transposed then convolved": lambda x: conv1(
        lax.conv_transpose(x, ones(2, 1, 1), (2,), "VALID")
    ),
    "average pool": lambda x: nn.avg_pool(x, (3,), (2,)),
    "cumulative pool": lambda x: lax.cumsum(x[:, ::4], 1),
    "cumulative from the end": lambda x: lax.cumsum(x, 1, reverse=True),
    "depth to space": depth_to_space,
    "patches": patches,
    "shifted sum": shifted_sum,
    "reversed": lambda x: conv1(x[:, ::-1], padding="CAUSAL")[:, ::-1],
    "rolled": lambda x: jnp.roll(x, 3, axis=1),
    "negative padding": lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-2, -3, 0), (0, 0, 0))),
    "bilinear": lambda x: jax.image.resize(x, (1, 2 * N, 1), "bilinear"),
    "bilinear down": lambda x: jax.image.resize(x, (1, N // 3, 1), "bilinear"),
    "nearest": lambda x: jax.image.resize(x, (1, 2 * N, 1), "nearest"),
    "gathered": lambda x: x[:, jnp.array([3, 9, 1, 7])],
    "sliced at a known place": lambda x: lax.dynamic_slice(x, (0, 4, 0), (1, 7, 1)),
    "split": lambda x: jnp.split(conv1(x), 3, axis=1)[1],
    "unstacked": lambda x: jnp.unstack(conv1(x), axis=1)[N // 2],
    "tiled": lambda x: jnp.tile(conv1(x), (1, 2, 1)),
    "loop": loop,
    "loop over space": loop_over_space,
    "backward loop": backward_loop,
    "either branch": either,
    "split and merged": tiled_twice,
    "barrier": lambda x: lax.optimization_barrier(conv1(x)),
    "matrix on the left": lambda x: jnp.einsum("ij,bjc->ibc", jnp.eye(N, k=1), x)[:, 0],
    "scalar product": lambda x: x * 2.0 + conv1(x),
}

OVER_PADDING = (
    "shifted sum",
    "dilated",
    "residual",
    "branches",
    "depth to space",
    "transposed then convolved",
    "loop",
)


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.sample(12)
def test_interval_is_that_of_the_gradient(name):
    function = TRUTHS[name]
    shape = (1, N, 1)
    program = trace(function, jax.ShapeDtypeStruct(shape, jnp.float32))
    (interval,) = dependency_intervals(program, [input_interval(N, 3, 1)], N)
    out = np.zeros(program.outputs[0].aval.shape)
    low, high = (np.broadcast_to(ends, out.shape).ravel() for ends in (interval.low, interval.high))
    # Weights are positive, so nothing cancels.
    x = jax.random.uniform(jax.random.key(0), shape) + 1
    jacobian = np.asarray(jax.jacobian(function)(x)).reshape(out.size, N)
    center = slice(len(jacobian) // 3, 2 * len(jacobian) // 3 + 1)
    for place, (row, first, last) in enumerate(zip(jacobian, low, high, strict=True)):
        used = np.flatnonzero(row)
        inside = np.arange(max(first, 0), min(last, N - 1) + 1) if first <= last else []
        # At the borders fields over padding are counted that only cover zeros.
        assert set(used) <= set(inside)
        if place in range(len(jacobian))[center] or name not in OVER_PADDING:
            assert len(used) == 0 == len(inside) or ((used[0], used[-1]) == (inside[0], inside[-1]))


def attention(x):
    return jax.nn.softmax(x @ x.transpose(0, 2, 1)) @ x


MIXERS = {
    "mean": lambda x: x.mean(axis=1),
    "dense": lambda x: x.reshape(1, -1) @ ones(N, 3),
    "attention": attention,
    "attention over patches": lambda x: attention(patches(x)),
    "excited by the mean": lambda x: conv1(x) * x.mean(axis=1, keepdims=True),
    "sorted": lambda x: jnp.sort(x, axis=1),
    "largest": lambda x: lax.top_k(x[..., 0], 3)[0],
    "fourier": lambda x: jnp.fft.fft(x, axis=1).real,
    "sought": lambda x: x[:, jnp.argmax(x[0, :, 0])],
    "scattered": lambda x: jnp.zeros((1, N, 1)).at[:, jnp.argsort(x[0, :, 0])].set(x),
    "until": lambda x: lax.while_loop(lambda h: h.sum() < 100, lambda h: h * 2, x),
    "long loop": lambda x: lax.scan(lambda h, _: (h * 2, None), x, None, length=1000)[0],
    "kernel from the input": lambda x: conv(ones(1, N, 1), x[0, :3, :, None] * x.sum()),
    "decided by the input": lambda x: lax.cond(x.sum() > 0, conv1, lambda x: x, x),
}


@pytest.mark.parametrize("name", MIXERS)
def test_what_mixes_all_positions_depends_on_everything(name):
    (found,) = fields(MIXERS[name], (1, N, 1))
    assert found.size is None


def test_what_does_not_use_the_input_depends_on_nothing():
    assert fields(lambda x: jnp.arange(5.0) * ones(5), (1, N, 1))[0].size == 0
    empty = fields(lambda x: conv1(jnp.zeros_like(x)) + x[:, :1] * 0, (1, N, 1))[0]
    assert empty.size == 1


def test_groups_keep_apart_what_a_full_convolution_mixes():
    def apart(x):
        both = jnp.concatenate([x, conv1(x, 7)], axis=-1)
        return conv1(both, 3, groups=2)[..., :1], conv1(both, 3)[..., :1]

    narrow, wide = fields(apart, (1, 32, 1))
    assert narrow.size == 3
    assert wide.size == 9


def test_axes_of_an_image_have_their_own_fields():
    def line(x):
        return conv(conv(x, ones(1, 5, 1, 1)), ones(3, 3, 1, 1), stride=(1, 2))

    assert fields(line, (1, 16, 16, 1), axis=1)[0].size == 3
    (across,) = fields(line, (1, 16, 16, 1), axis=2)
    assert (across.size, across.stride, across.start) == (7, 2.0, -2.0)


def test_one_pixel_maps_still_count_their_padding():
    # The last stages of deep networks on small images: 1x1 maps with padded 3x3 kernels.
    def deep(x):
        for _ in range(4):
            x = conv1(x, stride=2)
        return conv1(x)

    (found,) = fields(deep, (1, 16, 1))
    assert (found.size, found.stride) == (31 + 2 * 16, 16.0)


def test_zero_weights_from_outside_are_still_connections():
    zero = jnp.zeros((1, 1))
    assert fields(lambda x: x @ zero, (1, N, 1))[0].size == 1


def test_batch_statistics_depend_on_all_positions_only_in_training():
    norm = nn.BatchNorm(use_running_average=False)
    still = nn.BatchNorm(use_running_average=True)
    variables = norm.init(jax.random.key(0), ones(2, N, 1))
    train = fields(lambda x: norm.apply(variables, x, mutable=["batch_stats"])[0], (2, N, 1))
    inference = fields(lambda x: still.apply(variables, x), (2, N, 1))
    assert train[0].size is None
    assert inference[0].size == 1
