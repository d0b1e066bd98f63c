"""ResNet v2: parameters by tracing, units and a whole network in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import residual_numpy as plain
from depth_counts import counts

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.models.residual import make_block
from cnnlab.models.residual_layers import LayerFactory
from cnnlab.models.resnet_v2 import PreActivationBlock


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("resnet50_v2", 25_549_352, 3_857_973_248),
        ("resnet101_v2", 44_541_480, 7_570_194_432),
        ("resnet152_v2", 60_185_128, 11_282_415_616),
        ("resnet200_v2", 64_666_152, 14_776_270_848),
        # As v1: no shortcut has parameters.
        ("resnet110_v2", 1_727_962, 252_887_680),
        ("resnet164_v2", 1_703_258, 244_500_992),
    ],
)
@pytest.mark.sample(2)
def test_counts(name, parameters, macs):
    assert counts(name) == (parameters, macs)


def test_18_layers_have_those_of_v1_without_the_norms_of_shortcuts():
    total = summarize(models.create("resnet18_v2"), (1, 224, 224, 3), axes=()).total
    assert total.parameters == 11_689_512 - 2 * (128 + 256 + 512)
    assert total.macs == 1_814_073_344


def test_1001_layers_have_the_papers_10_2_million_weights_without_norms():
    # Norms of 4 m, m and m channels; those of a stage's first unit have the inputs of the stage
    # before; one at the end.
    norms = 2 * (111 * 6 * (16 + 32 + 64) - (64 - 16) - (128 - 64) - (256 - 128) + 256)
    assert counts("resnet1001_v2")[0] - norms == 10_178_490


X = jax.random.normal(jax.random.key(0), (2, 7, 5, 8))
LAYERS = LayerFactory("batch", "", False, jnp.float32)


@pytest.mark.parametrize(
    ("block", "channels", "stride", "option", "first"),
    [
        ("basic", 8, 1, "B", False),
        ("basic", 8, 1, "B", True),
        ("basic", 16, 2, "A", False),
        ("basic", 8, 2, "B", False),
        ("basic", 8, 1, "C", False),
        ("bottleneck", 4, 2, "D", False),
    ],
)
def test_a_unit_equals_numpy(block, channels, stride, option, first):
    convs = make_block(block)(channels, stride)
    module = PreActivationBlock(convs, option, LAYERS, first)
    variables = plain.random_variables(module, X.shape)
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    activated = first or option == "C" or stride == 2
    strides = [conv.stride for conv in convs]
    expected = plain.pre_activation(np.asarray(X, float), p, s, option, strides, activated)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, X), expected, atol=2e-5)
    assert "shortcut_norm" not in p


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_forward_pass_equals_numpy(stem):
    model = models.create(
        "resnet18_v2", depths=(2, 1), widths=(4, 8), num_classes=3, stem=stem, stride_in="3x3"
    )
    images = jax.random.normal(jax.random.key(0), (2, 19, 14, 3))
    variables = plain.random_variables(model, images.shape)
    endpoints = jax.jit(model.apply)(variables, images)[1]
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    assert list(p["stem"]) == ["conv1"]
    stride = 2 if stem == "imagenet" else 1
    x = plain.conv(np.asarray(images, np.float64), p["stem"]["conv1"], stride)
    expected = {"stem": x}
    if stem == "imagenet":
        x = expected["pool1"] = plain.max_pool(x)
    for stage, strides in (("stage1", [1, 1]), ("stage2", [2])):
        for i, stride in enumerate(strides, 1):
            unit = (tree[stage][f"block{i}"] for tree in (p, s))
            activated = stride == 2 or (stage, i) == ("stage1", 1)
            x = plain.pre_activation(x, *unit, "B", (stride, 1), activated)
        expected[stage] = x
    x = expected["features"] = plain.relu(plain.norm(x, p["norm"], s["norm"])).mean((1, 2))
    expected["logits"] = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    assert list(endpoints) == list(expected)
    for name, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(endpoints[name], value, atol=2e-5 * scale, err_msg=name)


def test_without_norms_12_units_do_not_blow_the_signal_up():
    model = models.create("resnet110_v2", depths=(12,), widths=(32,), norm="")
    images = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
    variables = jax.jit(model.init)(jax.random.key(1), images)
    assert "norm" not in variables["params"] and "batch_stats" not in variables
    endpoints = jax.jit(model.apply)(variables, images)[1]
    grown = jnp.mean(endpoints["stage1"] ** 2) / jnp.mean(endpoints["stem"] ** 2)
    # Units of He's own weights would make it 2^12, those of 1/12 the variance at most e.
    assert 0.5 < grown < np.e
