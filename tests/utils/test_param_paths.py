"""Choosing parameters by name."""

import pytest

from cnnlab.errors import UserError
from cnnlab.utils import param_paths

NAMES = [
    "auxiliary1/conv/kernel",
    "conv1/kernel",
    "logits/bias",
    "logits_scale/bias",
    "stage1/block1/norm1/scale",
]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("head", [0, 2]),
        ("trunk", [1, 3, 4]),
        ("/bias$", [2, 3]),
        ("conv", [0, 1]),
        ("^stage1/.*scale", [4]),
    ],
)
def test_expressions_and_words_take_paths(pattern, taken):
    heads = ("logits", "auxiliary1")
    found = [
        i for i, name in enumerate(NAMES) if param_paths.matches((pattern,), name, "freeze", heads)
    ]
    assert found == taken


def test_paths_are_modules_then_the_parameter():
    assert param_paths.paths({"b": {"kernel": 0}, "a": {"c": {"bias": 0}}}) == [
        "a/c/bias",
        "b/kernel",
    ]


def test_an_expression_that_matches_nothing_is_answered_with_the_modules():
    param_paths.check(("head", "conv1"), NAMES, "freeze")
    with pytest.raises(UserError) as error:
        param_paths.check(("conv1", "^stagee1/"), NAMES, "freeze")
    assert str(error.value) == (
        "freeze: '^stagee1/' matches no parameter (did you mean 'stage1'?); "
        "the modules are: auxiliary1, conv1, logits, logits_scale, stage1"
    )


@pytest.mark.parametrize("pattern", ["(", 3])
def test_what_is_no_expression_is_named(pattern):
    with pytest.raises(UserError, match=r"freeze: .* is no regular expression"):
        param_paths.check((pattern,), NAMES, "freeze")
