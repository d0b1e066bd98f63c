"""Objectives by name and by place, and what is said where there is none."""

import pytest

import experiments
from cnnlab import config as cfg
from cnnlab import objectives
from cnnlab.errors import UserError
from experiments.supervised import Supervised


def test_a_name_and_a_place_give_the_same_objective():
    assert objectives.find("supervised") is Supervised
    assert objectives.find("experiments.supervised:Supervised") is Supervised
    entry = cfg.experiment("experiments.supervised:Supervised", label_smoothing=0.1)
    made = objectives.create(entry.to_dict(), {"name": "mlp"})
    assert (type(made), made.label_smoothing) == (Supervised, 0.1)


@pytest.mark.parametrize(
    ("message", "entry"),
    {
        "unknown experiment 'tripelt'; did you mean 'triplet'": {"name": "tripelt"},
        "has no 'Supervise'; did you mean 'Superv": {"name": "experiments.supervised:Supervise"},
        "OBJECTIVES' is no dataclass with": {"name": "experiments.supervised:OBJECTIVES"},
        "Experiment' is no dataclass with": {"name": "experiments.base:Experiment"},
        "no argument 'margn'; did you mean 'margin'": {"name": "triplet", "margn": 1},
        "unknown model 'mlpp'": {"name": "triplet", "margin": {"name": "mlpp"}},
    }.items(),
)
def test_what_is_no_objective_is_refused_with_the_nearest(message, entry):
    with pytest.raises(UserError, match=message):
        objectives.create(entry, {"name": "mlp"})


class Untyped(Supervised):
    """Gives a field another default, without its type."""

    input_keys = ("video",)


def test_a_default_that_a_dataclass_would_not_take_is_refused(monkeypatch):
    monkeypatch.setitem(experiments.EXPERIMENTS, "untyped", Untyped)
    with pytest.raises(UserError, match=r"'untyped': write 'input_keys: .* = .*with its type"):
        objectives.create({"name": "untyped"}, {"name": "mlp"})


def test_an_evaluator_by_place_has_its_keywords_under_a_name_of_ones_own():
    entry = cfg.evaluators(near={"name": "cnnlab.evaluators.knn:knn", "k": 3})
    assert (entry.near.k, entry.near.temperature) == (3, 0.07)
    for place in ("cnnlab.evaluators.knn:overlap", "cnnlab.evaluators:nn"):
        with pytest.raises(UserError, match=r"evaluator '.*did you mean|evaluator '.*there are"):
            cfg.evaluators(near={"name": place})


@pytest.mark.parametrize(
    ("objective", "model", "names"),
    [
        ("supervised", {"name": "googlenet"}, {"logits", "auxiliary1", "auxiliary2"}),
        ("joint_embedding", {"name": "mlp"}, {"logits", "projector", "predictor"}),
        ("siamese", {"name": "mlp"}, {"logits", "verification"}),
        ("cpc", {"name": "cpc_small"}, {"logits", "prediction"}),
        ("triplet", {"name": "own_parts:Detector"}, {"logits", "boxes"}),
    ],
)
def test_head_stands_for_what_objective_and_model_declare(objective, model, names):
    config = cfg.base()
    config.experiment, config.model = cfg.experiment(objective), cfg.model(**model)
    assert set(objectives.head_names(config.experiment.to_dict(), config.model.to_dict())) == names
