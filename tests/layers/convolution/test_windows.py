"""Numbers of windows against published ones and counting; gather and scatter of taps."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import pads_of
from cnnlab.layers.convolution.windows import Windows, per_axis, window_of, windows

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
    assert where == Windows((i,), (k,), (s,), (d,), (pads,)) and where.out == (out,)


def test_a_window_more_with_ceil_unless_it_starts_in_the_padding():
    def both(i, k, s, pads):
        axis = (i,), (k,), (s,), (1,), (pads,)
        return Windows(*axis).out[0], Windows(*axis, ceil=True).out[0]

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
                assert Windows((i,), (k,), (s,), (d,), (pads,)).out == (len(fit),)


def test_same_gives_every_stride_th_output_and_the_odd_zero_goes_last():
    for i in range(1, 9):
        for k in range(1, 5):
            for s in (1, 2, 3):
                ((low, high),) = pads_of("SAME", (i,), (k,), (s,), (1,), "conv")
                assert Windows((i,), (k,), (s,), (1,), ((low, high),)).out == (-(-i // s),)
                assert high - low in (0, 1)
                needed = (-(-i // s) - 1) * s + k - i
                assert low + high == max(needed, 0)


def test_a_number_is_for_all_axes_a_sequence_has_one_for_each():
    assert per_axis(3, 2, "stride", "conv") == (3, 3)
    assert per_axis([1, 2], 2, "stride", "conv") == (1, 2)
    assert window_of([3, 2], "Layer") == (3, 2)
    with pytest.raises(UserError, match="Layer: kernel_size=3 needs a number for each axis"):
        window_of(3, "Layer")


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


OVER = windows((6, 9), (2, 3), stride=(1, 3), padding="VALID", dilation=(2, 1), layer="test")


def test_a_tap_reads_every_stride_from_its_place_on():
    x = jnp.arange(54.0).reshape(6, 9, 1)
    np.testing.assert_array_equal(OVER.gather_tap(x, (1, 2)), x[2:, 2::3])
    assert list(OVER.tap_indices()) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_scatter_is_the_adjoint_of_gather():
    rng = np.random.default_rng(0)
    x, *parts = (
        jnp.asarray(rng.integers(-5, 6, shape), jnp.float32)
        for shape in [(2, 6, 9, 3), *[(2, 4, 3, 3)] * 6]
    )
    taps = dict(zip(OVER.tap_indices(), parts, strict=True))
    gathered = sum(jnp.vdot(OVER.gather_tap(x, tap), part) for tap, part in taps.items())
    assert float(gathered) == float(jnp.vdot(x, OVER.scatter_taps(taps, (6, 9))))
