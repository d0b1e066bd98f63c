"""Evaluators of a command line have the entries and types of those of a config."""

import pytest

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.runs.chosen_evaluators import entries


def test_entries_are_those_of_a_config():
    given = [
        ("knn", {"k": "3", "endpoint": "stage3", "leave_one_out": "true", "temperature": "1"}),
        ("retrieval", {"endpoint": "a,b", "key": "1"}),
    ]
    expected = cfg.evaluators(
        knn={"k": 3, "endpoint": "stage3", "leave_one_out": True, "temperature": 1.0},
        retrieval={"endpoint": ("a", "b"), "key": "1"},
    )
    assert entries(given).to_dict() == expected.to_dict()


def test_tuples_need_no_brackets():
    for text in ("0.1,0.01", "(0.1, 0.01)"):
        assert entries([("verification", {"fars": text})]).verification.fars == (0.1, 0.01)


def test_the_same_evaluator_twice_has_two_entries():
    found = entries([("knn", {"k": "1"}), ("knn", {"k": "20"}), ("knn", {})])
    assert {key: entry.get("name", key) for key, entry in found.items()} == {
        "knn": "knn",
        "knn_2": "knn",
        "knn_3": "knn",
    }
    assert (found.knn.k, found.knn_2.k) == (1, 20)


def test_evaluator_of_ones_own_is_under_the_name_of_its_function():
    found = entries([("cnnlab.evaluators.collapse:collapse", {"least_rank": "2"})])
    assert found["collapse"].name == "cnnlab.evaluators.collapse:collapse"
    assert found["collapse"].least_rank == 2.0


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("kn", {}, "unknown evaluator 'kn'; did you mean 'knn'"),
        ("knn", {"kk": "1"}, "evaluator 'knn' has no keyword 'kk'; did you mean 'k'"),
        ("knn", {"every": "1"}, "evaluator 'knn' has no keyword 'every'"),
        ("knn", {"k": "few"}, "--k of 'knn' needs a whole number, not 'few'"),
        ("knn", {"leave_one_out": "1"}, "--leave_one_out of 'knn' needs true or false"),
        ("nowhere:f", {}, "there is no module 'nowhere'"),
    ],
)
def test_what_an_evaluator_does_not_take_is_refused(name, keywords, message):
    with pytest.raises(UserError, match=message):
        entries([(name, keywords)])
