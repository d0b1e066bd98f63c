"""What a sweep was asked to do survives its sweep.json."""

import json

import pytest
import stub_sweep

from cnnlab.errors import UserError
from cnnlab.sweeps import space as sp
from cnnlab.sweeps.folder import SweepFolder
from cnnlab.sweeps.settings import Settings, describe, restore


def test_settings_are_the_same_after_json():
    points = [{"a": (1, (2, "x")), "b": {"c": ()}}, {"a": 1e-5}]
    settings = stub_sweep.settings(points, repeat=3, metric="validation/loss", mode="min")
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_space_is_the_same_after_json():
    space = sp.product(
        sp.grid({"z": (1, True, "x", None), "a": ((1, (2,)), ())}),
        sp.zipped({"kind": (0.1, 1e-9), "items": ({"b": {}}, {"a": (1,)})}),
        sp.draws(
            {
                "u": sp.uniform(0, 1),
                "l": sp.log_uniform(1, 2),
                "i": sp.integers(1, 9, log=True),
                "c": sp.choice((1, 2), "x"),
            },
            count=3,
            seed=4,
        ),
    )
    again = restore(json.loads(json.dumps(describe(space))))
    assert again == space
    assert again.points() == space.points()
    assert list(again.points()[0]) == list(space.points()[0])


def test_no_sweep_and_a_damaged_one_are_reported(tmp_path):
    with pytest.raises(UserError, match=r"there is no sweep.json"):
        SweepFolder.open(tmp_path)
    path = tmp_path / "s"
    stub_sweep.make(path, [{"a": 1}])
    whole = (path / "sweep.json").read_text()
    for text in (whole[:50], "[]", json.dumps({"config": "x"})):
        (path / "sweep.json").write_text(text)
        with pytest.raises(UserError, match=r"sweep.json is damaged"):
            SweepFolder.open(path)
