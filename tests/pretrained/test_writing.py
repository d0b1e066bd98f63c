"""What is saved: names, shapes, header; and a file that is whole or not there."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from safetensors import safe_open

from cnnlab import pretrained
from cnnlab.errors import UserError
from cnnlab.pretrained import Preprocessing
from cnnlab.pretrained.param_map import shapes_of

SMALL = {"width": 1 / 16, "depths": (1, 1, 1, 1)}

DEFAULTS = {
    "vgg11_bn": "torchvision",
    "resnet18": "torchvision",
    "xresnet18": "fastai",
    "googlenet_torchvision": "torchvision",
    "lenet5": "cnnlab",
}


def variables_of(name, **arguments):
    generator = np.random.default_rng(0)
    return unflatten_dict(
        {
            path: generator.normal(size=shape).astype(np.float32)
            for path, shape in shapes_of(name, **arguments).items()
        },
        sep="/",
    )


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_names_values_counters_and_header(tmp_path):
    variables = variables_of("resnet18", num_classes=5, **SMALL)
    path = tmp_path / "file.safetensors"
    made = Preprocessing(64, 72)
    pretrained.save("resnet18", variables, path, preprocessing=made, num_classes=5, **SMALL)
    with safe_open(path, framework="np") as file:
        arrays, header = file.get_tensors(), file.metadata()
    assert len(arrays) == 12 * 6 + 2
    np.testing.assert_array_equal(
        arrays["conv1.weight"],
        variables["params"]["stem"]["conv1"]["kernel"].transpose(3, 2, 0, 1),
    )
    np.testing.assert_array_equal(arrays["fc.weight"], variables["params"]["logits"]["kernel"].T)
    counter = arrays["layer1.0.bn2.num_batches_tracked"]
    assert (counter.dtype, counter.shape, int(counter)) == (np.int64, (), 0)
    assert {key: header[key] for key in ("format", "model", "layout")} == {
        "format": "pt",
        "model": "resnet18",
        "layout": "torchvision",
    }
    assert json.loads(header["arguments"]) == {"width": 1 / 16, "depths": [1, 1, 1, 1]}
    assert pretrained.preprocessing("resnet18", path) == made


@pytest.mark.parametrize(
    ("name", "layout", "arguments"),
    [
        ("vgg11_bn", "torchvision", {"width": 1 / 32}),
        ("resnet18", "cnnlab", {**SMALL, "norm": "group"}),
        ("xresnet18", "timm", SMALL),
        ("xresnet18", "fastai", SMALL),
        ("googlenet_torchvision", "torchvision", {"width": 1 / 8}),
        ("lenet5", "cnnlab", {"norm": "batch"}),
    ],
)
@pytest.mark.sample(3)
def test_what_was_saved_is_loaded_bit_for_bit(name, layout, arguments, tmp_path):
    variables = variables_of(name, **arguments)
    path = tmp_path / "file"
    given = {"layout": layout} if layout != DEFAULTS[name] else {}
    pretrained.save(name, variables, path, **given, **arguments)
    found = pretrained.read(name, path, **arguments)
    same(found.variables, variables)
    assert found.layout == layout


def test_the_head_may_be_left_out(tmp_path):
    variables = variables_of("lenet5")
    del variables["params"]["logits"]
    pretrained.save("lenet5", variables, tmp_path / "file")
    same(pretrained.load("lenet5", tmp_path / "file", num_classes=0), variables)


def test_what_is_no_variables_of_the_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"what is to be saved does not fit lenet5:\n  1 missing"):
        variables = variables_of("lenet5")
        del variables["params"]["f6"]["bias"]
        pretrained.save("lenet5", variables, tmp_path / "file")
    with pytest.raises(UserError, match=r"1 of another shape: params/f6/bias \(3,\), here \(84,\)"):
        variables["params"]["f6"]["bias"] = np.zeros(3)
        pretrained.save("lenet5", variables, tmp_path / "file")
    with pytest.raises(UserError, match="unknown layout of lenet5 'timm'; there are: cnnlab"):
        pretrained.save("lenet5", variables_of("lenet5"), tmp_path / "file", layout="timm")
    with pytest.raises(UserError, match="unknown model"):
        pretrained.save("lenet55", {}, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*is the folder there") as error:
        pretrained.save("lenet5", variables_of("lenet5"), tmp_path / "none" / "file")
    assert "\n" not in str(error.value)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .* MB\).*No space left"):
        pretrained.save("lenet5", variables_of("lenet5"), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
def test_a_write_that_fails_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "with_name", lambda self, name: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(UserError, match="No space left"):
        pretrained.save("lenet5", variables_of("lenet5"), tmp_path / "file")


def test_files_are_as_readable_as_others(tmp_path):
    pretrained.save("lenet5", variables_of("lenet5"), tmp_path / "file")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_models_own_layout_has_its_own_names(tmp_path):
    pretrained.save("lenet5", variables_of("lenet5"), tmp_path / "file")
    found = pretrained.read_checkpoint(tmp_path / "file").arrays
    assert {name: array.shape for name, array in found.items()} == shapes_of("lenet5")


def test_auxiliary_classifiers_may_be_left_out(tmp_path):
    arguments = {"width": 1 / 8}
    variables = variables_of("googlenet_torchvision", **arguments)
    for collection in variables.values():
        for name in ("auxiliary1", "auxiliary2"):
            collection.pop(name)
    pretrained.save("googlenet_torchvision", variables, tmp_path / "file", **arguments)
    found = pretrained.load("googlenet_torchvision", tmp_path / "file", **arguments)
    same(found, variables)
