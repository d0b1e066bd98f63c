"""The drawn convolution is the convolution, step by step."""

import jax.numpy as jnp
import numpy as np
import pytest
from arithmetic_text import evaluate, target

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.plots.layers.forward import forward_frames
from cnnlab.plots.layers.frame import PADDING, VALUE

X, W = np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 4.0]])
GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"stride": (1, 2), "padding": ((0, 1), (2, 0)), "dilation": (2, 1)},
    {"padding": "SAME"},
]


def arrays(size=5, kernel=3):
    rng = np.random.default_rng(0)
    return (
        rng.integers(-4, 10, (size, size)).astype(float),
        rng.integers(-2, 3, (kernel, kernel)).astype(float),
    )


def test_slide_is_drawn_with_its_sums_written_out():
    frames = forward_frames(X, W)
    assert [frame.text for frame in frames] == [
        "y₀₀ = 1·1 + 2·2 + 4·3 + 5·4 = 37",
        "y₀₁ = 2·1 + 3·2 + 5·3 + 6·4 = 47",
        "y₁₀ = 4·1 + 5·2 + 7·3 + 8·4 = 67",
        "y₁₁ = 5·1 + 6·2 + 8·3 + 9·4 = 77",
    ]
    np.testing.assert_array_equal(frames[-1].grids[2].values, [[37, 47], [67, 77]])


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_last_frame_is_the_convolution_and_each_step_adds_one_output(geometry):
    x, w = arrays()
    expected = np.asarray(
        conv(
            jnp.asarray(x)[..., None], jnp.asarray(w)[..., None, None], **{"padding": 0, **geometry}
        )
    )[..., 0]
    frames = forward_frames(x, w, **geometry)
    assert len(frames) == expected.size
    for number, frame in enumerate(frames):
        out = frame.grids[2].values
        flat = np.where(np.arange(expected.size) <= number, expected.ravel(), np.nan)
        np.testing.assert_allclose(out.ravel(), flat)
        computed, written = evaluate(frame.text)
        cell = np.unravel_index(number, expected.shape)
        assert computed == written == expected[cell]
        assert target(frame.text) == ("y", cell)
        assert np.argwhere(frame.grids[2].current).tolist() == [list(cell)]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_marked_cells_times_their_notes_make_the_output(geometry):
    x, w = arrays()
    for frame in forward_frames(x, w, **geometry):
        shown, _, out = frame.grids
        assert {tuple(cell) for cell in np.argwhere(shown.marked)} == set(shown.notes)
        notes = {cell: note.strip("×()").replace("−", "-") for cell, note in shown.notes.items()}
        total = sum(shown.values[cell] * float(note) for cell, note in notes.items())
        assert total == out.values[out.current].item()


def test_padding_is_distinguished_from_the_input():
    x, w = arrays()
    shown = forward_frames(x, w, padding=1)[0].grids[0]
    np.testing.assert_array_equal(shown.values, np.pad(x, 1))
    np.testing.assert_array_equal(
        shown.kinds, np.pad(np.full(x.shape, VALUE), 1, constant_values=PADDING)
    )


def test_geometry_is_said_in_words():
    x, w = arrays()
    assert forward_frames(x, w)[0].subtitle == "window 3×3 · stride 1 · padding 0"
    uneven = forward_frames(x, w[:2], stride=(1, 2), padding=((0, 1), (2, 0)), dilation=2)
    assert uneven[0].subtitle == ("window 2×3 · stride 1×2 · padding (0, 1), (2, 0) · dilation 2")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: forward_frames(np.zeros((3, 3)), np.zeros((4, 4))), "larger than the input"),
        (lambda: forward_frames(np.zeros((13, 3)), W), r"input of shape \(13, 3\) cannot be drawn"),
        (lambda: forward_frames(X, W, padding=12), r"padded input of shape \(27, 27\)"),
        (lambda: forward_frames(X, W, stride=0), "stride=0 must be"),
    ],
)
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(UserError, match=message):
        call()
