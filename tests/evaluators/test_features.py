"""What cannot be evaluated is refused with one clear line."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators.features import Features, overlap, same_split, without

X = np.ones((3, 2), np.float32)


@pytest.mark.parametrize(
    ("features", "keys", "message"),
    [
        (X[:0], {}, "hold nothing"),
        (np.array([[1, np.nan], [np.inf, 0], [1, 1]], np.float32), {}, "2 of 3 .* NaN or infinity"),
        (X, {"label": np.arange(2)}, r"key 'label' has shape \(2,\), not one .* the 3 embeddings"),
        (X, {"label": np.ones((3, 4), int)}, r"shape \(3, 4\), not one integer"),
        (X, {"label": np.ones(3)}, "key 'label' must be integers"),
    ],
)
def test_what_is_wrong_with_an_embedding_is_said(features, keys, message):
    with pytest.raises(UserError, match=message):
        Features(features, keys)


def test_a_missing_key_is_named():
    split = Features(X, {"alphabet": np.arange(3)})
    assert split.key("alphabet").tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="no key 'alphabets'; did you mean 'alphabet'"):
        split.key("alphabets")
    with pytest.raises(UserError, match="no key 'label'"):
        _ = split.label


def test_the_same_rows_are_recognized():
    a = Features(X, {"label": np.arange(3)})
    assert same_split(a, a) and same_split(a, Features(X, {}))
    assert not same_split(a, Features(X.copy(), {}))
    assert len(a) == 3


def known(ids):
    ids = np.array(ids, np.uint64)
    return Features(ids[:, None].astype(np.float32), {"label": ids.astype(int)}, ids=ids)


def test_the_same_examples_are_found_wherever_they_stand():
    a, b = known([5, 2, 9, 2**63]), known([2, 7, 2, 2**63, 5])
    rows, columns = overlap(a, b)
    assert rows.tolist() == [0, 1, 1, 3]
    assert columns.tolist() == [4, 0, 2, 3]
    assert [x.tolist() for x in overlap(known([1]), b)] == [[], []]
    unknown = Features(X, {})
    assert overlap(unknown, Features(X.copy(), {}))[0].tolist() == []
    assert overlap(unknown, unknown)[1].tolist() == [0, 1, 2]


def test_what_is_left_without_others():
    a = known([5, 2, 9])
    assert without(a, known([1]), known([8])) is a
    rest = without(a, known([9, 9]), known([5]))
    assert rest.label.tolist() == [2] and rest.index.tolist() == [1] and rest.ids.tolist() == [2]
    assert rest.take(np.array([True])).index.tolist() == [1]
    assert without(a, known([9, 5]), a) is None
