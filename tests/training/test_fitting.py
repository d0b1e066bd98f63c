"""Objectives without gradients: fitted in one step, and evaluated, saved and resumed as others."""

import json

import jax
import numpy as np
import pytest
import small
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from cnnlab import config as cfg
from cnnlab.classical.pixel_classifiers import Eigenfaces, NearestNeighbor
from cnnlab.commands import main
from cnnlab.data.sources import source as sources
from cnnlab.errors import UserError
from cnnlab.training.fitting import ONLY
from experiments.fitted import Fitted

MODULE = "cnnlab.classical.pixel_classifiers"
EVERY = dict(steps=1, log_every=1, evaluate__every=1, checkpoint__every=1)


def settings(model="NearestNeighbor", **changes):
    fitted = dict(experiment=cfg.experiment("fitted"), model=cfg.model(f"{MODULE}:{model}"))
    return small.config(**{**fitted, **EVERY, "data__train__split": "train[:300]", **changes})


def pixels(split):
    source = sources.load("digits", split)
    examples = [source[i] for i in range(len(source))]
    images = np.stack([e["image"] for e in examples]).reshape(len(examples), -1)
    return images.astype(np.float32) / 255, np.array([e["label"] for e in examples])


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        ("NearestNeighbor", KNeighborsClassifier(1)),
        ("LinearSVM", LinearSVC(dual=False)),
        ("Eigenfaces", make_pipeline(PCA(40, svd_solver="full"), KNeighborsClassifier(1))),
    ],
)
@pytest.mark.parametrize("devices", [1, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.sample(1)
def test_a_fitted_run_classifies_as_the_library_does(tmp_path, model, reference, devices):
    loop, state = small.train(settings(model, parallel__devices=devices), tmp_path / "run")
    images, labels = pixels("test")
    predicted = reference.fit(*pixels("train[:300]")).predict(images)
    found = loop.setup.evaluate(state, "test")
    assert np.array_equal(found.outputs["logits"].argmax(axis=1), predicted)
    assert found.scalars()["accuracy"] == pytest.approx(np.mean(predicted == labels))


def test_a_run_that_is_fitted_is_not_fitted_again(tmp_path, monkeypatch):
    _, first = small.train(settings(), tmp_path / "run")
    monkeypatch.setattr(NearestNeighbor, "fit", None)
    loop, second = small.train(settings(), tmp_path / "run")
    assert loop.step == 1
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.slow
def test_train_eval_and_the_closing_table_take_a_fitted_objective(tmp_path, capfd):
    command = ["--config=configs/digits_baselines.py", f"--workdir={tmp_path / 'run'}"]
    command += ["--config.parallel.devices=1"]
    assert main(["train", *command]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "missing" not in result and result["parameters"] == 0
    accuracy = result["results"]["last (step 1)"]["test/accuracy"]
    assert accuracy > 0.9 and result["report"]["test"]["per_class_accuracy"]
    assert main(["eval", f"--workdir={tmp_path / 'run'}", "--format=json"]) == 0
    assert main(["train", *command]) == 0
    out = capfd.readouterr().out
    assert f'"test/accuracy": {accuracy}' in out and "accuracy" in out
    rows = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "learning_rate" not in rows and "validation/accuracy" in rows


@pytest.mark.parametrize("path", ONLY)
def test_what_only_gradients_use_is_refused_by_name(path):
    other = {"freeze": ("x",), "init.name": "lsuv", "init_from.path": "x", "ema_decay": 0.5}
    other["data.train.augment"] = cfg.augment(flip={})
    changes = {path.replace(".", "__"): other.get(path, 2)}
    with pytest.raises(UserError, match=rf"'fitted' is fitted in one step.*{path}="):
        small.build(settings(**changes))


def test_variables_that_do_not_fit_those_of_init_are_named(tmp_path, monkeypatch):
    def fit(self, source):
        assert len(source) == 300 and source[0]["image"].shape == (8, 8, 1)
        return {"params": {}, "memory": {"inputs": np.zeros((299, 64)), "labels": np.zeros(300)}}

    monkeypatch.setattr(Fitted, "fit", fit)
    with pytest.raises(
        UserError, match=r"shape \(299, 64\) of 'memory/inputs', init shape \(300, 6"
    ):
        small.train(settings(), tmp_path / "run")


def test_a_model_without_fit_is_refused():
    with pytest.raises(UserError, match="needs a model with fit"):
        small.build(small.config(experiment=cfg.experiment("fitted"), **EVERY))


@pytest.mark.parametrize("components", [0, 301])
def test_components_beyond_the_examples_are_refused(components):
    model = Eigenfaces(components=components)
    with pytest.raises(UserError, match=f"model.components={components}: need 1 to"):
        model.fit(*pixels("train[:30]"))
