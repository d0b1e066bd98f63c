"""Models by `package.module:Name`, and models that are fields of others."""

import jax
import jax.numpy as jnp
import numpy as np
import own_parts
import pytest

from cnnlab import config as cfg
from cnnlab import config_file, models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.parts import synchronized

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
KEY = jax.random.key(0)


def shapes(tree):
    return jax.tree.map(jnp.shape, tree)


def test_a_plain_module_that_returns_one_array_is_a_model():
    model = models.create("own_parts:Plain", outputs=3)
    variables = model.init(KEY, IMAGES, train=False)
    output, endpoints = model.apply(variables, IMAGES, train=True)
    plain = own_parts.Plain(outputs=3)
    expected = plain.apply(variables, IMAGES)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(endpoints["logits"], expected)
    np.testing.assert_array_equal(
        variables["params"]["out"]["kernel"], plain.init(KEY, IMAGES)["params"]["out"]["kernel"]
    )


@pytest.mark.parametrize("name", ["Deterministic", "Training"])
def test_a_module_is_trained_by_the_argument_that_it_has_for_it(name):
    model = models.create(f"own_parts:{name}")
    variables = model.init(KEY, IMAGES)
    evaluated, trained = (
        model.apply(variables, IMAGES, train=train, rngs={"dropout": KEY})[0]
        for train in (False, True)
    )
    assert np.all(evaluated != 0) and 5 < np.sum(trained == 0) < 35


def test_what_is_no_data_is_no_entry_of_a_config():
    assert models.fields("own_parts:Plain") == {"outputs": 10}


def test_a_field_with_a_name_is_created_under_its_name():
    model = models.create("own_parts:Detector", backbone={"name": "mlp", "hidden": (5,)}, boxes=2)
    variables = model.init(KEY, IMAGES)
    assert shapes(variables["params"]) == {
        "backbone": {"hidden1": {"kernel": (64, 5), "bias": (5,)}},
        "boxes": {"kernel": (5, 2), "bias": (2,)},
    }
    backbone = models.create("mlp", hidden=(5,), num_classes=0)
    features, _ = backbone.apply({"params": variables["params"]["backbone"]}, IMAGES)
    _, endpoints = model.apply(variables, IMAGES)
    np.testing.assert_array_equal(endpoints["features"], features)


def test_a_nested_model_has_all_its_fields_and_no_classifier():
    entry = models.fields("own_parts:Detector")["backbone"]
    assert entry["name"] == "mlp"
    assert (entry["hidden"], entry["norm"], entry["num_classes"]) == ((6,), "batch", 0)
    assert entry["dropout"] == 0.0


@pytest.mark.parametrize(
    ("message", "arguments"),
    {
        "model 'mlp' has no argument 'hiden'; did you mean 'hidden'": {"hiden": 3},
        "unknown model 'mlpp'; did you mean 'mlp'": {"name": "mlpp"},
        "model.backbone.dtype='float3' is unknown": {"dtype": "float3"},
        "model.backbone.num_classes=-1 must be": {"num_classes": -1},
    }.items(),
)
def test_what_is_wrong_in_a_nested_model_is_named_by_its_path(message, arguments):
    with pytest.raises(UserError, match=message):
        models.create("own_parts:Detector", backbone={"name": "mlp", **arguments})


def test_a_field_without_a_default_has_to_be_given():
    with pytest.raises(UserError, match=r"needs model.backbone, which has no default"):
        models.create("own_parts:Bare")
    models.create("own_parts:Bare", backbone={"name": "mlp"})
    with pytest.raises(UserError, match="'own_parts:function' is no flax"):
        models.create("own_parts:function")


def test_a_nested_model_is_summarized_and_traced_with_its_endpoints():
    summary = summarize(models.create("own_parts:Detector"), IMAGES.shape)
    assert [row.name for row in summary.rows] == ["hidden1", "features", "boxes"]
    assert summary.total.parameters == 64 * 6 + 2 * 6 + 7 * 10


def test_statistics_of_nested_models_are_shared_too():
    model = models.create("own_parts:Detector")
    assert synchronized(model, "x").backbone.norm_axis_name == "x"


def config(**given):
    made = cfg.base()
    made.model = cfg.model("own_parts:Detector", **given)
    return made


def test_a_command_line_names_a_nested_model_and_its_fields():
    made = config(backbone={"name": "mlp", "dtype": "bfloat16"})
    config_file.override(made, {"model.backbone.name": "resnet18", "model.backbone.width": "0.5"})
    backbone = made.model.backbone
    # Whether it has a classifier, and its type, are of the place that it is in.
    assert (backbone.name, backbone.num_classes, backbone.dtype) == ("resnet18", 0, "bfloat16")
    assert "hidden" not in backbone
    config_file.check(made)
    with pytest.raises(UserError, match=r"'widht' in model.backbone \('mlp'\)"):
        config_file.override(config(), {"model.backbone.widht": "2"})


def test_a_command_line_gives_a_nested_model_that_has_no_default():
    made = cfg.base()
    config_file.override(made, {"model.name": "own_parts:Bare", "model.backbone.name": "mlp"})
    assert made.model.backbone.hidden == (512, 512)
    config_file.check(made)


def test_a_file_may_not_rename_a_nested_model_in_place(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from cnnlab import config as cfg\n"
        "def get_config():\n"
        "    config = cfg.base()\n"
        "    config.model = cfg.model('own_parts:Detector')\n"
        "    config.model.backbone.name = 'koch2015'\n"
        "    return config\n"
    )
    with pytest.raises(UserError, match=r"config.model.backbone = cfg.nested_model\('koch2015'"):
        config_file.load(str(path))


def test_an_old_config_gets_fields_that_nested_models_have_got_since():
    saved = config(backbone={"name": "mlp", "hidden": (5,)}).to_dict()
    del saved["model"]["backbone"]["dropout"]
    backbone = cfg.completed(saved)["model"]["backbone"]
    assert (backbone["dropout"], backbone["hidden"], backbone["num_classes"]) == (0.0, (5,), 0)


@pytest.mark.parametrize("value", ["resnet18", {"nam": "resnet18"}, 3])
def test_a_field_of_a_model_that_is_given_something_else_is_named(value):
    with pytest.raises(UserError, match=r"model\.backbone=.* is no model: give a mapping"):
        models.create("own_parts:Detector", backbone=value)
