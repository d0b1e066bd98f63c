"""CIFAR's ResNets with weights of akamaster/pytorch_resnet_cifar10: their fields, their errors."""

import jax
import numpy as np
import pytest
from hostile.pickles import Stored, pickled, tensor, zipped

from cnnlab import models, pretrained
from cnnlab.errors import UserError
from cnnlab.pretrained.param_map import shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A .th file of random numbers in the layout of the published ones, and its arrays."""
    arrays = {
        f"module.{slot.name}": np.random.default_rng(n).normal(size=slot.shape_there)
        for n, slot in enumerate(slots_of(shapes_of("resnet20"), SOURCES["resnet20"][0]).values())
    }
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    state = {
        name: tensor(
            Stored(array.size, key=name), 0, array.shape, tuple(s // 4 for s in array.strides)
        )
        for name, array in arrays.items()
    }
    content = pickled({"state_dict": state, "best_prec1": 91.73})
    path = tmp_path_factory.mktemp("weights") / "resnet20.th"
    path.write_bytes(zipped(content, {name: array.tobytes() for name, array in arrays.items()}))
    return path, arrays


def test_model_fields_and_preprocessing_are_found_by_the_file(file):
    path, arrays = file
    model, variables = pretrained.create(path)
    assert model == models.create("resnet20", shortcut_padding="both")
    kernel = arrays["module.linear.weight"].T
    np.testing.assert_array_equal(variables["params"]["logits"]["kernel"], kernel)
    found = pretrained.preprocessing(path)
    assert (found.size, found.resize) == (32, 32)
    assert (found.mean, found.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_weights_trained_with_zeros_on_both_sides_are_refused_with_zeros_at_the_end(file):
    path, _ = file
    message = r"trained with shortcut_padding='both', where resnet20 has shortcut_padding='end'"
    with pytest.raises(UserError, match=message):
        pretrained.load("resnet20", path)
    pretrained.load("resnet20", path, shortcut_padding="both")


def test_the_side_travels_with_what_is_saved(file, tmp_path):
    model, variables = pretrained.create(file[0])
    preprocessing = pretrained.preprocessing(file[0])
    pretrained.save(model, variables, tmp_path / "ours", preprocessing=preprocessing)
    again, same = pretrained.create(tmp_path / "ours")
    assert again == model
    jax.tree.map(np.testing.assert_array_equal, same, variables)
    assert pretrained.preprocessing(tmp_path / "ours") == preprocessing
