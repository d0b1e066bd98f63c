"""Drawn unpooling: switches, nearest neighbor and bed of nails, and their adjoints."""

import numpy as np
import pytest
from arithmetic_text import evaluate

from cnnlab.errors import UserError
from cnnlab.plots.layers.unpooling import unpooling_backward_frames, unpooling_frames

X = np.array([[6.0, 8.0], [9.0, 6.0]])
SWITCHES = np.array([[5, 7], [8, 15]])
OPTIONS = {
    "switches": {"kind": "switches", "switches": SWITCHES},
    "nearest": {"kind": "nearest"},
    "nails": {"kind": "nails"},
}
EXPECTED = {
    "switches": [[0, 0, 0, 0], [0, 6, 0, 8], [9, 0, 0, 0], [0, 0, 0, 6]],
    "nearest": np.kron(X, np.ones((2, 2))),
    "nails": [[6, 0, 8, 0], [0, 0, 0, 0], [9, 0, 6, 0], [0, 0, 0, 0]],
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_value_goes_where_the_kind_says(kind):
    frames = unpooling_frames(X, 2, **OPTIONS[kind])
    assert len(frames) == X.size
    np.testing.assert_array_equal(frames[-1].grids[-1].values, EXPECTED[kind])
    # The first step has placed the first value only.
    first = frames[0].grids[-1].values
    assert set(np.unique(first)) == {0, 6}
    assert frames[0].text.endswith(" = 6")
    assert first[frames[0].grids[-1].current].tolist() == [6] * (4 if kind == "nearest" else 1)


@pytest.mark.parametrize("kind", OPTIONS)
def test_backward_is_the_adjoint(kind):
    dy = np.random.default_rng(0).integers(-3, 4, (4, 4)).astype(float)
    backward = unpooling_backward_frames(dy, 2, **OPTIONS[kind])
    for n in range(X.size):
        unit = np.zeros(X.size)
        unit[n] = 1
        placed = unpooling_frames(unit.reshape(X.shape), 2, **OPTIONS[kind])[-1].grids[-1].values
        assert (placed * dy).sum() == backward[-1].grids[-1].values.ravel()[n]
        assert len(set(evaluate(backward[n].text))) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unpooling_frames(X, 2, kind="bilinear"), "kind='bilinear' is none of"),
        (lambda: unpooling_frames(X, 2), "switches=None do not go together"),
        (
            lambda: unpooling_frames(X, 2, switches=SWITCHES + 1),
            "from 6 to 16 for an input of .* places 0 to 15",
        ),
    ],
)
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(UserError, match=message):
        call()
