"""A model and its weights out of one file: which model, with which fields."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from cnnlab import models, pretrained
from cnnlab.analysis import listings
from cnnlab.errors import UserError
from cnnlab.pretrained.fields import FREE, contradictions, name_of, trained_with
from cnnlab.pretrained.param_map import shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES

UNITS = {"width": 1 / 16, "depths": (1, 1, 1, 1)}


def write(path, name, layout=0, prefix="", without=(), **arguments):
    """Write a file as a library has it, of random numbers, and return its path."""
    slots = slots_of(shapes_of(name, **arguments), SOURCES[name][layout])
    generator = np.random.default_rng(0)
    state = {
        f"{prefix}{slot.name}": generator.normal(size=slot.shape_there).astype(np.float32)
        for slot in slots.values()
        if not slot.name.startswith(tuple(without))
    }
    safetensors.numpy.save_file(state, path)
    return path


def takes(model, variables, size=64):
    """Return the shape of the output, which `apply` makes with these variables alone."""
    channels = next(iter(jax.tree.leaves(variables["params"]["stem"]["conv1"]))).shape[2]
    images = np.zeros((1, size, size, channels), np.float32)
    return jax.eval_shape(model.apply, variables, images)[0].shape


def test_the_fields_are_those_that_the_weights_were_trained_with(tmp_path):
    path = write(tmp_path / "file", "resnet50", num_classes=7, **UNITS)
    model, variables = pretrained.create("resnet50", path, depths=UNITS["depths"])
    assert (model.stride_in, model.num_classes, model.width) == ("3x3", 7, 1 / 16)
    assert takes(model, variables) == (1, 7)
    # Unless they are given.
    model, _ = pretrained.create("resnet50", path, **UNITS, stride_in="1x1", dropout=0.5)
    assert (model.stride_in, model.dropout) == ("1x1", 0.5)
    with pytest.raises(UserError, match="2 of another shape"):
        pretrained.create("resnet50", path, **UNITS, num_classes=3)


@pytest.mark.slow
def test_timms_mobilenet_is_found_by_its_file(tmp_path):
    model, _ = pretrained.create(write(tmp_path / "file", "mobilenet_v1_025", num_classes=7))
    fields = (model.activation, model.norm_epsilon, model.padding, model.width, model.num_classes)
    assert fields == ("relu6", 1e-5, "symmetric", 0.25, 7)


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("width", [1.0, 0.25])
@pytest.mark.sample(1)
def test_model_stem_and_width_are_found_under_any_prefix(stem, width, tmp_path):
    arguments = {"stem": stem, "width": width, "num_classes": 10}
    path = write(tmp_path / "file", "resnet18", prefix="state_dict.net.", **arguments)
    model, variables = pretrained.create(path)
    assert {key: getattr(model, key) for key in arguments} == arguments
    assert model.depths == (2, 2, 2, 2)
    assert takes(model, variables) == (1, 10)


def test_a_file_without_classifier_gives_a_model_without(tmp_path):
    path = write(tmp_path / "file", "resnet18", without=["fc."])
    model, variables = pretrained.create(path)
    assert model.num_classes == 0
    assert takes(model, variables) == (1, 512)
    path = write(tmp_path / "file", "googlenet_torchvision", without=["aux"])
    model, variables = pretrained.create("googlenet_torchvision", path)
    assert (model.auxiliary, model.num_classes) == (False, 1000)


@pytest.mark.parametrize("layout", ["torchvision", "cnnlab"])
@pytest.mark.sample(1)
def test_what_was_saved_of_a_model_is_created_again(layout, tmp_path):
    made = models.create("resnet50", **UNITS, shortcut="C", num_classes=3, stem="cifar")
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    variables = jax.jit(made.init)(jax.random.key(0), images)
    pretrained.save(made, variables, tmp_path / "file", layout=layout)
    model, again = pretrained.create(tmp_path / "file")
    assert model == made
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_a_name_without_a_file_and_a_file_of_no_model_are_said(tmp_path):
    with pytest.raises(UserError, match=r"'resnet18' is a model: which file .* models\.create"):
        pretrained.create("resnet18")
    with pytest.raises(UserError, match="resnet19 does not exist"):
        pretrained.create("resnet19")
    with pytest.raises(UserError, match="unknown model 'resnet19'; did you mean"):
        pretrained.create("resnet19", tmp_path / "file")
    safetensors.numpy.save_file({"a": np.zeros(2)}, tmp_path / "file")
    with pytest.raises(UserError, match="fits no model as it is: name the one"):
        pretrained.create(tmp_path / "file")


def test_preprocessing_needs_the_file_alone(tmp_path):
    path = write(tmp_path / "file", "googlenet_torchvision")
    assert pretrained.preprocessing(path).mean == (0.5, 0.5, 0.5)


@pytest.mark.slow
def test_what_another_library_would_compute_otherwise_is_warned_of(tmp_path, caplog):
    for stride, warned in (("3x3", False), ("1x1", True)):
        made = models.create("resnet50_v15", **UNITS, stride_in=stride)
        zeros = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, np.float32),
            jax.eval_shape(made.init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32)),
        )
        pretrained.save(made, zeros, tmp_path / "file")
        assert ("torchvision computes something else" in caplog.text) is warned


def test_names_are_those_with_the_nearest_fields():
    for name in ("resnet50", "resnet50_v15", "vgg11_bn", "googlenet_torchvision", "lenet5"):
        assert name_of(models.create(name, num_classes=7))[0] == name
        assert name_of(models.create(name, dropout=0.3)) == (name, {"dropout": 0.3})


def same_shapes():
    """Return pairs of models whose arrays are alike, and whose fields are not."""
    # Deep ones are their like.
    deep = ("resnet44", "plain44", "resnet56", "plain56", "resnet110", "resnet110_v2")
    entries = [e for n, e in listings.models().items() if n not in deep and e["parameters"] < 4e7]
    alike = [(a, b) for a in entries for b in entries if a["parameters"] == b["parameters"]]
    names = [(a["name"], b["name"]) for a, b in alike if a is not b]
    return [(a, b) for a, b in names if shapes_of(a) == shapes_of(b)]


@pytest.mark.slow
def test_every_two_models_of_the_same_shapes_contradict_each_other():
    pairs = same_shapes()
    assert ("resnet50", "resnet50_v15") in pairs
    for one, other in pairs:
        theirs = trained_with(one, SOURCES["resnet18"][0], {"model": other})
        assert contradictions(one, {}, theirs), (one, other)


CHANGES = {
    "plain18": {"residual": True, "shortcut": "A"},
    "lenet5": {"activation": "tanh"},
    "alexnet_torchvision": {"local_response": True},
    "xresnet18": {"activation": "mish"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_fields_that_change_what_the_same_arrays_compute_are_found(name):
    fields = {**models.MODELS[name].fields(), **CHANGES[name]}
    fields = {key: value for key, value in fields.items() if key not in FREE}
    assert contradictions(name, {}, fields) == CHANGES[name]


def test_fields_that_change_nothing_or_the_arrays_are_no_contradiction():
    # Basic units have one stride; another width has other arrays.
    assert not contradictions("resnet18", {}, {"stride_in": "3x3"})
    assert not contradictions("lenet5", {}, {"norm": "batch"})
