"""AlexNet: the paper's parameters, multiply-adds, shapes and fields; its norms and dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError

NARROW = {"width": 0.125, "num_classes": 10}
NAMES = ["alexnet", "alexnet_torchvision"]
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 67, 67, 3)), jnp.float32)


def traced(name, size, **arguments):
    return summarize(models.create(name, **arguments), (1, *size, 3))


def test_parameters_and_shapes_are_those_of_2012():
    summary = traced("alexnet", (227, 227))
    rows = {row.name: (row.shape[1:], row.parameters) for row in summary.rows}
    assert rows == {
        "conv1": ((55, 55, 96), 34_944),
        "norm1": ((55, 55, 96), 0),
        "pool1": ((27, 27, 96), 0),
        "conv2": ((27, 27, 256), 307_456),
        "norm2": ((27, 27, 256), 0),
        "pool2": ((13, 13, 256), 0),
        "conv3": ((13, 13, 384), 885_120),
        "conv4": ((13, 13, 384), 663_936),
        "conv5": ((13, 13, 256), 442_624),
        "pool5": ((6, 6, 256), 0),
        "fc6": ((4096,), 37_752_832),
        "fc7": ((4096,), 16_781_312),
        "features": ((4096,), 0),
        "logits": ((1000,), 4_097_000),
    }
    assert list(rows) == [row.name for row in summary.rows]
    assert summary.total.parameters == 60_965_224
    assert summary.total.macs == 724_406_816


def test_receptive_fields_grow_to_195_pixels_and_the_dense_layers_see_all():
    summary = traced("alexnet", (454, 454))
    fields = {row.name: row.receptive_field for row in summary.rows}
    expected = dict(conv1=11, pool1=19, conv2=51, pool2=67, conv3=99, conv4=131, conv5=163)
    for name, size in {**expected, "pool5": 195}.items():
        assert fields[name] == (size, size)
    assert summary.row("pool5").stride == (32, 32)
    # As a convolution over 6x6 places of pool5 fc6 would see 195 + 5 * 32 = 355.
    assert fields["fc6"] == (None, None)


def test_one_group_has_the_parameters_of_all_connections():
    assert traced("alexnet", (227, 227), groups=1).total.parameters == 62_378_344


def test_the_single_tower_has_the_parameters_and_multiply_adds_of_torchvision():
    summary = traced("alexnet_torchvision", (224, 224))
    assert summary.total.parameters == 61_100_840
    assert summary.total.macs == 714_188_480
    assert not {"norm1", "norm2"} & {row.name for row in summary.rows}


@pytest.mark.parametrize("size", [(63, 63), (300, 250)])
def test_the_single_tower_takes_any_size_with_the_same_parameters(size):
    assert traced("alexnet_torchvision", size).total.parameters == 61_100_840


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_biases_start_as_in_section_5(name):
    model = models.create(name, **NARROW)

    # What is not asked for is not computed.
    @jax.jit
    def some(key):
        params = model.init(key, IMAGES)["params"]
        biases = {layer: part["bias"] for layer, part in params.items()}
        return biases, params["conv3"]["kernel"], params["fc7"]["kernel"]

    biases, *kernels = some(jax.random.key(1))
    paper = name == "alexnet"
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"} if paper else set()
    for layer, bias in biases.items():
        np.testing.assert_array_equal(bias, float(layer in ones), err_msg=layer)
    for kernel in kernels:
        fan_in = kernel.size // kernel.shape[-1]
        variance = 1e-4 if paper else 2 / fan_in
        assert jnp.var(kernel) == pytest.approx(variance, rel=0.06)


@pytest.fixture(scope="module", params=NAMES)
def trained(request):
    """Return a name, and the endpoints in training for two keys of dropout."""
    model, rng = models.create(request.param, **NARROW), np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape) / x.size**0.25, x.dtype),
        jax.eval_shape(model.init, jax.random.key(1), IMAGES)["params"],
    )
    apply = jax.jit(lambda p, key: model.apply({"params": p}, IMAGES, train=True, rngs=key)[1])
    return request.param, [apply(params, {"dropout": jax.random.key(n)}) for n in range(2)]


def test_dropout_is_where_the_paper_has_it(trained):
    name, (one, other) = trained
    np.testing.assert_array_equal(one["pool5"], other["pool5"])
    first = name == "alexnet_torchvision"
    assert jnp.array_equal(one["fc6"], other["fc6"]) is not first
    assert not jnp.array_equal(one["fc7"], other["fc7"])
    if first:
        np.testing.assert_array_equal(one["features"], one["fc7"])
    else:
        kept = np.asarray(one["features"])[np.asarray(one["fc7"]) > 0]
        values = np.asarray(one["fc7"])[np.asarray(one["fc7"]) > 0]
        assert set(np.unique(np.round(kept / values, 5))) == {0.0, 2.0}


def test_norms_divide_by_five_maps_and_pools_overlap(trained):
    name, (x, _) = trained
    before = np.asarray(x["conv1"], np.float64)
    if name == "alexnet":
        padded = np.pad(before**2, ((0, 0), (0, 0), (0, 0), (2, 2)))
        near = sum(padded[..., n : n + before.shape[-1]] for n in range(5))
        before = before / (2 + 1e-4 * near) ** 0.75
        np.testing.assert_allclose(x["norm1"], before, rtol=1e-5)
    out = x["pool1"].shape[1]
    for i, j in ((0, 0), (1, 2), (out - 1, out - 1)):
        window = before[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        np.testing.assert_allclose(x["pool1"][:, i, j], window.max((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("name", "smallest"), [("alexnet", 67), ("alexnet_torchvision", 63)])
def test_the_smallest_image_works_and_a_smaller_one_is_named(name, smallest):
    assert traced(name, (smallest, smallest), **NARROW).row("pool5").shape[1:3] == (1, 1)
    with pytest.raises(UserError, match=f"it needs {smallest}x{smallest}"):
        traced(name, (smallest, smallest - 1), **NARROW)


def test_unknown_initial_weights_are_named():
    with pytest.raises(UserError, match="did you mean 'normal'"):
        traced("alexnet", (67, 67), initial="norml")
