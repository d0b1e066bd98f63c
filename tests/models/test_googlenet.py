"""GoogLeNet: table 1's counts and shapes, what its normalization, pools and heads compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.googlenet import MODULES

NAMES = ("googlenet", "googlenet_torchvision", "inception_v1_bn")


@pytest.fixture(scope="module")
def summaries():
    return {name: summarize(models.create(name), (1, 224, 224, 3)) for name in NAMES[:2]}


def traced(size, name="googlenet", **kwargs):
    """Return shapes of the parameters, and of the endpoints in training."""
    model, images = models.create(name, **kwargs), jnp.zeros((1, *size, 3))
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}

    def both(images):
        return model.init_with_output(keys, images, train=True)

    (_, endpoints), variables = jax.eval_shape(both, images)
    return variables["params"], {name: x.shape[1:] for name, x in endpoints.items()}


@pytest.fixture(scope="module")
def whole():
    return {name: traced((224, 224), name) for name in NAMES}


def count(params):
    return sum(x.size for x in jax.tree.leaves(params))


@pytest.mark.slow
def test_parameters_with_and_without_auxiliary_classifiers(whole, summaries):
    both = {name: (count(params), count(without(params))) for name, (params, _) in whole.items()}
    assert both == {
        "googlenet": (13_378_280, 6_998_552),
        "googlenet_torchvision": (13_004_888, 6_624_904),
        "inception_v1_bn": (13_385_816, 7_005_832),
    }
    # They are there, too, where the initial call is not one of training.
    assert summaries["googlenet"].total.parameters == 13_378_280


def without(params):
    return {name: part for name, part in params.items() if not name.startswith("auxiliary")}


def test_multiply_adds_of_an_image(summaries):
    assert summaries["googlenet"].total.macs == 1_582_671_872
    assert summaries["googlenet_torchvision"].total.macs == 1_498_376_192


@pytest.mark.parametrize("name", NAMES)
def test_stages_have_the_shapes_of_table_1(whole, name):
    assert without(whole[name][1]) == {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2_reduce": (56, 56, 64),
        "conv2": (56, 56, 192),
        "pool2": (28, 28, 192),
        "inception3a": (28, 28, 256),
        "inception3b": (28, 28, 480),
        "pool3": (14, 14, 480),
        "inception4a": (14, 14, 512),
        "inception4b": (14, 14, 512),
        "inception4c": (14, 14, 512),
        "inception4d": (14, 14, 528),
        "inception4e": (14, 14, 832),
        "pool4": (7, 7, 832),
        "inception5a": (7, 7, 832),
        "inception5b": (7, 7, 1024),
        "features": (1024,),
        "logits": (1000,),
    }


@pytest.mark.parametrize("name", NAMES[:2])
def test_receptive_field_grows_by_window_times_stride(summaries, name):
    last_pool, large = (2, 3) if name == "googlenet_torchvision" else (3, 5)
    # (window, stride before it) of conv1, pool1, conv2, pool2, 3a, 3b, pool3, 4a-4e, pool4, 5a, 5b.
    layers = [(7, 1), (3, 2), (3, 4), (3, 4), *[(large, 8)] * 2, (3, 8)]
    layers += [*[(large, 16)] * 5, (last_pool, 16), *[(large, 32)] * 2]
    row = summaries[name].row("inception5b")
    assert row.receptive_field == (1 + sum((k - 1) * stride for k, stride in layers),) * 2
    assert row.stride == (32, 32)


def test_module_has_the_weights_of_its_row_of_table_1(summaries):
    below = 192
    for name, (a, r, b, s, d, p) in MODULES.items():
        weights = below * (a + r + s + p) + 9 * r * b + 25 * s * d
        assert summaries["googlenet"].row(name).parameters == weights + a + r + b + s + d + p
        below = a + b + d + p


def test_auxiliary_logits_come_in_training_alone(whole, summaries):
    for name in NAMES:
        params, shapes = whole[name]
        assert list(shapes)[-4:] == ["auxiliary1", "auxiliary2", "features", "logits"]
        assert shapes["auxiliary1"] == shapes["auxiliary2"] == (1000,)
        # 14x14 leaves 4x4 of the paper's windows and of torchvision's.
        assert params["auxiliary1"]["fc"]["kernel"].shape == (4 * 4 * 128, 1024)
    for summary in summaries.values():
        assert not any(row.name.startswith("auxiliary") for row in summary.rows)


@pytest.mark.parametrize("off", [{"auxiliary": False}, {"num_classes": 0}])
def test_without_auxiliary_classifiers_or_classes_there_are_none(whole, off):
    params, endpoints = traced((64, 64), **off)
    assert "auxiliary1" not in endpoints
    left = without(whole["googlenet"][0])
    if "num_classes" in off:
        del left["logits"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, left)


@pytest.fixture(scope="module")
def half():
    return traced((65, 97), width=0.5)


def test_width_scales_every_layer_but_the_logits(whole, half):
    full = jax.tree.leaves(whole["googlenet"][0])
    for (path, a), b in zip(jax.tree.leaves_with_path(half[0]), full, strict=True):
        logits = any(key.key == "logits" for key in path)
        assert a.shape[-1] * (1 if logits else 2) == b.shape[-1]


def test_pools_hang_over_the_end(half):
    shapes = half[1]
    sides = {name: shapes[name][:2] for name in ("conv1", "pool1", "pool2", "pool3", "pool4")}
    assert sides == {
        "conv1": (33, 49),
        "pool1": (16, 24),
        # 16 -> ceil((16 - 3) / 2) + 1 = 8 where rounding down gives 7.
        "pool2": (8, 12),
        "pool3": (4, 6),
        "pool4": (2, 3),
    }


def test_the_smallest_image_is_15x15():
    _, shapes = traced((15, 15))
    assert shapes["pool2"][:2] == (2, 2)
    assert shapes["pool3"][:2] == shapes["inception5b"][:2] == (1, 1)
    with pytest.raises(UserError, match="14x15 are too small"):
        traced((14, 15))


def normalized(x):
    """Local response normalization with Caffe's numbers, map by map."""
    y = np.empty_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - 2, 0) : c + 3]
        y[..., c] = x[..., c] / (1 + 1e-4 / 5 * (near**2).sum(-1)) ** 0.75
    return y


def test_responses_are_normalized_after_pool1_and_before_pool2():
    model = models.create("googlenet", width=0.125, num_classes=5, auxiliary=False)
    # Bright enough for the normalization to show.
    images = 300 * jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = jax.tree.map(lambda a: rng.normal(size=a.shape).astype("float32"), shapes)
    names = ("pool1", "conv2_reduce", "conv2", "pool2")

    # Not compiled: what these do not need.
    def start(variables, images):
        _, endpoints = model.apply(variables, images)
        return [endpoints[name] for name in names]

    pool1, reduced, conv2, pool2 = map(np.asarray, jax.jit(start)(variables, images))
    assert np.abs(normalized(pool1) / pool1.clip(1e-3) - 1).max() > 0.1
    assert np.abs(normalized(conv2) / conv2.clip(1e-3) - 1).max() > 0.1
    layer = variables["params"]["conv2_reduce"]
    expected = np.maximum(normalized(pool1) @ layer["kernel"][0, 0] + layer["bias"], 0)
    np.testing.assert_allclose(reduced, expected, rtol=1e-4, atol=1e-2)
    padded = np.pad(normalized(conv2), ((0, 0), (0, 1), (0, 1), (0, 0)))
    windows = [padded[:, u : u + 7 : 2, v : v + 7 : 2] for u in range(3) for v in range(3)]
    np.testing.assert_allclose(pool2, np.max(windows, 0), rtol=1e-4)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"large": 4}, "large=4 must be odd"),
        ({"auxiliary_pool": "max"}, "auxiliary_pool='max' is unknown"),
    ],
)
def test_what_cannot_work_is_named(kwargs, message):
    with pytest.raises(UserError, match=message):
        traced((64, 64), **kwargs)
