"""Labels that are none of the model's outputs are named, before the first step where known."""

import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.training.label_check import LabelCheck
from cnnlab.training.loop import Loop
from experiments.supervised import Supervised


@pytest.fixture
def data(tmp_path):
    """Return the name of a set with two classes, and a third label in one of its splits."""

    def make(**wrong):
        arrays = {}
        for split in ("train", "validation", "test"):
            labels = np.arange(32) % 2
            labels[5] = wrong.get(split, 1)
            arrays |= {f"{split}_image": np.zeros((32, 8, 8, 1), np.uint8)}
            arrays |= {f"{split}_label": labels}
        np.savez(tmp_path / "set.npz", **arrays)
        return f"npz:{tmp_path / 'set.npz'}"

    return make


def settings(source, **changes):
    model = cfg.model("own_parts:Plain", outputs=2)
    return small.config(data__source=source, model=model, evaluate__batch_size=8, **changes)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_label_without_an_output_is_named_before_the_first_step(split, data):
    with pytest.raises(UserError, match=f"'{split}' has label 5, and the model 2 outputs, from 0$"):
        small.build(settings(data(**{split: 5})))


def test_label_beyond_num_classes_has_the_number_to_set():
    experiment = Supervised(models.create("mlp", num_classes=2))
    found = LabelCheck(experiment, ({}, {}), {}).wrong({"label": np.array([0, 5])})
    assert found == "label 5, and the model 2 outputs, from 0: set --config.model.num_classes=6"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_label_that_is_decoded_late_is_named_at_the_nan(split, data, tmp_path, monkeypatch):
    # Those of an npz file are known beforehand.
    monkeypatch.setattr(LabelCheck, "check", lambda self, splits: None)
    parts = small.build(settings(data(**{split: 5}), data__placement="grain", steps=4))
    with pytest.raises(UserError, match=rf"not finite.*'{split}' has label 5, and the model 2"):
        Loop(parts, tmp_path).run()
