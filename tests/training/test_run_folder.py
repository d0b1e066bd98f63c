"""A run's folder: made once, reopened with the same config, refused with another."""

import json
import os

import pytest

from cnnlab.errors import UserError
from cnnlab.training import run_folder

CONFIG = {"seed": 0, "optimizer": {"name": "sgd", "learning_rate": 0.1}, "keys": ("a", "b")}


def make(folder):
    """Make a run folder in which something was saved."""
    changed = run_folder.open_run(folder, CONFIG)
    run_folder.record(folder, CONFIG)
    (folder / "checkpoints" / "10").mkdir(parents=True)
    return changed


def test_folder_is_made_with_config_and_environment(tmp_path):
    assert make(tmp_path / "a" / "b") == []
    assert run_folder.read_config(tmp_path / "a" / "b") == json.loads(json.dumps(CONFIG))
    environment = json.loads((tmp_path / "a" / "b" / "environment.json").read_text())
    assert environment["packages"]["jax"].startswith("0.")
    assert len(environment["devices"]) == 8
    assert environment["commit"] == "unknown" or len(environment["commit"]) == 40


def test_same_config_opens_the_folder_again(tmp_path):
    make(tmp_path)
    assert run_folder.open_run(tmp_path, CONFIG) == []


def test_another_config_is_refused_with_the_difference(tmp_path):
    make(tmp_path)
    changed = {**CONFIG, "optimizer": {"name": "adam", "learning_rate": 0.1}}
    with pytest.raises(UserError, match=r"optimizer\.name: sgd -> adam\n.*--on_change=accept"):
        run_folder.open_run(tmp_path, changed)
    assert run_folder.read_config(tmp_path)["optimizer"]["name"] == "sgd"


def test_another_config_is_accepted_when_asked_to(tmp_path):
    make(tmp_path)
    changed = {**CONFIG, "seed": 1}
    assert run_folder.open_run(tmp_path, changed, on_change="accept") == ["seed: 0 -> 1"]
    # Until it has proved to work the old one stands.
    assert run_folder.read_config(tmp_path)["seed"] == 0
    run_folder.record(tmp_path, changed)
    assert run_folder.read_config(tmp_path)["seed"] == 1


def test_config_may_change_as_long_as_nothing_was_saved(tmp_path):
    run_folder.open_run(tmp_path, CONFIG)
    run_folder.record(tmp_path, CONFIG)
    assert run_folder.open_run(tmp_path, {**CONFIG, "seed": 1}) == ["seed: 0 -> 1"]


def test_difference_names_entries_that_only_one_side_has():
    old, new = {"a": {"b": 1}, "c": {}}, {"a": {"d": 2}, "c": {"e": 1}}
    assert run_folder.difference(old, new) == [
        "a.b: 1 -> (absent)",
        "a.d: (absent) -> 2",
        "c: {} -> (absent)",
        "c.e: (absent) -> 1",
    ]


def test_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds 'thesis\.tex' but no run"):
        make(tmp_path)


def test_records_of_a_launcher_may_be_there_before_the_run(tmp_path):
    (tmp_path / "jobs").mkdir()
    assert make(tmp_path) == []


def test_workdir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write in --workdir"):
        run_folder.open_run(tmp_path / "file", CONFIG)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_workdir_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write in --workdir"):
        make(tmp_path)


def test_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        run_folder.read_config(tmp_path)


def test_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        run_folder.read_config(tmp_path)


def test_loaded_config_is_locked_and_has_tuples_again(tmp_path):
    make(tmp_path)
    config = run_folder.load_config(tmp_path)
    assert config.to_dict() == CONFIG
    with pytest.raises(AttributeError):
        config.sed = 1


def test_versions_are_compared_entry_by_entry(tmp_path):
    make(tmp_path)
    new = {**CONFIG, "ema": 0.0}
    assert run_folder.open_run(tmp_path, new, complete=lambda c: {"ema": 0.0, **c}) == []
    with pytest.raises(UserError, match=r"ema: 0\.0 -> 0\.5"):
        run_folder.open_run(tmp_path, {**CONFIG, "ema": 0.5}, complete=lambda c: {"ema": 0.0, **c})


def test_fewer_steps_than_done_are_refused(tmp_path):
    assert run_folder.last_step(tmp_path) == 0
    make(tmp_path)
    assert run_folder.last_step(tmp_path) == 10
    run_folder.check_length(tmp_path, 10, 10)
    with pytest.raises(UserError, match="has 10 steps behind it, the config asks for 9: set"):
        run_folder.check_length(tmp_path, 10, 9)
