"""Koch's tower: the paper's shapes, parameters and initial weights, the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.koch import Koch

# 28 -> conv 24 -> pool 12 -> conv 10 -> pool 5 -> conv 3
SMALL = {"channels": (3, 4, 5), "kernels": (5, 3, 3), "units": 6}
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 28, 28, 1)), jnp.float32)


def random_params(model, images=IMAGES):
    """Return parameters that let a signal through, which the paper's initial ones hardly do."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes)


def test_shapes_and_parameters_are_those_of_figure_4():
    summary = summarize(Koch(), (1, 105, 105, 1))
    rows = {row.name: (row.shape[1:], row.parameters) for row in summary.rows}
    assert rows == {
        "conv1": ((96, 96, 64), 6_464),
        "pool1": ((48, 48, 64), 0),
        "conv2": ((42, 42, 128), 401_536),
        "pool2": ((21, 21, 128), 0),
        "conv3": ((18, 18, 128), 262_272),
        "pool3": ((9, 9, 128), 0),
        "conv4": ((6, 6, 256), 524_544),
        "dense5": ((4096,), 37_752_832),
        "features": ((4096,), 0),
    }
    assert list(rows) == [row.name for row in summary.rows]
    assert summary.total.parameters == 38_947_648
    assert summary.row("conv4").receptive_field == (65, 65)


def test_forward_pass_equals_numpy():
    model = Koch(num_classes=2, **SMALL)
    params = random_params(model)
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def correlate(x, kernel, bias):
        k = kernel.shape[0]
        height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
        y = np.zeros((len(x), height, width, kernel.shape[-1])) + bias
        for u, v in np.ndindex(k, k):
            y += x[:, u : u + height, v : v + width] @ kernel[u, v]
        return y

    def halve(x):
        b, h, w, c = x.shape
        return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    expected = {}
    x = np.asarray(IMAGES, np.float64)
    for n in (1, 2, 3):
        x = expected[f"conv{n}"] = np.maximum(correlate(x, **p[f"conv{n}"]), 0)
        if n < 3:
            x = expected[f"pool{n}"] = halve(x)
    x = 1 / (1 + np.exp(-(x.reshape(2, -1) @ p["dense4"]["kernel"] + p["dense4"]["bias"])))
    expected["dense4"] = expected["features"] = x
    expected["logits"] = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    output, endpoints = jax.jit(model.apply)({"params": params}, IMAGES)
    assert list(endpoints) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(endpoints[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(output, endpoints["logits"])


def test_without_classes_the_output_is_the_sigmoid_units():
    model = Koch(**SMALL)
    output, endpoints = jax.jit(model.apply)({"params": random_params(model)}, IMAGES)
    assert list(endpoints)[-1] == "features"
    np.testing.assert_array_equal(output, endpoints["dense4"])
    assert output.shape == (2, 6) and np.all((output > 0) & (output < 1))


def test_initial_weights_and_biases_are_the_papers():
    params = jax.jit(Koch(width=0.125).init)(jax.random.key(0), jnp.zeros((1, 65, 65, 1)))["params"]
    for name, std in (("conv1", 0.01), ("conv2", 0.01), ("conv4", 0.01), ("dense5", 0.2)):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        assert float(jnp.std(kernel)) == pytest.approx(std, rel=0.05), name
        assert abs(float(jnp.mean(kernel))) < 0.1 * std, name
        assert float(jnp.mean(bias)) == pytest.approx(0.5, abs=0.02), name
    assert float(jnp.std(params["dense5"]["bias"])) == pytest.approx(0.01, rel=0.1)


def test_width_scales_filters_and_units():
    shapes = jax.eval_shape(Koch(width=0.125).init, jax.random.key(0), jnp.zeros((1, 65, 65, 1)))
    assert [v["bias"].size for v in shapes["params"].values()] == [8, 16, 16, 32, 512]


@pytest.mark.parametrize(
    ("size", "fields", "message"),
    [
        (64, {}, "64x64 are too small, it needs 65x65"),
        (19, SMALL, "19x19 are too small, it needs 20x20"),
        (28, {**SMALL, "initial": "kock"}, "did you mean 'koch'"),
        (28, {**SMALL, "kernels": (5, 3)}, r"kernels=\(5, 3\) and channels=\(3, 4, 5\)"),
    ],
)
def test_what_cannot_work_is_named(size, fields, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(Koch(**fields).init, jax.random.key(0), jnp.zeros((1, size, size, 1)))


def test_the_smallest_image_leaves_one_place():
    model = Koch(**SMALL)
    smallest = jnp.zeros((1, 20, 20, 1))
    params = random_params(model, smallest)
    _, endpoints = jax.eval_shape(model.apply, {"params": params}, smallest)
    assert endpoints["conv3"].shape == (1, 1, 1, 5)
