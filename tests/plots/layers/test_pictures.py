"""Every picture can be drawn, both ways, with the lecture's numbers or others."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.plots.layers.pictures import PICTURES, picture


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_picture_has_frames_of_other_sizes_too(name, backward):
    frames = picture(name, backward=backward)
    assert frames
    assert ("backward" in frames[0].title) == backward
    size = PICTURES[name].options["size"] + 2
    larger = picture(name, backward=backward, size=size, kernel=None)
    assert len(larger) > len(frames)
    # Nothing is left open at the end.
    assert not np.isnan(larger[-1].grids[-1].values).any()


def test_defaults_are_the_lecture_s_numbers():
    last = {name: picture(name)[-1].grids[-1].values.tolist() for name in PICTURES}
    assert last["conv"] == [[37, 47], [67, 77]]
    assert last["transposed"] == [[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]]
    assert last["max_pool"] == [[5, 7], [8, 15]]
    assert last["avg_pool"] == [[3.75, 5.25], [4.5, 3]]
    assert picture("conv", backward=True)[-1].grids[-1].values.tolist() == [
        [1, 2, 0],
        [3, 6, 4],
        [0, 6, 8],
    ]


def test_options_reach_the_drawing():
    frames = picture("conv", size=7, kernel=3, stride=2, padding="SAME", dilation=2)
    assert frames[0].subtitle == "window 3×3 · stride 2 · padding 2 · dilation 2"
    assert len(frames) == 16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: picture("convv"), "unknown picture 'convv'; did you mean 'conv'"),
        (
            lambda: picture("max_pool", dilation=2),
            "max_pool has no dilation; it has: size, kernel, stride, padding",
        ),
        (lambda: picture("conv", kernel=9), "larger than the input of 3"),
        (lambda: picture("conv", size=99), "no room for size=99: at most 24"),
    ],
)
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(UserError, match=message):
        call()
