import pytest

from cnnlab.data.sources.splits import resolve
from cnnlab.errors import UserError

SHARDS = {"train": [600, 400], "validation": [101]}


@pytest.mark.parametrize(
    ("split", "ranges"),
    [
        ("train", [("train", 0, 1000)]),
        ("train[:80%]", [("train", 0, 800)]),
        ("train[80%:]", [("train", 800, 1000)]),
        ("train[100:300]", [("train", 100, 300)]),
        ("train[-10:]", [("train", 990, 1000)]),
        ("train[:-10]", [("train", 0, 990)]),
        ("train[1shard:]", [("train", 600, 1000)]),
        ("validation[:50%]", [("validation", 0, 50)]),
        ("train[990:]+validation", [("train", 990, 1000), ("validation", 0, 101)]),
        ("all", [("train", 0, 1000), ("validation", 0, 101)]),
    ],
)
def test_expressions_select_these_ranges(split, ranges):
    assert resolve(split, SHARDS) == tuple(ranges)


def test_percentages_that_meet_leave_nothing_out_and_nothing_twice():
    for count in (37, 101, 1797):
        cuts = [resolve(f"train[{a}%:{a + 10}%]", {"train": [count]}) for a in range(0, 100, 10)]
        rows = [i for ((_, start, stop),) in cuts for i in range(start, stop)]
        assert rows == list(range(count))


@pytest.mark.parametrize("split", ["tset", "train+tset", "tset[:10%]"])
def test_an_unknown_split_is_answered_with_those_there_are(split):
    with pytest.raises(UserError, match=r"'tset'.*'toy' are: train \(1,000\), validation \(101\)"):
        resolve(split, SHARDS, name="toy")


@pytest.mark.parametrize("split", ["", "train[", "train[:8x]", "train[80%", "all[:10%]", "train[]"])
def test_an_expression_that_cannot_be_read_is_answered_with_examples(split):
    with pytest.raises(UserError, match=r"train\[:80%\]"):
        resolve(split, SHARDS)


@pytest.mark.parametrize("split", ["train[1200:]", "train[:2000]", "train[:150%]"])
def test_reaching_beyond_a_split_is_an_error(split):
    with pytest.raises(UserError, match=r"train \(1,000\)"):
        resolve(split, SHARDS)


@pytest.mark.parametrize("split", ["train[:0]", "train[300:100]", "train[1000:]"])
def test_selecting_nothing_is_an_error(split):
    with pytest.raises(UserError, match="selects no example"):
        resolve(split, SHARDS)
