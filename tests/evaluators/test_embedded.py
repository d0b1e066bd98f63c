"""What cannot be evaluated is refused with one clear line."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators.embedded import Embedded, same_split

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
        Embedded(features, keys)


def test_a_missing_key_is_named():
    split = Embedded(X, {"alphabet": np.arange(3)})
    assert split.key("alphabet").tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="no key 'alphabets'; did you mean 'alphabet'"):
        split.key("alphabets")
    with pytest.raises(UserError, match="no key 'label'"):
        _ = split.label


def test_the_same_rows_are_recognized():
    a = Embedded(X, {"label": np.arange(3)})
    assert same_split(a, a) and same_split(a, Embedded(X, {}))
    assert not same_split(a, Embedded(X.copy(), {}))
    assert len(a) == 3
