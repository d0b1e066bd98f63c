"""What a sweep was asked to do survives its sweep.json."""

import json

import stub_sweep

from cnnlab.sweeps.settings import Settings


def test_settings_are_the_same_after_json():
    points = [{"a": (1, (2, "x")), "b": {"c": ()}}, {"a": 1e-5}]
    settings = stub_sweep.settings(points, repeat=3, metric="validation/loss", mode="min")
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
