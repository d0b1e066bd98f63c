"""Keras' .h5: models of MLPerf Tiny out of one file; files that are damaged, or something else."""

import builtins
import json

import jax
import keras_files
import numpy as np
import pytest
from published import real

from cnnlab import models, pretrained
from cnnlab.errors import UserError
from cnnlab.pretrained.checkpoint_file import read_checkpoint
from cnnlab.pretrained.keras_file import START
from cnnlab.pretrained.param_map import shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES

h5py = pytest.importorskip("h5py")


def random_layers(name, **arguments):
    """Return layers of random numbers as the reference models of MLPerf Tiny have them."""
    source = SOURCES[name][-1]
    shapes = shapes_of(name, **{**source.arguments, **arguments})
    rng = np.random.default_rng(0)
    return keras_files.layers_of(
        {
            slot.name: rng.normal(size=slot.shape_there).astype(np.float32)
            for slot in slots_of(shapes, source).values()
        }
    )


@pytest.fixture(scope="module")
def resnet():
    return random_layers("resnet8_mlperf_tiny")


def test_the_resnet_and_its_preprocessing_are_found_by_the_file(resnet, tmp_path):
    path = keras_files.write(tmp_path / "it.h5", resnet, keras_files.config_of(resnet))
    model, variables = pretrained.create(path)
    assert model == models.create("resnet8_mlperf_tiny")
    params = variables["params"]
    shortcut = params["stage2"]["block1"]["shortcut_conv"]
    np.testing.assert_array_equal(shortcut["kernel"], resnet["conv2d_5"]["kernel"])
    np.testing.assert_array_equal(shortcut["bias"], resnet["conv2d_5"]["bias"])
    np.testing.assert_array_equal(params["logits"]["kernel"], resnet["dense"]["kernel"])
    norm = variables["batch_stats"]["stage3"]["block1"]["norm2"]
    np.testing.assert_array_equal(norm["var"], resnet["batch_normalization_6"]["moving_variance"])
    # Numbers of 0 to 255: x / 255 divided by 1 / 255.
    found = pretrained.preprocessing(path)
    assert (found.size, found.mean, found.std) == (32, (0.0,) * 3, (1 / 255,) * 3)
    pretrained.save(model, variables, tmp_path / "ours", preprocessing=found)
    again, same = pretrained.create(tmp_path / "ours")
    assert again == model and pretrained.preprocessing(tmp_path / "ours") == found
    jax.tree.map(np.testing.assert_array_equal, same, variables)


def test_the_mobilenet_has_the_fields_of_its_training(tmp_path):
    layers = random_layers("mobilenet_v1_025", num_classes=2)
    path = keras_files.write(tmp_path / "it.h5", layers, keras_files.config_of(layers))
    model, variables = pretrained.create(path)
    fields = {"num_classes": 2, "conv_bias": True, "padding": "SAME"}
    assert model == models.create("mobilenet_v1_025", **fields)
    assert sum(x.size for x in jax.tree.leaves(variables)) == 221_794
    kernel = layers["depthwise_conv2d_12"]["depthwise_kernel"]
    block = variables["params"]["block13"]
    np.testing.assert_array_equal(block["depthwise"]["kernel"][:, :, 0], kernel[..., 0])
    with pytest.raises(UserError, match=r"with padding='SAME', conv_bias=True; pretrained.create"):
        pretrained.load("mobilenet_v1_025", path, num_classes=2)
    # Keras 3 has no name of its own for that kernel, and no ":0".
    for leaves in layers.values():
        if "depthwise_kernel" in leaves:
            leaves["kernel"] = leaves.pop("depthwise_kernel")
    path = keras_files.write(path, layers, keras_files.config_of(layers), suffix="")
    again = pretrained.create(path)[1]["params"]["block13"]
    np.testing.assert_array_equal(again["depthwise"]["kernel"][:, :, 0], kernel[..., 0])


def test_weights_alone_and_numbers_that_begin_later_are_the_same(resnet, tmp_path):
    arrays = read_checkpoint(keras_files.write(tmp_path / "one.h5", resnet)).arrays
    later = {}
    for name, leaves in resnet.items():
        kind, _, number = name.rpartition("_") if name[-1].isdigit() else (name, "", "0")
        kind, number = (name, "0") if name in ("conv2d", "dense") else (kind, number)
        later[f"{kind}_{int(number) + 9}"] = leaves
    found = read_checkpoint(keras_files.write(tmp_path / "two.h5", later, whole=False))
    assert not found.metadata
    assert set(found.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_long_lists_of_names_are_read_from_their_parts(resnet, tmp_path):
    path = keras_files.write(tmp_path / "it.h5", resnet)
    names = set(read_checkpoint(path).arrays)
    with h5py.File(path, "a") as file:
        listed = file["model_weights"].attrs.pop("layer_names")
        for n in range(3):
            file["model_weights"].attrs[f"layer_names{n}"] = listed[n::3]
    assert set(read_checkpoint(path).arrays) == names


def test_the_file_says_epsilon_padding_and_activation(resnet, tmp_path):
    changes = {name: {"epsilon": 2e-5} for name in resnet if keras_files.bn(name)}
    path = keras_files.write(tmp_path / "it.h5", resnet, keras_files.config_of(resnet, **changes))
    assert pretrained.create(path)[0].norm_epsilon == 2e-5
    with pytest.raises(UserError, match="trained with norm_epsilon=2e-05"):
        pretrained.load("resnet8_mlperf_tiny", path)
    changes.popitem()
    keras_files.write(path, resnet, keras_files.config_of(resnet, **changes))
    with pytest.raises(UserError, match=r"layers differ in norm_epsilon, 2e-05 and 0.001"):
        pretrained.create(path)
    changes = {name: {"padding": "valid"} for name in resnet if name.startswith("conv2d")}
    keras_files.write(path, resnet, keras_files.config_of(resnet, **changes))
    with pytest.raises(UserError, match=r"model\.padding 'VALID'"):
        pretrained.create(path)


def test_without_h5py_the_extra_is_named(resnet, tmp_path, monkeypatch):
    path = keras_files.write(tmp_path / "it.h5", resnet)
    real = builtins.__import__

    def without(name, *arguments, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *arguments, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="the extra keras: pip install h5py"):
        read_checkpoint(path)


ONE = {"dense": {"kernel": np.ones((3, 2), np.float32)}}


def edited(change):
    """Return what makes a right file and changes it."""

    def make(path):
        keras_files.write(path, ONE, keras_files.config_of(ONE))
        with h5py.File(path, "a") as file:
            change(file)

    return make


def replaced(**options):
    """Return what writes the kernel anew."""

    def change(file):
        group = file["model_weights/dense/dense"]
        del group["kernel:0"]
        group.create_dataset("kernel:0", **options)

    return edited(change)


def linked(file):
    outside = file.filename + ".other"
    keras_files.write(outside, ONE)
    del file["model_weights/dense"]
    file["model_weights/dense"] = h5py.ExternalLink(outside, "model_weights/dense")


def cut(path):
    keras_files.write(path, ONE)
    path.write_bytes(path.read_bytes()[:-400])


def config(text):
    return edited(lambda file: file.attrs.__setitem__("model_config", text))


HOSTILE = {
    "a signature alone": (lambda path: path.write_bytes(START + bytes(50)), "damaged HDF5"),
    "cut": (cut, "damaged HDF5"),
    "empty": (lambda path: h5py.File(path, "w").close(), "no layers of Keras are in it"),
    "Keras 3's weights": (
        lambda path: h5py.File(path, "w").create_dataset("layers/dense/vars/0", data=[1.0]),
        "only layers: in Keras, write it with model.save",
    ),
    "a group that is missing": (edited(lambda f: f["model_weights"].pop("dense")), "damaged HDF5"),
    "numbers for groups": (
        edited(lambda f: f["model_weights"].attrs.__setitem__("layer_names", 5)),
        "damaged HDF5",
    ),
    "a group for an array": (
        edited(
            lambda f: (
                f.pop("model_weights/dense/dense/kernel:0"),
                f.create_group("model_weights/dense/dense/kernel:0"),
            )
        ),
        "damaged HDF5",
    ),
    "a link to another file": (edited(linked), "lies in another file"),
    "numbers in another file": (
        replaced(shape=(3, 2), dtype="f4", external=[("elsewhere", 0, 24)]),
        "lies in another file",
    ),
    "numbers that are not there": (replaced(shape=(10**6, 10**6), dtype="f4"), "missing"),
    "zeros that unfold": (
        replaced(data=np.zeros(10**6, np.float32), compression="gzip"),
        "compressed",
    ),
    "words": (replaced(data=["a", "b"]), "no weights"),
    "a config that is no JSON": (config("{not json}"), "damaged HDF5"),
    "a config that is a list": (config("[1]"), "damaged HDF5"),
    "a deep config": (config("[" * 10**5), "damaged HDF5"),
    "layers without options": (config(json.dumps({"config": [{"a": 1}]})), "damaged HDF5"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_cannot_be_is_refused_in_one_line(case, tmp_path):
    make, words = HOSTILE[case]
    make(tmp_path / "it.h5")
    with pytest.raises(UserError, match=words) as caught:
        read_checkpoint(tmp_path / "it.h5")
    assert "\n" not in str(caught.value)


def test_the_published_person_detector_loads_whole():
    model, variables = pretrained.create(real("mlperf_tiny_weights") / "vww_96.h5")
    fields = {"num_classes": 2, "conv_bias": True, "padding": "SAME"}
    assert model == models.create("mobilenet_v1_025", **fields)
    assert sum(x.size for x in jax.tree.leaves(variables)) == 221_794
