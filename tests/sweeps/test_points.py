"""Points are checked before anything runs: names, types, repeats, and what a run would refuse."""

import pytest

from cnnlab.commands.parsing import parse
from cnnlab.errors import UserError
from cnnlab.sweeps import points as ps
from cnnlab.sweeps import space as sp

CONFIG = "configs/digits_lenet5.py"
NAN = float("nan")


def check(points, *arguments):
    parsed = parse("train", [f"--config={CONFIG}", *arguments])
    assert parsed is not None
    return ps.check(points, CONFIG, parsed[0]["config"].override_values)


def test_points_come_back_as_the_config_holds_them_and_repeats_once():
    given = [
        {"optimizer.weight_decay": 0, "steps": 5},
        {"optimizer.weight_decay": 0.0, "steps": 5},
        {"data.train.augment": {}},
        {"optimizer.weight_decay": 0, "steps": 6},
        {"data.train.augment": {}},
    ]
    unique, repeated = check(given)
    assert unique == [given[0], given[2], given[3]]
    assert repeated == 2
    assert isinstance(unique[0]["optimizer.weight_decay"], float)


def test_overrides_that_the_point_replaces_are_no_part_of_it():
    assert check(
        [{"evaluate.splits": ("test", "validation")}],
        "--config.evaluate.splits=test",
        "--config.checkpoint.best=test/accuracy",
    )[0]


def test_points_that_name_models_are_each_held_to_its_own_fields():
    given = [
        {"model.name": "resnet18", "model.stem": "cifar"},
        {"model.name": "resnet20", "model.stem": "cifar"},
    ]
    assert check(given) == (given, 0)
    with pytest.raises(UserError, match=r"point 1 .*no entry 'stem' in model \('alexnet'\)"):
        check([given[0], {"model.name": "alexnet", "model.stem": "cifar"}])
    with pytest.raises(UserError, match=r"point 1 .*no entry 'evry' in evaluate"):
        check([{"evaluate": {"every": 4}}, {"evaluate": {"evry": 4}}])


@pytest.mark.parametrize(
    ("message", "point"),
    {
        "point 1 .*optimizer.learning_rat=0.1.*did you mean": {"optimizer.learning_rat": 0.1},
        "no entry 'optimzer'": {"optimzer.learning_rate": 0.1},
        "steps=1.5: needs a whole number": {"steps": 1.5},
        "steps needs a whole number, not '7'": {"steps": "7"},
        "optimizer.learning_rate needs a number, not '0.1' \\(str\\)": {
            "optimizer.learning_rate": "0.1"
        },
        "learning_rate=true: needs a number": {"optimizer.learning_rate": True},
        "optimizer.learning_rate needs a number, not nan": {"optimizer.learning_rate": NAN},
        "deterministic needs true or false, not 'true'": {"deterministic": "true"},
        "optimizer.name needs text, not None": {"optimizer.name": None},
        "optimizer.name needs text, not 3": {"optimizer.name": 3},
        "freeze needs a tuple, not 'head'": {"freeze": "head"},
        "unknown optimizer 'adm'; did you mean 'adam'": {"optimizer.name": "adm"},
        "unknown schedule": {"schedule.name": "cosin"},
        "batch_size=0": {"batch_size": 0},
        "unknown control": {"representation.controls": ("pixel",)},
        "unknown experiment": {"experiment.name": "supervise"},
        "model": {"model.name": "lenet6"},
        "optimizer is provided after": {"optimizer.name": "sgd", "optimizer": {"name": "adam"}},
    }.items(),
)  # fmt: skip
def test_point_that_a_run_would_refuse_is_reported_before_any_runs(message, point):
    with pytest.raises(UserError, match=message):
        check([{"seed": 1}, point])


def test_wrong_type_is_reported_of_later_points_too():
    with pytest.raises(UserError, match=r"point 1 .*: steps needs a whole number, not 1.5"):
        check([{"steps": 1}, {"steps": 1.5}])


def test_empty_sweep_is_reported():
    with pytest.raises(UserError, match="the sweep is empty"):
        check([])


def test_corners_hold_every_choice_and_both_ends():
    space = sp.product(
        sp.grid({"a": (1, 2, 3)}),
        sp.draws({"b": sp.uniform(0, 1), "c": sp.integers(2, 9)}, count=1),
        sp.zipped({"d": ("x", "y"), "e": (1, 2)}),
    )
    found = list(ps.corners(space))
    for key, values in {"a": {1, 2, 3}, "b": {0, 1}, "c": {2, 9}, "d": {"x", "y"}}.items():
        assert {point[key] for point in found} == values
    assert all((point["d"], point["e"]) in (("x", 1), ("y", 2)) for point in found)
    assert len(found) == 1 + 2 + 1 + 1 + 1


def test_sweep_file_gives_its_space(tmp_path):
    (tmp_path / "sweep.py").write_text("def get_sweep():\n    return [{'a': 1}, {'a': [2]}]\n")
    assert ps.load(tmp_path / "sweep.py").points() == [{"a": 1}, {"a": (2,)}]


@pytest.mark.parametrize(
    ("message", "text"),
    {
        "sweep.py: has no function get_sweep": "x = 1",
        "sweep.py, line 2: ModuleNotFoundError: No module named 'nix'": "\nimport nix",
        "sweep.py, line 1: SyntaxError: invalid syntax": "def get_sweep(:",
        "sweep.py, line 3: ZeroDivisionError": "\ndef get_sweep():\n    return 1 / 0",
        "sweep.py, line 2: TypeError": "import math\nmath.sqrt('x')",
        "sweep.py: a sweep is grid": "def get_sweep():\n    return 3",
        "sweep.py, line 3: 'a' has no value": "from cnnlab.sweeps.space import grid\n"
        "def get_sweep():\n    return grid({'a': []})",
    }.items(),
)
def test_sweep_file_that_fails_is_reported_with_its_line(message, text, tmp_path):
    (tmp_path / "sweep.py").write_text(text)
    with pytest.raises(UserError, match=message):
        ps.load(tmp_path / "sweep.py")


def test_sweep_file_that_is_not_there_is_reported(tmp_path):
    (tmp_path / "rates.py").write_text("def get_sweep(): pass")
    (tmp_path / "note.txt").touch()
    with pytest.raises(UserError, match=r"no sweep file.*rate.py'; did you mean.*rates.py"):
        ps.load(tmp_path / "rate.py")
    with pytest.raises(UserError, match="a Python file"):
        ps.load(tmp_path / "note.txt")
    with pytest.raises(UserError, match=r"no sweep file.*learning_rate.py"):
        ps.load(tmp_path / "nowhere" / "learning_rate.py")
