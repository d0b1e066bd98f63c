"""Convolution arithmetic: the cases of the guide and of well-known nets, and that it inverts."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from cnnlab.analysis import conv_arithmetic as arithmetic
from cnnlab.analysis.receptive_field import Field
from cnnlab.errors import UserError

CASES = json.loads(Path(__file__).with_name("conv_arithmetic.json").read_text())
FORWARD = [case for case in CASES["conv"] if case["op"] != "transposed_conv"]
TRANSPOSED = [case for case in CASES["conv"] if case["op"] == "transposed_conv"]
SMALL = list(itertools.product(range(1, 13), range(1, 5), range(1, 5), range(4), range(1, 4)))


def name(case):
    return case["id"]


def pad_of(case):
    return case["pad"] if isinstance(case["pad"], int) else tuple(case["pad"])


def places(i, k, s, p, d):
    """Where windows start when they are tried one after another, from -p on."""
    starts = range(-p, i + p, s)
    return [start for start in starts if start + d * (k - 1) <= i - 1 + p]


@pytest.mark.parametrize("case", FORWARD, ids=name)
def test_output_size_is_that_of_the_case(case):
    axis = case["input"], case["kernel"], case["stride"]
    ceil = case.get("ceil_mode", False)
    size = arithmetic.conv_size(*axis, pad_of(case), case["dilation"], ceil=ceil)
    assert size == case["output"]
    mode = case.get("padding_mode")
    if mode is not None:
        assert arithmetic.conv_size(*axis, mode, case["dilation"]) == case["output"]
    if mode == "SAME":
        assert arithmetic.same_padding(*axis, case["dilation"]) == pad_of(case)


@pytest.mark.parametrize("case", TRANSPOSED, ids=name)
def test_transposed_size_is_that_of_the_case(case):
    size = arithmetic.transposed_size(
        case["input"],
        case["kernel"],
        case["stride"],
        pad_of(case),
        output_padding=case["output_padding"],
        dilation=case["dilation"],
    )
    assert size == case["output"]


@pytest.mark.parametrize("case", CASES["flax_conv_transpose"], ids=str)
def test_transposed_size_by_name_is_that_of_lax(case):
    axis = case["input"], case["kernel"], case["stride"]
    assert arithmetic.transposed_size(*axis, "SAME") == case["flax_SAME"]
    assert arithmetic.transposed_size(*axis, "VALID") == case["flax_VALID"]
    assert arithmetic.transposed_size(*axis, 0) == case["torch_pad0"]


@pytest.mark.parametrize("case", CASES["receptive_field"], ids=name)
def test_receptive_field_grows_as_in_the_case(case):
    fields = arithmetic.receptive_field(case["layers"])
    assert [[field.size, field.stride] for field in fields] == case["trace"]
    assert fields[-1] == Field(case["receptive_field"], float(case["jump"]), 0.0)


def test_receptive_field_is_what_the_windows_reach():
    """Follow the windows of single outputs back through padded, strided and dilated layers."""
    layers = [(3, 2, 1, 1), (2, 1, 3, 0), (5, 3, 2, 4), (3, 1, 1, 1)]
    field = arithmetic.receptive_field(layers)[-1]
    for n in (0, 1, 5):
        reached = {n}
        for k, s, d, p in reversed(layers):
            reached = {s * m + d * u - p for m in reached for u in range(k)}
        first = field.start + n * field.stride
        assert (min(reached), max(reached)) == (first, first + field.size - 1)


def test_output_size_counts_the_windows_that_fit():
    for i, k, s, p, d in SMALL:
        fit = places(i, k, s, p, d)
        if fit:
            assert arithmetic.conv_size(i, k, s, p, d) == len(fit)
        else:
            with pytest.raises(UserError, match="larger than the input"):
                arithmetic.conv_size(i, k, s, p, d)


def test_output_padding_inverts_every_convolution():
    checked = 0
    for i, k, s, p, d in SMALL:
        if not places(i, k, s, p, d):
            continue
        a = arithmetic.inverting_output_padding(i, k, s, p, d)
        assert 0 <= a < s
        o = arithmetic.conv_size(i, k, s, p, d)
        assert arithmetic.transposed_size(o, k, s, p, output_padding=a, dilation=d) == i
        checked += 1
    assert checked > 1500


def test_uneven_padding_counts_at_both_ends():
    a = arithmetic.inverting_output_padding(8, 3, 2, (0, 1))
    o = arithmetic.conv_size(8, 3, 2, (0, 1))
    assert arithmetic.transposed_size(o, 3, 2, (0, 1), output_padding=a) == 8


def test_same_padding_is_the_least_with_as_many_outputs_as_strides():
    for i, k, s, d in itertools.product(range(1, 13), range(1, 6), range(1, 5), range(1, 4)):
        low, high = arithmetic.same_padding(i, k, s, d)
        assert high - low in (0, 1)
        assert arithmetic.conv_size(i, k, s, (low, high), d) == -(-i // s)
        if high > low or high > 0:
            one_less = (low, high - 1) if high > low else (low - 1, high)
            if i + sum(one_less) > d * (k - 1):
                assert arithmetic.conv_size(i, k, s, one_less, d) < -(-i // s)


def test_symmetric_same_padding_is_found_wherever_there_is_one():
    for i, k, s, d in itertools.product(range(1, 13), range(1, 6), range(1, 5), range(1, 4)):
        fitting = [p for p in range(k * d + s) if len(places(i, k, s, p, d)) == -(-i // s)]
        if fitting:
            assert arithmetic.same_padding(i, k, s, d, symmetric=True) == (fitting[0], fitting[0])
        else:
            assert s == 1
            with pytest.raises(UserError, match="an odd number"):
                arithmetic.same_padding(i, k, s, d, symmetric=True)


def test_impossible_combination_explains_itself():
    with pytest.raises(UserError) as error:
        arithmetic.same_padding(10, 4, symmetric=True)
    assert str(error.value) == (
        "same_padding: no equal padding keeps 10 with a window of 4 taps: it takes 3 in all, an "
        "odd number; use padding (1, 2), or an odd number of taps"
    )
    with pytest.raises(UserError, match="2 taps, 3 apart, which cover 4 values"):
        arithmetic.same_padding(10, 2, 1, 3, symmetric=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arithmetic.conv_size(5, 3, 0), r"stride=0 must be whole"),
        (lambda: arithmetic.conv_size(0, 3), r"i=0 must be whole"),
        (lambda: arithmetic.conv_size(5, 3, padding=-1), r"padding=-1 .* none negative"),
        (lambda: arithmetic.conv_size(5, 3, padding="FULL"), r"'FULL' is none of"),
        (
            lambda: arithmetic.transposed_size(5, 3, 2, output_padding=2),
            r"output_padding=2 must be 0 to 1",
        ),
        (lambda: arithmetic.transposed_size(5, 3, padding="CAUSAL"), r"none of SAME, VALID"),
        (lambda: arithmetic.transposed_size(2, 3, 1, 2), r"padding \(2, 2\) cuts off all 4 values"),
        (lambda: arithmetic.inverting_output_padding(2, 5), "larger than the input"),
        (lambda: arithmetic.receptive_field([(3, 1), (3,)]), r"layer 1 \(3,\) is not"),
        (lambda: arithmetic.receptive_field([(3, 0)]), r"layer 0: stride=0"),
        (lambda: arithmetic.receptive_field([(3, 1, 1, -1)]), r"layer 0: padding=-1 is negative"),
    ],
)
def test_numbers_that_cannot_be_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_sizes_are_those_of_real_convolutions():
    rng = np.random.default_rng(0)
    for _ in range(10):
        i, k, s, p, d = (int(n) for n in rng.integers((6, 1, 1, 0, 1), (12, 4, 4, 3, 3)))
        padded = np.pad(np.ones(i), p)
        taps = np.zeros(d * (k - 1) + 1)
        taps[::d] = 1
        assert arithmetic.conv_size(i, k, s, p, d) == len(np.correlate(padded, taps, "valid")[::s])
