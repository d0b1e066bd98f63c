"""Residual units against numpy, option by option; what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import residual_numpy as plain

from cnnlab.errors import UserError
from cnnlab.models.residual import ResidualBlock, make_block
from cnnlab.models.residual_layers import LayerFactory, gain_of

# Odd and not square: where a pixel of padding too many or too few shows.
X = jax.random.normal(jax.random.key(0), (2, 7, 5, 8))
LAYERS = LayerFactory("batch", "", False, jnp.float32)


def unit(convs, option, layers=LAYERS, x=X):
    module = ResidualBlock(convs, option, layers)
    return module, jax.jit(module.init)(jax.random.key(1), x)


@pytest.mark.parametrize(
    ("option", "channels", "stride", "parameters"),
    [
        # Of the 3x3 kernels and norms; then the shortcut's.
        ("", 16, 2, 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16),
        ("A", 16, 2, 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16),
        ("A", 8, 2, 2 * 9 * 8 * 8 + 4 * 8),
        ("B", 8, 1, 2 * 9 * 8 * 8 + 4 * 8),
        ("B", 16, 2, 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16 + 8 * 16 + 2 * 16),
        ("C", 8, 1, 2 * 9 * 8 * 8 + 4 * 8 + 8 * 8 + 2 * 8),
        ("D", 16, 1, 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16 + 8 * 16 + 2 * 16),
        ("D", 16, 2, 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16 + 8 * 16 + 2 * 16),
    ],
)
def test_a_basic_unit_equals_numpy(option, channels, stride, parameters):
    module = ResidualBlock(make_block("basic")(channels, stride), option, LAYERS)
    variables = plain.random_variables(module, X.shape)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == parameters
    check(module, variables, (stride, 1), (1, 1))


@pytest.mark.parametrize(
    ("stride_in", "strides"), [("1x1", (2, 1, 1)), ("3x3", (1, 2, 1))], ids=["v1", "v1.5"]
)
def test_a_bottleneck_in_groups_equals_numpy(stride_in, strides):
    make = make_block("bottleneck", stride_in=stride_in, groups=2, width_per_group=16)
    assert [conv.filters for conv in make(16, 2)] == [8, 8, 64]
    module = ResidualBlock(make(16, 2), "B", LAYERS)
    check(module, plain.random_variables(module, X.shape), strides, (1, 2, 1))


def check(module, variables, strides, groups, before=0):
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    x = np.asarray(X, np.float64)
    expected = plain.residual(x, p, s, module.shortcut, strides, groups, before)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, X), expected, atol=2e-5)


@pytest.mark.parametrize(("channels", "before"), [(16, 4), (13, 2), (8, 0)])
def test_zeros_of_option_a_can_lie_on_both_sides(channels, before):
    layers = LayerFactory("batch", "", False, jnp.float32, shortcut_padding="both")
    module = ResidualBlock(make_block("basic")(channels, 2), "A", layers)
    check(module, plain.random_variables(module, X.shape), (2, 1), (1, 1), before)


def test_keras_defaults_have_biases_before_norms_and_same_padding():
    layers = LayerFactory(
        *("batch", "", False, jnp.float32),
        **dict(shortcut_norm=False, conv_bias=True, padding="SAME", epsilon=1e-3),
    )
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 8))
    module = ResidualBlock(make_block("basic")(16, 2), "B", layers)
    variables = plain.random_variables(module, x.shape)
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    assert {name for name, layer in p.items() if "bias" in layer} == set(p)
    assert "shortcut_norm" not in p
    x = np.asarray(x, np.float64)
    # Under stride 2 of even sizes TensorFlow pads the bottom and the right alone.
    y = plain.conv(x, p["conv1"])[:, 1::2, 1::2]
    y = plain.relu(plain.norm(y, p["norm1"], s["norm1"], 1e-3))
    y = plain.norm(plain.conv(y, p["conv2"]), p["norm2"], s["norm2"], 1e-3)
    expected = plain.relu(y + plain.conv(x, p["shortcut_conv"], 2))
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), expected, atol=2e-5)


def test_a_last_scale_of_zero_makes_a_unit_its_shortcut():
    layers = LayerFactory("batch", "", True, jnp.float32, zero_scale=True)
    module, variables = unit(make_block("basic")(8, 1), "B", layers)
    assert not np.any(variables["params"]["norm2"]["scale"])
    assert np.all(variables["params"]["norm1"]["scale"] == 1)
    y, _ = module.apply(variables, X, mutable=["batch_stats"])
    np.testing.assert_array_equal(y, jax.nn.relu(X))


def test_without_norms_branches_have_biases_and_start_smaller():
    assert gain_of("batch", (3, 4, 6, 3)) == 1 and gain_of("", (3, 4, 6, 3)) == 0.25
    x = jnp.zeros((1, 2, 2, 64))
    layers = LayerFactory("", "", True, jnp.float32, gain=0.25)
    _, variables = unit(make_block("basic")(64, 1), "B", layers, x)
    params = variables["params"]
    assert {name: set(layer) for name, layer in params.items()} == {
        "conv1": {"kernel", "bias"},
        "conv2": {"kernel", "bias"},
    }
    variance = {name: np.var(layer["kernel"]) * 9 * 64 / 2 for name, layer in params.items()}
    assert variance["conv1"] == pytest.approx(1, rel=0.03)
    assert variance["conv2"] == pytest.approx(0.25**2, rel=0.03)


def test_width_and_groups_round_to_what_divides():
    make = make_block("bottleneck", width=0.3, groups=32, width_per_group=4)
    # 128 * 0.3 = 38.4 is nearest to 32; 64 * 0.3 to 19.
    assert [conv.filters for conv in make(64, 1)] == [32, 32, 76]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"block": "botleneck"}, "model.block 'botleneck'; did you mean 'bottleneck'"),
        ({"block": "bottleneck", "stride_in": "2x2"}, "unknown model.stride_in '2x2'"),
        ({"block": "basic", "groups": 2}, "model.groups=2 .* need block='bottleneck'"),
    ],
)
def test_a_branch_that_cannot_be_is_named(kwargs, message):
    with pytest.raises(UserError, match=message):
        make_block(**kwargs)


@pytest.mark.parametrize(
    ("option", "channels", "message"),
    [("E", 8, "unknown model.shortcut 'E'"), ("A", 4, "cannot make 4 of 8 channels")],
)
def test_a_shortcut_that_cannot_be_is_named(option, channels, message):
    with pytest.raises(UserError, match=message):
        unit(make_block("basic")(channels, 1), option)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("shortcut_padding", "unknown model.shortcut_padding 'bot'; did you mean 'both'"),
        ("padding", "unknown model.padding 'bot'"),
    ],
)
def test_a_padding_that_cannot_be_is_named(field, message):
    layers = LayerFactory("batch", "", False, jnp.float32, **{field: "bot"})
    with pytest.raises(UserError, match=message):
        unit(make_block("basic")(16, 2), "A", layers)
