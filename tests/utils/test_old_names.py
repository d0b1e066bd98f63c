"""Saved configs are read with the present names; an old name gives the present one."""

import json

import pytest

from cnnlab import config as cfg
from cnnlab import config_file
from cnnlab.training import run_folder, selection
from cnnlab.utils import old_names


def old(config):
    """Return a config as the version before the new names saved it."""
    saved = config.to_dict()
    part = saved.pop("representation")
    del saved["eval_every"]
    saved["floors"] = part.pop("baselines")
    experiment = saved["experiment"]
    if experiment["name"] == "joint_embedding":
        experiment |= {"name": "invariant", "cure": experiment.pop("method")}
        experiment["cure"] = experiment["cure"].replace("no_negatives", "positives_only")
    return json.loads(json.dumps({**saved, **part}))


@pytest.mark.parametrize("variant", ["no_negatives", "byol"])
def test_run_folder_with_old_names_has_the_same_config(variant, tmp_path):
    now = config_file.load(f"configs/digits_joint_embedding.py:{variant}")
    (tmp_path / "config.json").write_text(json.dumps(old(now)))
    assert config_file.complete(run_folder.load_config(tmp_path)).to_dict() == now.to_dict()
    changed = run_folder.open_run(tmp_path, now.to_dict(), complete=cfg.completed)
    assert changed == []


def test_criterion_with_old_names_is_the_same_one():
    saved = {"metric": "a/b", "experiment": {"name": "invariant", "cure": "positives_only"}}
    now = {"metric": "a/b", "experiment": {"name": "joint_embedding", "method": "no_negatives"}}
    assert selection.changes(saved, now) == []


def test_objective_from_outside_the_project_keeps_its_names():
    config = {"experiment": {"name": "mine.py:Own", "cure": "positives_only"}}
    assert old_names.updated(config) == config


def test_present_names_stay_and_the_argument_is_not_changed():
    now = cfg.base().to_dict()
    assert old_names.updated(now) == now
    saved = {"controls": ("random",), "experiment": {"name": "invariant"}}
    assert old_names.updated(saved)["representation"] == {"controls": ("random",)}
    assert saved["experiment"] == {"name": "invariant"}


@pytest.mark.parametrize(("before", "now"), old_names.ENTRIES.items())
def test_present_name_of_every_entry_exists(before, now):
    config = cfg.base()
    config.experiment = cfg.experiment("joint_embedding")
    *above, last = now.split(".")
    for key in above:
        config = config[key]
    assert last in config
    assert before.rpartition(".")[2] == last or before.rpartition(".")[2] not in config
