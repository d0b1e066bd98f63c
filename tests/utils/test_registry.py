"""Choosing by name."""

import pytest

from cnnlab.errors import UserError
from cnnlab.utils.registry import check_keywords, defaults, pick, suggest, suggest_entry, whole


def function(a, b=1, *, c=2, d="x", e):
    return a, b, c, d, e


def test_nearest_name_is_suggested_or_all_are_listed():
    assert suggest("adma", ["sgd", "adam"]) == "; did you mean 'adam'?"
    assert suggest("zzz", ["sgd", "adam"]) == "; there are: adam, sgd"
    assert suggest("lr", ["learning_rate", "name"]) == "; did you mean 'learning_rate'?"
    assert suggest("nosuch", ["epochs"], cutoff=0.55) == "; there are: epochs"
    assert suggest("x", []) == ""


@pytest.mark.parametrize("text", ["", "-1", "²", "٣", "1_0", " 1", "9" * 5000])
def test_whole_numbers_are_decimal_digits_alone(text):
    assert whole(text) is None
    assert whole("042") == 42


def test_nearest_entry_may_be_further_down():
    entries = {"a": {"rate": 1, "b": {"rate": 2}}, "c": {"rate": 3}, "range": 4}
    assert suggest_entry("rate", entries) == "; did you mean 'a.rate' or 'c.rate'?"
    assert suggest_entry("rang", entries) == "; did you mean 'range'?"
    slip = {"steps": 1, "schedule": {"step": {"factor": 1}}}
    assert suggest_entry("step", slip) == "; did you mean 'steps' or 'schedule.step'?"


def test_pick_returns_the_entry_or_says_what_was_meant():
    assert pick({"a": 1}, "a", "thing") == 1
    with pytest.raises(UserError, match="unknown thing 'b'"):
        pick({"a": 1}, "b", "thing")


def test_defaults_are_those_of_keyword_only_arguments():
    assert defaults(function) == {"c": 2, "d": "x"}


def test_keyword_that_a_function_does_not_take_is_named():
    check_keywords(function, {"c": 1, "e": 2}, "function")
    with pytest.raises(UserError, match="function has no argument 'f'"):
        check_keywords(function, {"f": 1}, "function")
    check_keywords(lambda **_: 0, {"anything": 1}, "function")
