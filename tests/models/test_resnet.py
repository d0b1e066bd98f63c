"""ResNet: table 1 of the paper by tracing, and one small network in numpy, pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import residual_numpy as plain
from depth_counts import counts

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError

IMAGENET = (1, 224, 224, 3)


def shapes(shape=IMAGENET, name="resnet50", **kwargs):
    model = models.create(name, **kwargs)
    return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape)))


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("resnet18", 11_689_512, 1_814_073_344),
        ("plain34", 21_623_848, 3_644_493_824),
        ("resnext50_32x4d", 25_028_904, 4_230_479_872),
    ],
)
def test_counts_are_exact(name, parameters, macs):
    total = summarize(models.create(name), IMAGENET, axes=()).total
    assert (total.parameters, total.macs) == (parameters, macs)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("resnet50", 25_557_032, 3_857_973_248),
        ("resnet101", 44_549_160, 7_570_194_432),
        ("resnet152", 60_192_808, 11_282_415_616),
    ],
)
def test_counts_of_deep_networks_are_exact(name, parameters, macs):
    assert counts(name) == (parameters, macs)


@pytest.mark.parametrize(("name", "floats"), [("resnet18", 9_600), ("resnet50", 53_120)])
def test_running_statistics_are_two_for_each_channel_of_a_norm(name, floats):
    statistics = shapes((1, 64, 64, 3), name)["batch_stats"]
    assert sum(x.size for x in jax.tree.leaves(statistics)) == floats


@pytest.mark.parametrize(
    ("name", "channels", "fields", "parameters", "macs"),
    [
        ("resnet34", (64, 128, 256, 512), (59, 179, 547, 899), 21_797_672, 3_663_761_408),
        ("resnet50", (256, 512, 1024, 2048), (35, 99, 291, 483), 25_557_032, 3_857_973_248),
        # A 3x3 convolution that has the stride sees neighbors of the resolution before.
        ("resnet50_v15", (256, 512, 1024, 2048), (35, 91, 267, 427), 25_557_032, 4_089_184_256),
    ],
)
def test_stages_have_the_shapes_of_table_1_and_their_fields(
    name, channels, fields, parameters, macs
):
    summary = summarize(models.create(name), IMAGENET)
    rows = [("stem", 112, 64, 7, 2), ("pool1", 56, 64, 11, 4)]
    for s, (c, field) in enumerate(zip(channels, fields, strict=True)):
        rows.append((f"stage{s + 1}", 56 >> s, c, field, 4 << s))
    assert [row.name for row in summary.rows] == [r[0] for r in rows] + ["features", "logits"]
    for endpoint, pixels, c, field, stride in rows:
        row = summary.row(endpoint)
        assert row.shape == (1, pixels, pixels, c)
        assert (row.receptive_field, row.stride) == ((field, field), (stride, stride))
    assert (summary.total.parameters, summary.total.macs) == (parameters, macs)


def test_names_are_one_network_with_one_argument_changed():
    for depth in (50, 101, 152):
        other = models.create(f"resnet{depth}", stride_in="3x3")
        assert models.create(f"resnet{depth}_v15") == other
    for depth in (18, 34):
        other = models.create(f"resnet{depth}", residual=False)
        assert models.create(f"plain{depth}") == other


def test_width_scales_every_channel():
    params = shapes(width=0.5)["params"]
    assert params["stem"]["conv1"]["kernel"].shape == (7, 7, 3, 32)
    assert params["stage4"]["block3"]["conv3"]["kernel"].shape == (1, 1, 256, 1024)
    assert params["logits"]["kernel"].shape == (1024, 1000)


def test_forward_pass_equals_numpy():
    model = models.create(
        "resnet50",
        depths=(1, 2),
        widths=(8, 16),
        groups=2,
        width_per_group=32,
        num_classes=3,
        stride_in="3x3",
    )
    # Odd and not square: where a pixel of padding too many or too few shows.
    images = jax.random.normal(jax.random.key(0), (2, 37, 30, 3))
    variables = plain.random_variables(model, images.shape)
    endpoints = jax.jit(model.apply)(variables, images)[1]
    p, s = (plain.double(variables[part]) for part in ("params", "batch_stats"))
    x = plain.conv(np.asarray(images, np.float64), p["stem"]["conv1"], 2)
    expected = {"stem": plain.relu(plain.norm(x, p["stem"]["norm1"], s["stem"]["norm1"]))}
    x = expected["pool1"] = plain.max_pool(expected["stem"])
    for stage, strides in (("stage1", [1]), ("stage2", [2, 1])):
        for i, stride in enumerate(strides, 1):
            unit = (tree[stage][f"block{i}"] for tree in (p, s))
            x = plain.residual(x, *unit, "B", (1, stride, 1), (1, 2, 1))
        expected[stage] = x
    x = expected["features"] = x.mean((1, 2))
    expected["logits"] = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    assert list(endpoints) == list(expected)
    for name, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(endpoints[name], value, atol=2e-5 * scale, err_msg=name)


def test_a_plain_network_has_the_parameters_of_option_a():
    kwargs = {"depths": (2, 2), "widths": (8, 16), "block": "basic"}
    with_shortcuts = shapes((1, 64, 64, 3), shortcut="A", **kwargs)
    assert shapes((1, 64, 64, 3), residual=False, **kwargs) == with_shortcuts


@pytest.mark.parametrize(
    ("pixels", "stem", "warned"),
    [(32, "imagenet", True), (64, "imagenet", False), (32, "cifar", 0)],
)
def test_small_images_in_front_of_imagenets_stem_are_reported(pixels, stem, warned, caplog):
    shapes((1, pixels, pixels, 3), "resnet18", stem=stem)
    message = "a 7x7/2 convolution and pooling leave 8x8 of a 32x32 image: use model.stem=cifar"
    assert caplog.messages == [message] * bool(warned)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"stem": "imagnet"}, "unknown model.stem 'imagnet'; did you mean 'imagenet'"),
        ({"depths": (1, 2)}, "model.depths=\\(1, 2\\) must be .* each of the 4 stages"),
        ({"depths": (1, 0, 1, 1)}, "model.depths=\\(1, 0, 1, 1\\)"),
        ({"shortcut": "none"}, "unknown model.shortcut 'none'; there are: A, B, C, D"),
    ],
)
def test_what_cannot_be_is_named(kwargs, message):
    with pytest.raises(UserError, match=message):
        shapes((1, 64, 64, 3), **kwargs)
