"""Initial values, drawn without compiling what draws them."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from cnnlab import models
from cnnlab.layers.initializers import INITIALIZERS
from cnnlab.training import initial_values

KEY = jax.random.key(3)
# More than a block, and no multiple of it.
SHAPE = (3, 3, 64, 72)
assert np.prod(SHAPE) > initial_values.BLOCK


def assert_as_compiled(function):
    shapes, value = initial_values.trace(function)
    found, compiled = value(), jax.jit(function)()
    assert jax.tree.structure(found) == jax.tree.structure(compiled) == jax.tree.structure(shapes)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(compiled), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def compiled_names(monkeypatch):
    """Names of the programs of random numbers that are compiled while a test runs."""
    names = []
    draw = initial_values._block.__wrapped__

    @functools.wraps(draw)
    def noted(name, *args):
        names.append(name)
        return draw(name, *args)

    statics = ("name", "dtype", "constants", "then")
    monkeypatch.setattr(initial_values, "_block", jax.jit(noted, static_argnames=statics))
    return names


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_every_initializer_draws_what_it_draws_compiled(name, dtype):
    assert_as_compiled(lambda: INITIALIZERS[name](KEY, SHAPE, dtype))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 0.5 + 0.01 * x,  # one rounding on processors with fused multiply-add
        lambda x: 0.3 * (0.7 * x),  # one factor to XLA
        lambda x: jnp.sin(x) + x,
        lambda x: (x, 2 * x),
    ],
)
def test_what_follows_a_normal_rounds_as_compiled(function):
    assert_as_compiled(lambda: function(jax.random.normal(KEY, SHAPE)))


def test_a_draw_without_elements_and_of_one():
    assert_as_compiled(lambda: [jax.random.normal(KEY, shape) for shape in ((), (0, 3), (1,))])


def test_keys_of_another_generator_are_drawn_as_compiled():
    assert_as_compiled(lambda: jax.random.normal(jax.random.key(1, impl="rbg"), (5,)))


def test_threefry_that_is_not_partitionable_is_drawn_as_compiled():
    with jax.threefry_partitionable(False):
        assert_as_compiled(lambda: jax.random.normal(KEY, SHAPE))


@pytest.mark.parametrize(
    ("name", "shape", "fields"),
    [
        ("lenet5", (1, 32, 32, 1), {}),
        ("lenet5_1998", (1, 32, 32, 1), {}),
        ("vgg11", (1, 32, 32, 3), {"remat": True, "width": 1 / 16}),
    ],
)
@pytest.mark.sample(1)
def test_a_model_begins_as_compiled(name, shape, fields):
    model = models.create(name, num_classes=10, **fields)
    assert_as_compiled(lambda: model.init(KEY, jnp.zeros(shape), train=False))


def test_one_program_draws_the_kernels_of_all_shapes(compiled_names):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            for width in (3, 5, 8, 13, 21):
                x = nn.Dense(width)(x)
            return x

    initial_values.trace(lambda: Net().init(KEY, jnp.zeros((1, 7))))[1]()
    assert compiled_names == ["_truncated_normal"]


def test_the_forward_pass_is_not_run():
    def fails(x):
        raise AssertionError("computed")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Dense(4)(x)
            return jax.pure_callback(fails, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    variables = initial_values.trace(lambda: Net().init(KEY, jnp.zeros((1, 7))))[1]()
    assert variables["params"]["Dense_0"]["kernel"].shape == (7, 4)


@pytest.mark.parametrize("strategy", ["pmap", "jit", "fsdp"])
@pytest.mark.sample(1)
def test_a_run_begins_the_same_on_any_devices(strategy):
    one = small.build(small.config(ema_decay=0.9)).state
    entries = dict(parallel__devices=8, parallel__strategy=strategy)
    many = small.build(small.config(ema_decay=0.9, **entries)).state
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_two_arrays_of_a_state_share_memory():
    # Whether memory is aligned, and so could be shared, is chance.
    for _ in range(5):
        state = small.build(small.config(ema_decay=0.9)).state
        places = [x.unsafe_buffer_pointer() for x in jax.tree.leaves(state)]
        assert len(set(places)) == len(places)
