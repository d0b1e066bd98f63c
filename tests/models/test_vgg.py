"""VGG: parameters, multiply-adds and shapes of the paper's columns; the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError

# Parameters and multiply-adds of columns A to E, and the field of pool5.
COLUMNS = {
    "vgg11": (132_863_336, 7_609_090_048, 150),
    "vgg13": (133_047_848, 11_308_466_176, 156),
    "vgg16c": (133_638_952, 11_770_888_192, 156),
    "vgg16": (138_357_544, 15_470_264_320, 212),
    "vgg19": (143_667_240, 19_632_062_464, 268),
}
# Those of torchvision.
WITH_NORM = {
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}


def traced(name, size=(224, 224), **arguments):
    return summarize(models.create(name, **arguments), (1, *size, 3))


@pytest.mark.parametrize("name", COLUMNS)
def test_parameters_multiply_adds_and_fields_are_those_of_table_1(name):
    summary = traced(name)
    parameters, macs, size = COLUMNS[name]
    assert (summary.total.parameters, summary.total.macs) == (parameters, macs)
    assert summary.row("pool5").receptive_field == (size, size)
    shapes = {row.name: row.shape[1:] for row in summary.rows if row.name.startswith("pool")}
    assert shapes == {
        "pool1": (112, 112, 64),
        "pool2": (56, 56, 128),
        "pool3": (28, 28, 256),
        "pool4": (14, 14, 512),
        "pool5": (7, 7, 512),
    }


@pytest.mark.parametrize("name", WITH_NORM)
def test_with_batch_norm_the_convolutions_keep_their_biases(name):
    parameters, macs, _ = COLUMNS[name.removesuffix("_bn")]
    summary = traced(name)
    assert (summary.total.parameters, summary.total.macs) == (WITH_NORM[name], macs)
    filters = sum(row.shape[-1] for row in summary.rows if row.name.startswith("conv"))
    assert summary.total.parameters == parameters + 2 * filters


def test_endpoints_of_column_d_come_in_order():
    names = [row.name for row in traced("vgg16").rows]
    convolutions = [
        f"conv{n}_{m}" for n, c in enumerate((2, 2, 3, 3, 3), 1) for m in range(1, c + 1)
    ]
    pools = [f"pool{n}" for n in range(1, 6)]
    stages = sorted([*convolutions, *pools], key=lambda name: (name[4], name[0] == "p", name))
    assert names == [*stages, "fc6", "fc7", "features", "logits"]


@pytest.mark.parametrize("size", [(32, 32), (256, 230)])
def test_any_size_of_image_has_the_same_parameters(size):
    summary = traced("vgg16", size)
    assert summary.total.parameters == COLUMNS["vgg16"][0]
    assert summary.row("logits").shape == (1, 1000)


@pytest.fixture(scope="module")
def narrow():
    """Return images, parameters without zeros, and endpoints of a network of column C's kind."""
    model = models.create("vgg16c", layers=(1, 1, 3, 1, 1), width=1 / 16, num_classes=5)
    images = jax.random.normal(jax.random.key(0), (1, 48, 64, 3))
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape) / x.size**0.25, x.dtype),
        jax.eval_shape(model.init, jax.random.key(1), images)["params"],
    )
    return images, params, jax.jit(model.apply)({"params": params}, images)[1]


def test_forward_pass_equals_numpy(narrow):
    images, params, endpoints = narrow
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def conv(x, name):
        kernel, bias = p[name]["kernel"], p[name]["bias"]
        k, (h, w) = kernel.shape[0], x.shape[1:3]
        padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        y = sum(padded[:, u : u + h, v : v + w] @ kernel[u, v] for u, v in np.ndindex(k, k))
        return np.maximum(y + bias, 0)

    def halve(x):
        b, h, w, c = x.shape
        x = x[:, : h // 2 * 2, : w // 2 * 2]
        return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))

    x = np.asarray(images, np.float64)
    for n, depth in enumerate((1, 1, 3, 1, 1), 1):
        for m in range(1, depth + 1):
            x = conv(x, f"conv{n}_{m}")
        x = halve(x)
        np.testing.assert_allclose(endpoints[f"pool{n}"], x, rtol=1e-4, atol=1e-5)
    # Of 1x2 places 7x7 are made: the middle column is the mean of both.
    columns = [x[:, 0, 0]] * 3 + [x[:, 0].mean(1)] + [x[:, 0, 1]] * 3
    x = np.tile(np.stack(columns, 1)[:, None], (1, 7, 1, 1)).reshape(1, -1)
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ p[name]["kernel"] + p[name]["bias"], 0)
        np.testing.assert_allclose(endpoints[name], x, rtol=1e-4, atol=1e-5)
    x = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    np.testing.assert_allclose(endpoints["logits"], x, rtol=1e-4, atol=1e-5)


def test_the_third_convolution_of_column_c_has_one_tap(narrow):
    _, params, _ = narrow
    windows = {name: part["kernel"].shape[:2] for name, part in params.items() if "conv3" in name}
    assert windows == {"conv3_1": (3, 3), "conv3_2": (3, 3), "conv3_3": (1, 1)}


@pytest.mark.parametrize(
    ("initial", "variance"),
    [
        ("xavier", lambda i, o: 2 / (i + o)),
        ("he", lambda i, o: 2 / i),
        ("normal", lambda i, o: 1e-4),
    ],
)
def test_initial_weights_have_the_variance_of_their_name(initial, variance):
    model = models.create("vgg11", width=1 / 8, num_classes=0, initial=initial)

    # What is not asked for is not computed.
    @jax.jit
    def kernels(key):
        params = model.init(key, jnp.zeros((1, 32, 32, 3)))["params"]
        return params["conv3_2"]["kernel"], params["fc6"]["kernel"]

    conv, fc6 = kernels(jax.random.key(0))
    assert jnp.var(conv) == pytest.approx(variance(288, 288), rel=0.06)
    assert jnp.var(fc6) == pytest.approx(variance(49 * 64, 512), rel=0.06)


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        ((32, 31), {}, "32x31 are too small, it needs 32x32"),
        ((32, 32), {"initial": "xaver"}, "did you mean 'xavier'"),
        ((32, 32), {"layers": (1, 1)}, r"layers=\(1, 1\) needs five"),
        ((32, 32), {"layers": (1, 1, 0, 1, 1)}, "must be whole numbers of 1 or more"),
    ],
)
def test_what_cannot_work_is_named(size, arguments, message):
    with pytest.raises(UserError, match=message):
        traced("vgg16", size, **arguments)
