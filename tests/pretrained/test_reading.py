"""Checkpoints as variables: values, what is skipped, refused and warned of."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from cnnlab import models, pretrained
from cnnlab.errors import UserError
from cnnlab.pretrained import Preprocessing
from cnnlab.pretrained.param_map import shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES

# VGG-11 with a 32nd of its channels, as torchvision would have it.
SMALL = {"width": 1 / 32, "num_classes": 3}
CONVOLUTIONS = {0: (3, 2), 3: (2, 4), 6: (4, 8), 8: (8, 8), 11: (8, 16), 13: (16, 16)}
# The smallest of the residual ones.
UNITS = {"width": 1 / 16, "depths": (1, 1, 1, 1)}
CONVOLUTIONS |= {16: (16, 16), 18: (16, 16)}


@pytest.fixture(scope="module")
def vgg():
    shapes = {f"features.{n}": (b, a, 3, 3) for n, (a, b) in CONVOLUTIONS.items()}
    shapes |= {"classifier.0": (128, 784), "classifier.3": (128, 128), "classifier.6": (3, 128)}
    generator = np.random.default_rng(0)
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = generator.normal(size=shape).astype(np.float32)
        state[f"{name}.bias"] = generator.normal(size=shape[0]).astype(np.float32)
    return state


def written(state, path, **metadata):
    safetensors.numpy.save_file(state, path, metadata)
    return path


def state_of(name, layout=0, **arguments):
    """Return a state dict of small random numbers, named by the layout."""
    slots = slots_of(shapes_of(name, **arguments), SOURCES[name][layout])
    generator = np.random.default_rng(0)
    return {
        slot.name: generator.normal(size=slot.shape_there).astype(np.float32)
        for slot in slots.values()
    }


@pytest.fixture
def messages(caplog):
    return lambda: [r.message for r in caplog.records if r.levelname == "WARNING"]


def test_every_value_arrives_at_its_place(vgg, tmp_path, messages):
    found = pretrained.read("vgg11", written(vgg, tmp_path / "file"), **SMALL)
    assert (found.layout, found.arguments) == ("torchvision", {})
    params = found.variables["params"]
    assert set(found.variables) == {"params"}
    np.testing.assert_array_equal(
        params["conv3_2"]["kernel"], vgg["features.8.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(params["conv5_2"]["bias"], vgg["features.18.bias"])
    np.testing.assert_array_equal(params["fc7"]["kernel"], vgg["classifier.3.weight"].T)
    # Row 2 and column 5 of channel 11 of the 7x7x16 map.
    np.testing.assert_array_equal(
        params["fc6"]["kernel"][(2 * 7 + 5) * 16 + 11],
        vgg["classifier.0.weight"][:, 11 * 49 + 2 * 7 + 5],
    )
    model = models.create("vgg11", **SMALL)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 224, 224, 3), np.float32))
    assert jax.tree.map(np.shape, found.variables) == jax.tree.map(np.shape, shapes)
    assert not messages()


def test_what_is_skipped_is_absent_whatever_the_file_has(vgg, tmp_path):
    path = written(vgg, tmp_path / "file")
    ten = {**SMALL, "num_classes": 10}
    params = pretrained.load("vgg11", path, skip=("head",), **ten)["params"]
    assert len(params) == 10 and "logits" not in params
    params = pretrained.load("vgg11", path, skip=("^conv5_", "/bias$"), **SMALL)["params"]
    assert set(params) == {*(f"conv{n}" for n in ("1_1", "2_1", "3_1", "3_2", "4_1", "4_2"))} | {
        "fc6",
        "fc7",
        "logits",
    }
    assert all(set(leaves) == {"kernel"} for leaves in params.values())
    without = {k: v for k, v in vgg.items() if not k.startswith("classifier.6")}
    path = written(without, tmp_path / "without")
    assert "logits" not in pretrained.load("vgg11", path, skip=("head",), **ten)["params"]


def test_without_classes_the_classifier_is_not_wanted(vgg, tmp_path):
    path = written(vgg, tmp_path / "file")
    for classes in (0, None):
        params = pretrained.load("vgg11", path, width=1 / 32, num_classes=classes)["params"]
        assert len(params) == 10 and "logits" not in params


def test_a_skip_that_fits_nothing_is_refused(vgg, tmp_path):
    path = written(vgg, tmp_path / "file")
    with pytest.raises(UserError, match="'conv6' matches no parameter"):
        pretrained.load("vgg11", path, skip=("conv6",), **SMALL)
    with pytest.raises(UserError, match="no regular expression"):
        pretrained.load("vgg11", path, skip=("(",), **SMALL)


def test_another_number_of_classes_is_refused_with_the_way_out(vgg, tmp_path):
    with pytest.raises(UserError) as error:
        pretrained.load("vgg11", written(vgg, tmp_path / "file"), width=1 / 32, num_classes=10)
    message = str(error.value)
    assert "2 of another shape: classifier.6.bias (3,), here (10,)" in message
    assert "classifier.6.weight (3, 128), here (10, 128)" in message
    assert 'init_from.skip=("head",)' in message


def test_missing_extra_and_other_shapes_are_listed(vgg, tmp_path):
    state = {k: v for k, v in vgg.items() if not k.startswith("features.18")}
    state |= {"classifier.7.weight": np.zeros(2), "features.0.bias": np.zeros(7)}
    with pytest.raises(UserError) as error:
        pretrained.load("vgg11", written(state, tmp_path / "file"), **SMALL)
    assert str(error.value).splitlines()[1:] == [
        "  2 missing: features.18.bias, features.18.weight",
        "  1 extra: classifier.7.weight",
        "  1 of another shape: features.0.bias (7,), here (2,)",
    ]


def test_another_model_that_the_file_fits_is_named(tmp_path):
    path = tmp_path / "file"
    state = {name: np.zeros(array.shape) for name, array in state_of("mobilenet_v1").items()}
    written({k: v.astype(np.float16) for k, v in state.items()}, path)
    with pytest.raises(UserError, match=r"it fits mobilenet_v1$") as error:
        pretrained.load("vgg11", path, **SMALL)
    # Ten names each, and how many more.
    assert "22 missing: " in str(error.value)
    assert str(error.value).count(" and ") == 2


def test_batch_norms_counters_are_not_needed_and_not_extra(tmp_path):
    state = state_of("resnet18", **UNITS)
    for names in ([], ["bn1.num_batches_tracked"]):
        file = state | {name: np.zeros((), np.int64) for name in names}
        variables = pretrained.load("resnet18", written(file, tmp_path / "file"), **UNITS)
        np.testing.assert_array_equal(
            variables["batch_stats"]["stage4"]["block1"]["shortcut_norm"]["var"],
            state["layer4.0.downsample.1.running_var"],
        )


def test_weights_with_the_stride_elsewhere_are_refused_unless_the_field_is_given(tmp_path):
    path = written(state_of("resnet50", **UNITS), tmp_path / "file")
    with pytest.raises(UserError, match=r"with stride_in='3x3', where resnet50 has") as error:
        pretrained.load("resnet50", path, **UNITS)
    assert "Use the model resnet50_v15, or stride_in='3x3'" in str(error.value)
    for stride in ("3x3", "1x1"):
        found = pretrained.read("resnet50", path, **UNITS, stride_in=stride)
        assert found.arguments == {"stride_in": "3x3"}
    assert pretrained.read("resnet50_v15", path, **UNITS).arguments == {}
    # What was trained as resnet50 here says so, in any layout.
    for layout in ("torchvision", "cnnlab"):
        ours = tmp_path / layout
        pretrained.save("resnet50", found.variables, ours, layout=layout, **UNITS)
        small = pretrained.read("resnet50", ours, **UNITS).arguments
        assert small == UNITS
        with pytest.raises(UserError, match="'1x1', where resnet50_v15 has stride_in='3x3'"):
            pretrained.load("resnet50_v15", ours, **UNITS)


@pytest.mark.slow
def test_timms_mobilenet_says_which_fields_it_was_trained_with(tmp_path):
    path = written(state_of("mobilenet_v1", width=1 / 8), tmp_path / "file")
    with pytest.raises(UserError, match="activation='relu6', norm_epsilon=1e-05"):
        pretrained.load("mobilenet_v1", path, width=1 / 8)
    fields = {"activation": "relu6", "norm_epsilon": 1e-5}
    found = pretrained.read("mobilenet_v1", path, width=1 / 8, **fields)
    assert found.arguments == fields
    fields |= {"width": 1 / 8}
    pretrained.save("mobilenet_v1", found.variables, tmp_path / "ours", **fields)
    again = pretrained.read("mobilenet_v1", tmp_path / "ours", **fields)
    assert again.arguments == fields


def test_images_of_another_number_of_channels_are_no_obstacle(tmp_path):
    state = state_of("resnet18", **UNITS)
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    path = written(state, tmp_path / "file")
    variables = pretrained.load("resnet18", path, **UNITS)
    assert variables["params"]["stem"]["conv1"]["kernel"].shape == (7, 7, 1, 4)
    pretrained.save("resnet18", variables, tmp_path / "ours", **UNITS)
    again = pretrained.load("resnet18", tmp_path / "ours", **UNITS)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_a_head_of_more_layers_is_no_part_of_what_is_skipped(tmp_path):
    # MoCo v2's projection, in the place of the classifier.
    state = {k: v for k, v in state_of("resnet18", **UNITS).items() if not k.startswith("fc.")}
    state |= {"fc.0.weight": np.zeros((9, 32), np.float32), "fc.2.bias": np.zeros(9, np.float32)}
    path = written(state, tmp_path / "file")
    assert "logits" not in pretrained.load("resnet18", path, skip=("head",), **UNITS)["params"]
    with pytest.raises(UserError, match=r"2 missing: fc\.bias, fc\.weight"):
        pretrained.load("resnet18", path, **UNITS)


def test_vectors_under_names_of_their_own_are_beside_the_network(tmp_path):
    state = state_of("resnet18", **UNITS)
    beside = {"criterion.weight": (1000,), "mean": (1, 3, 1, 1), "n_averaged": ()}
    file = state | {name: np.zeros(shape, np.float32) for name, shape in beside.items()}
    pretrained.load("resnet18", written(file, tmp_path / "file"), **UNITS)
    for name, shape in {"layer1.0.scale": (4,), "neck.weight": (4, 4)}.items():
        file = state | {name: np.zeros(shape, np.float32)}
        with pytest.raises(UserError, match=f"1 extra: {name}"):
            pretrained.load("resnet18", written(file, tmp_path / "file"), **UNITS)


def test_whole_numbers_are_no_weights(tmp_path):
    state = state_of("resnet18", **UNITS)
    state["conv1.weight"] = state["conv1.weight"].astype(np.int32)
    with pytest.raises(UserError, match=r"conv1\.weight holds int32"):
        pretrained.load("resnet18", written(state, tmp_path / "file"), **UNITS)


@pytest.mark.parametrize("layout", [0, 1])
def test_the_layout_follows_from_the_names(layout, tmp_path):
    state = state_of("xresnet18", layout, **UNITS)
    found = pretrained.read("xresnet18", written(state, tmp_path / "file"), **UNITS)
    assert found.layout == ("fastai", "timm")[layout]


def test_arguments_that_no_library_has_need_our_own_layout(tmp_path):
    path = written(state_of("resnet18", **UNITS), tmp_path / "file")
    with pytest.raises(UserError, match="torchvision has nothing like"):
        pretrained.load("resnet18", path, **UNITS, norm="group")


def test_preprocessing_is_the_files_or_its_sources(vgg, tmp_path):
    made = Preprocessing(32, 40)
    path = written(vgg, tmp_path / "file", preprocessing=made.to_json())
    assert pretrained.preprocessing("vgg11", path) == made
    assert pretrained.read("vgg11", path, **SMALL).preprocessing == made
    path = written(vgg, tmp_path / "resnet50-11ad3fa6.pth")
    assert pretrained.preprocessing("vgg11", path) == Preprocessing(resize=232)
    with pytest.raises(UserError, match="unknown model 'vgg12'; did you mean"):
        pretrained.preprocessing("vgg12", path)
    pretrained.save(
        "vgg11", pretrained.load("vgg11", path, **SMALL), path, layout="cnnlab", **SMALL
    )
    assert pretrained.read("vgg11", path, **SMALL).preprocessing is None
    with pytest.raises(UserError, match="does not say how its images were preprocessed"):
        pretrained.preprocessing("vgg11", path)
    half = SOURCES["googlenet_torchvision"][0].preprocessing
    assert half.mean == half.std == (0.5, 0.5, 0.5)


def test_metadata_of_others_is_no_obstacle(vgg, tmp_path):
    path = written(vgg, tmp_path / "file", model="another", format="pt")
    assert pretrained.read("vgg11", path, **SMALL).arguments == {}
    path = written(vgg, tmp_path / "file", model="vgg11", arguments="{")
    with pytest.raises(UserError, match="no arguments can be read"):
        pretrained.read("vgg11", path, **SMALL)
    for text in ("[1]", "3", '{"norm": {}}', '{"layers": 1}'):
        path = written(vgg, tmp_path / "file", model="vgg11", arguments=text)
        with pytest.raises(UserError, match=r"header says (norm|layers)=|no arguments can be read"):
            pretrained.read("vgg11", path, **SMALL)
