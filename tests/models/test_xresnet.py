"""XResNet: the counts of ResNet-D, and a small network in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import residual_numpy as plain

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.xresnet import ACTIVATIONS

# The stem's three convolutions for ResNet's one.
STEM = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64) - (49 * 3 * 64 + 2 * 64)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("xresnet18", 11_689_512 + STEM, 2_053_713_920),
        ("xresnet50", 25_576_264, 4_328_824_832),
    ],
)
def test_counts_are_exact(name, parameters, macs):
    total = summarize(models.create(name), (1, 224, 224, 3), axes=()).total
    assert (total.parameters, total.macs) == (parameters, macs)


def test_with_ten_classes_xresnet50_has_23547754_parameters():
    model = models.create("xresnet50", num_classes=10)
    tree = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))
    assert sum(x.size for x in jax.tree.leaves(tree["params"])) == 23_547_754


IMAGES = jax.random.normal(jax.random.key(0), (2, 37, 30, 3))


def build(**kwargs):
    return models.create("xresnet18", width=0.125, num_classes=3, **kwargs)


def test_forward_pass_equals_numpy():
    model = build(depths=(1, 1, 2, 1), stem_widths=(32, 64, 64))
    variables = plain.random_variables(model, IMAGES.shape)
    endpoints = jax.jit(model.apply)(variables, IMAGES)[1]
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    x = np.asarray(IMAGES, np.float64)
    for i, stride in ((1, 2), (2, 1), (3, 1)):
        x = plain.conv(x, p["stem"][f"conv{i}"], stride)
        x = plain.relu(plain.norm(x, p["stem"][f"norm{i}"], s["stem"][f"norm{i}"]))
    expected = {"stem": x}
    assert [p["stem"][f"conv{i}"]["kernel"].shape[-1] for i in (1, 2, 3)] == [4, 8, 8]
    x = expected["pool1"] = plain.max_pool(x)
    for stage, strides in (
        ("stage1", [1]),
        ("stage2", [2]),
        ("stage3", [2, 1]),
        ("stage4", [2]),
    ):
        for i, stride in enumerate(strides, 1):
            unit = (tree[stage][f"block{i}"] for tree in (p, s))
            x = plain.residual(x, *unit, "D", (stride, 1), (1, 1))
        expected[stage] = x
    x = expected["features"] = x.mean((1, 2))
    expected["logits"] = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    assert list(endpoints) == list(expected)
    for name, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(endpoints[name], value, atol=2e-5 * scale, err_msg=name)


def test_the_last_scale_of_every_branch_and_no_other_starts_at_zero():
    params = jax.jit(build(depths=(1, 1, 1, 1)).init)(jax.random.key(0), IMAGES)["params"]
    for path, value in jax.tree.leaves_with_path(params):
        if path[-1].key == "scale":
            assert np.all(value == (0 if path[-2].key == "norm2" and "stage" in path[0].key else 1))


def test_mish_takes_the_place_of_every_relu():
    x = np.linspace(-5, 5, 11)
    expected = x * np.tanh(np.log1p(np.exp(x)))
    np.testing.assert_allclose(ACTIVATIONS["mish"](jnp.asarray(x)), expected, atol=1e-6)
    model = build(stem="cifar", depths=(1, 1, 1, 1), activation="mish")
    images = IMAGES[:, :12, :12]
    variables = plain.random_variables(model, images.shape)
    endpoints = jax.jit(model.apply)(variables, images)[1]
    # Its least value is -0.309, where ReLU has none below 0.
    for name in ("stem", "stage1", "stage2", "stage3", "stage4"):
        assert -0.31 < endpoints[name].min() < 0


@pytest.mark.parametrize(
    ("pixels", "kwargs", "message"),
    [
        (16, {}, "16x16 are too small, it needs 17x17"),
        (4, {"stem": "cifar"}, "4x4 are too small, it needs 5x5"),
        (32, {"activation": "mish2"}, "unknown model.activation 'mish2'; did you mean 'mish'"),
    ],
)
def test_what_cannot_be_is_named(pixels, kwargs, message):
    with pytest.raises(UserError, match=message):
        build(**kwargs).init(jax.random.key(0), jnp.zeros((1, pixels, pixels, 3)))


def test_small_images_in_front_of_imagenets_stem_are_reported(caplog):
    model = models.create("xresnet18")
    jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 40, 3))))
    message = "a 3x3/2 convolution and pooling leave 8x10 of a 32x40 image: use model.stem=cifar"
    assert caplog.messages == [message]
