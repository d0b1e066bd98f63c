"""Sizes of transposed convolutions: the guide's relationships, flax's, and what cannot be."""

import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.transposed_windows import transposed_windows

# Dumoulin & Visin 2016 by relationship: input, kernel, stride, pad, output.
RELATIONSHIPS = {
    "R8": (2, 3, 1, 0, 4),
    "R9": (6, 4, 1, 2, 5),
    "R11": (7, 3, 1, 2, 5),
    "R12": (2, 3, 2, 0, 5),
    "R13": (3, 3, 2, 1, 5),
    "FCN-32s": (7, 64, 32, 0, 256),
    "FCN, twice": (7, 4, 2, 0, 16),
    "U-Net": (14, 2, 2, 0, 28),
}


@pytest.mark.parametrize("name", RELATIONSHIPS)
def test_sizes_are_the_guides(name):
    i, k, s, p, o = RELATIONSHIPS[name]
    assert transposed_windows((i,), (k,), stride=s, padding=p).size == (o,)


def test_a_dilated_window_covers_more():
    assert transposed_windows((4,), (3,), padding=0, dilation=2).size == (8,)


def test_relationship_14_output_padding_chooses_among_the_sizes_a_stride_merges():
    sizes = [
        transposed_windows((3,), (3,), stride=2, padding=1, output_padding=a).size for a in range(2)
    ]
    assert sizes == [(5,), (6,)]


@pytest.mark.parametrize(
    ("of", "same", "valid", "adjoint"),
    [
        ((7, 4, 2), 14, 16, 16),
        ((7, 3, 2), 14, 15, 15),
        ((7, 2, 2), 14, 14, 14),
        ((5, 3, 1), 5, 7, 7),
        ((4, 2, 3), 12, 12, 11),
        ((3, 5, 2), 6, 9, 9),
    ],
)
def test_same_and_valid_are_flaxs(of, same, valid, adjoint):
    i, k, s = of
    for convention, expected in (("flax", valid), ("adjoint", adjoint)):
        args = dict(stride=s, convention=convention)
        assert transposed_windows((i,), (k,), padding="SAME", **args).size == (same,)
        assert transposed_windows((i,), (k,), padding="VALID", **args).size == (expected,)


@pytest.mark.parametrize(("s", "d", "a"), [(2, 1, 2), (1, 1, 1), (2, 3, 3)])
def test_output_padding_as_large_as_stride_and_dilation_names_the_sizes_there_are(s, d, a):
    least = s * 4 + 2 * d + 1
    with pytest.raises(UserError, match=f"output_padding={a} .* {least} to {least + s - 1}"):
        transposed_windows((5,), (3,), stride=s, padding=0, output_padding=a, dilation=d)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(output_padding=-1), "output_padding=-1 must be a whole number"),
        (dict(output_padding=(0, 1)), "one for each of 1 axes"),
        (dict(output_padding=1), "with padding='SAME'"),
        (dict(output_padding=1, padding=0, convention="flax"), "with convention='flax'"),
        (dict(padding=4), r"nothing is left of an input of 5 .* padding \(4, 4\)"),
        (dict(padding=-1), "none negative"),
        (dict(stride=0), "stride=0"),
    ],
)
def test_what_cannot_be_is_explained(kwargs, message):
    with pytest.raises(UserError, match=message):
        transposed_windows((5,), (3,), **kwargs)
