"""Sizes, padding and their errors against published numbers, numpy.pad and counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import (
    output_size,
    pad,
    pads_of,
    per_axis,
    span,
    unpad,
    windows,
)

# Source: input, window, stride, padding, dilation -> padding in numbers, output.
PUBLISHED = {
    "slide: 3x3 under 2x2": (3, 2, 1, "VALID", 1, (0, 0), 2),
    "Dumoulin & Visin R1, no padding": (4, 3, 1, 0, 1, (0, 0), 2),
    "R2, any padding": (5, 4, 1, 2, 1, (2, 2), 6),
    "R3, half padding": (5, 3, 1, 1, 1, (1, 1), 5),
    "R4, full padding": (5, 3, 1, 2, 1, (2, 2), 7),
    "R5, stride": (5, 3, 2, 0, 1, (0, 0), 2),
    "R6, stride and padding": (5, 3, 2, 1, 1, (1, 1), 3),
    "R7, pooling": (5, 3, 1, 0, 1, (0, 0), 3),
    "R15, dilation": (7, 3, 1, 0, 2, (0, 0), 3),
    "AlexNet conv1 on 227": (227, 11, 4, 0, 1, (0, 0), 55),
    "AlexNet conv1 on 224": (224, 11, 4, 2, 1, (2, 2), 55),
    "AlexNet pool1": (55, 3, 2, 0, 1, (0, 0), 27),
    "AlexNet pool5": (13, 3, 2, 0, 1, (0, 0), 6),
    "LeNet-5 C1": (32, 5, 1, 0, 1, (0, 0), 28),
    "LeNet-5 C5": (5, 5, 1, 0, 1, (0, 0), 1),
    "ResNet stem, padding 3": (224, 7, 2, 3, 1, (3, 3), 112),
    "ResNet stem, SAME is not aligned with it": (224, 7, 2, "SAME", 1, (2, 3), 112),
    "3x3/2 SAME, even": (56, 3, 2, "SAME", 1, (0, 1), 28),
    "2 taps 3 apart, SAME": (10, 2, 1, "SAME", 3, (1, 2), 10),
    "causal": (10, 3, 1, "CAUSAL", 2, (4, 0), 10),
    "CPC grid": (256, 64, 32, 0, 1, (0, 0), 7),
    "siamese conv1": (105, 10, 1, 0, 1, (0, 0), 96),
    "SAME, window smaller than the stride": (7, 1, 3, "SAME", 1, (0, 0), 3),
}


@pytest.mark.parametrize("source", PUBLISHED)
def test_sizes_are_the_published_ones(source):
    i, k, s, padding, d, pads, out = PUBLISHED[source]
    where = windows((i,), (k,), stride=s, padding=padding, dilation=d, layer="conv")
    assert where == ((k,), (s,), (d,), (pads,), (out,))


def test_a_window_more_with_ceil_unless_it_starts_in_the_padding():
    def both(i, k, s, pads):
        axis = (i,), (k,), (s,), (1,), (pads,), "pool"
        return output_size(*axis)[0], output_size(*axis, ceil=True)[0]

    assert both(112, 3, 2, (0, 0)) == (55, 56)  # GoogLeNet's 56, 28, 14, 7 need it
    assert both(7, 3, 2, (0, 0)) == (3, 3)  # nothing is left over
    assert both(4, 2, 3, (0, 0)) == (1, 2)  # the second starts at 3, the last value
    assert both(3, 2, 3, (1, 1)) == (2, 2)
    assert both(3, 1, 3, (0, 1)) == (2, 1)  # ceil drops what only sees padding
    assert both(5, 2, 3, (1, 1)) == (2, 2)  # a third would start at 6, in the padding


@pytest.mark.parametrize("i", range(1, 8))
@pytest.mark.parametrize("s", [1, 2, 3])
def test_sizes_equal_a_count_of_the_windows_that_fit(i, s):
    for k in range(1, 5):
        for d in (1, 2):
            for pads in ((0, 0), (1, 2), (3, 0)):
                length = i + sum(pads)
                fit = [a for a in range(0, length, s) if a + d * (k - 1) < length]
                if not fit:
                    continue
                assert output_size((i,), (k,), (s,), (d,), (pads,), "conv") == (len(fit),)


def test_same_gives_every_stride_th_output_and_the_odd_zero_goes_last():
    for i in range(1, 9):
        for k in range(1, 5):
            for s in (1, 2, 3):
                ((low, high),) = pads_of("SAME", (i,), (k,), (s,), (1,), "conv")
                assert output_size((i,), (k,), (s,), (1,), ((low, high),), "conv") == (-(-i // s),)
                assert high - low in (0, 1)
                needed = (-(-i // s) - 1) * s + k - i
                assert low + high == max(needed, 0)


def test_amounts_are_for_all_axes_or_each_or_each_end():
    def amounts(padding):
        return pads_of(padding, (9, 9), (3, 3), (1, 1), (1, 1), "conv")

    assert amounts(2) == ((2, 2), (2, 2))
    assert amounts((1, 2)) == ((1, 1), (2, 2))
    assert amounts([[1, 2], [0, 3]]) == ((1, 2), (0, 3))
    assert amounts((1, (0, 2))) == ((1, 1), (0, 2))
    assert per_axis(3, 2, "stride", "conv") == (3, 3)
    assert per_axis([1, 2], 2, "stride", "conv") == (1, 2)
    assert [span(3, d) for d in (1, 2, 4)] == [3, 5, 9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 0}, r"pool: stride=0 must be whole and at least 1"),
        ({"stride": (1, 2, 3)}, r"pool: stride=\(1, 2, 3\) has 3 numbers for 2 axes"),
        ({"dilation": (1, 0)}, r"pool: dilation=\(1, 0\) must be whole and at least 1"),
        ({"taps": (3, 0)}, r"pool: window=\(3, 0\) must be whole and at least 1"),
        ({"padding": "same"}, r"pool: padding='same' is none of VALID, SAME, CAUSAL"),
        ({"padding": -1}, r"pool: padding=-1 must be .* none negative"),
        ({"padding": ((1, 1), (0, -2))}, r"pool: padding=\(\(1, 1\), \(0, -2\)\) must .* negative"),
        ({"padding": ((1, 1), (0, 1, 2))}, r"pool: padding=.* pairs \(low, high\)"),
        ({"padding": (1, 2, 3)}, r"pool: padding=\(1, 2, 3\) has 3 entries for 2 axes"),
        ({"taps": (3, 6)}, r"pool: the window of 6 is larger than the input of 5 .*\(0, 0\)"),
        ({"dilation": (1, 3)}, r"window of 3 \(it covers 7 with dilation 3\) is larger than the i"),
    ],
)
def test_what_cannot_be_is_named(change, message):
    geometry = dict(taps=(3, 3), stride=1, padding="VALID", dilation=1) | change
    with pytest.raises(UserError, match=message):
        windows((5, 5), **geometry, layer="pool")


@pytest.mark.parametrize(("fill", "mode"), [("zeros", "constant"), ("circular", "wrap")])
def test_fills_are_those_of_numpy(fill, mode):
    x = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)
    for pads in (((0, 0), (0, 0)), ((1, 2), (0, 3)), ((3, 0), (4, 4))):
        expected = np.pad(x, ((0, 0), *pads, (0, 0)), mode)
        np.testing.assert_array_equal(pad(jnp.asarray(x), pads, fill), expected)


def test_reflection_does_not_repeat_the_outermost_value():
    x = jnp.asarray([1.0, 2, 3, 4])[:, None]
    expected = [3, 2, 1, 2, 3, 4, 3, 2, 1]
    np.testing.assert_array_equal(pad(x, ((2, 3),), "reflect")[:, 0], expected)


@pytest.mark.parametrize(
    ("pads", "fill", "message"),
    [
        (((0, 5), (0, 0)), "circular", r"pad: padding \(0, 5\) with padding_mode='circular' .* 4"),
        (((0, 0), (3, 0)), "reflect", r"pad: padding \(3, 0\) with padding_mode='reflect' .* 3 "),
        (((0, 0), (0, 0)), "mirror", r"padding_mode='mirror' is none of zeros, circular, reflect"),
    ],
)
def test_a_fill_that_cannot_be_is_named(pads, fill, message):
    with pytest.raises(UserError, match=message):
        pad(jnp.ones((2, 4, 3, 1)), pads, fill)


@pytest.mark.parametrize("fill", ["zeros", "circular", "reflect"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_unpad_is_the_adjoint_of_pad(fill, lead):
    pads = ((1, 2), (0, 3))
    x = jax.random.normal(jax.random.key(0), (*lead, 4, 5, 2))
    padded = pad(x, pads, fill)
    dy = jax.random.normal(jax.random.key(1), padded.shape)
    dx = unpad(dy, pads, fill)
    np.testing.assert_allclose(jnp.vdot(padded, dy), jnp.vdot(x, dx), rtol=1e-5)
    expected = jax.vjp(lambda x: pad(x, pads, fill), x)[1](dy)[0]
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-6)
