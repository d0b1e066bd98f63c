"""Evaluators on the command line, each with the flags behind it as its keywords."""

import pytest

from cnnlab.commands.evaluator_flags import chosen, rewrite
from cnnlab.errors import UserError

FLAGS = ["workdir", "splits", "format"]


def parsed(line):
    arguments = rewrite(line.split(), [*FLAGS, "evaluator"])
    texts = [a.partition("=")[2] for a in arguments if a.startswith("--evaluator=")]
    return chosen(texts), [a for a in arguments if not a.startswith("--evaluator=")]


@pytest.mark.parametrize(
    ("line", "expected"),
    {
        "--evaluator=knn": [("knn", {})],
        "--evaluator=knn --k=3 --endpoint=stage3": [("knn", {"k": "3", "endpoint": "stage3"})],
        "--k=3 --evaluator=knn": [("knn", {"k": "3"})],
        "--evaluator knn --k 3 --leave_one_out": [("knn", {"k": "3", "leave_one_out": "true"})],
        "--evaluator=knn --k=3 --evaluator=few_shot --ways=5": [
            ("knn", {"k": "3"}),
            ("few_shot", {"ways": "5"}),
        ],
        "--evaluator=knn,retrieval --endpoint=c3": [
            ("knn", {"endpoint": "c3"}),
            ("retrieval", {"endpoint": "c3"}),
        ],
        "--evaluator=knn --k=1 --evaluator=knn --k=20": [("knn", {"k": "1"}), ("knn", {"k": "20"})],
        "--evaluator=knn,knn --k=3 --evaluator=knn --k=3": [("knn", {"k": "3"})],
        "--evaluator=mine.module:rate --a=b=c": [("mine.module:rate", {"a": "b=c"})],
    }.items(),
)
def test_keywords_belong_to_the_evaluator_in_front_of_them(line, expected):
    assert parsed(line) == (expected, [])


def test_flags_of_the_command_stay_its_own():
    line = "--workdir=x --evaluator=knn --splits=test --k=3 --config.seed=1 --format json"
    found, others = parsed(line)
    assert found == [("knn", {"k": "3"})]
    assert others == ["--workdir=x", "--splits=test", "--config.seed=1", "--format", "json"]


def test_slip_in_a_flag_of_the_command_is_no_keyword():
    found, others = parsed("--evaluator=knn --split=test --wrkdir=x --key=label")
    assert (found, others) == ([("knn", {"key": "label"})], ["--split=test", "--wrkdir=x"])


def test_without_an_evaluator_nothing_changes():
    line = ["--workdir=x", "--kk=3", "--splits", "test"]
    assert sorted(rewrite(line, [*FLAGS, "evaluator"])) == sorted(line)


@pytest.mark.parametrize(("flag", "whose"), [("endpoint=logits", "NAME"), ("temperature=1", "knn")])
def test_a_keyword_without_an_evaluator_is_refused_with_its_place(flag, whose):
    with pytest.raises(
        UserError, match=f"--{flag.partition('=')[0]} goes behind --evaluator={whose}$"
    ):
        parsed(f"--workdir=x --{flag}")
