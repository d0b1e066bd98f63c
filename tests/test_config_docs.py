"""Every entry of a config has a documentation, from one table or from docstrings."""

import importlib.util
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from cnnlab import config as cfg
from cnnlab import config_docs, config_file, models, objectives
from cnnlab.config_docs import documentation, explain
from cnnlab.data.augment import AUGMENT
from cnnlab.data.preprocess.transforms import PREPROCESS
from cnnlab.evaluators import EVALUATORS

FILES = sorted(p for p in Path("configs").glob("*.py") if not p.name.startswith("_"))


def variants(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VARIANTS


def undocumented(config):
    return [entry.path for entry in explain(config) if not entry.text]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.sample(12)
def test_every_entry_of_the_example_configs_has_a_documentation(path):
    for variant in variants(path):
        assert undocumented(config_file.load(f"{path}:{variant}")) == []


def test_every_part_that_can_be_chosen_has_a_documentation_of_its_entries():
    parts = {
        **{name: (models.architecture(name).module, models.fields(name)) for name in models.MODELS},
        **{n: (objectives.find(n), objectives.fields(n)) for n in objectives.available()},
        **{
            n: (f, cfg.keywords(f)) for t in (AUGMENT, PREPROCESS, EVALUATORS) for n, f in t.items()
        },
    }
    missing = {
        f"{name}.{key}"
        for name, (part, entries) in parts.items()
        for key in entries
        if key not in documentation(part)
    }
    assert missing == set()


def test_an_entry_without_a_documentation_is_found():
    config = cfg.base()
    with config.unlocked():
        config.data.new_entry = 1
    assert undocumented(config) == ["data.new_entry"]


def test_the_table_has_no_entry_that_a_config_has_not():
    config = cfg.base()

    def there(path):
        above, _, key = path.rpartition(".")
        entry = config
        for part in filter(None, above.split(".")):
            entry = entry[part]
        return key in entry or (key == "*" and above in cfg.OPEN)

    assert [path for path in {**config_docs.ENTRIES, **config_docs.CHOICES} if not there(path)] == [
        "model.dtype"
    ]


def test_a_field_that_a_models_docstring_leaves_out_says_so_beside_type_and_default():
    config = cfg.base()
    config.model = cfg.model("own_parts:Plain", outputs=4)
    outputs = next(entry for entry in explain(config) if entry.path == "model.outputs")
    assert "not described in the docstring of Plain" in outputs.text
    assert (outputs.kind, outputs.default) == ("a whole number", 10)


def entries(**changes):
    config = cfg.base()
    config.optimizer = cfg.optimizer("adam", learning_rate=0.25)
    config.data.train.augment = cfg.augment(pad_crop={"padding": 2})
    config.model = cfg.model("cpc_small")
    config.representation.evaluators = cfg.evaluators(near={"name": "knn", "k": 1})
    config.update(ConfigDict(changes))
    return {entry.path: entry for entry in explain(config)}


def test_default_stands_where_the_value_is_another():
    found = entries(log_every=7)
    assert found["log_every"].default == 50
    assert found["optimizer.learning_rate"].default == 0.1
    assert found["data.train.augment.pad_crop.padding"].default == 4
    assert found["representation.evaluators.near.k"].default == 20
    assert found["seed"].default is None


def test_type_and_choices_come_from_tables_and_annotations():
    found = entries()
    assert "adamw" in found["optimizer.name"].choices
    assert found["data.train.augment.pad_crop.mode"].choices == ("constant", "reflect")
    assert found["data.train.augment.pad_crop.padding"].kind == "a whole number of 0 or more"
    assert found["data.on_corrupt"].choices[0].startswith("stop (name the file")
    assert found["representation.evaluators.near.endpoint"].kind == "text or a tuple"


def test_documentation_is_that_of_the_part_that_is_chosen():
    found = entries()
    assert found["representation.evaluators.near.k"].text.startswith("neighbors that vote")
    assert found["data.train.augment.pad_crop"].text.startswith("Pad every side")
    assert found["model.num_classes"].text
