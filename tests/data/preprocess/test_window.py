"""Windows of a waveform: their places, and what is too short."""

import numpy as np
import pytest

from cnnlab.data.preprocess.transforms import check, preprocess
from cnnlab.data.preprocess.window import center_window, random_window
from cnnlab.errors import UserError


def ramp(length):
    return {"waveform": np.arange(length, dtype=np.float32), "label": 3}


def test_a_random_window_is_a_part_of_the_waveform_and_all_places_come_equally_often():
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(2000):
        example = random_window(ramp(13), rng, size=9)
        start = int(example["waveform"][0])
        np.testing.assert_array_equal(example["waveform"], np.arange(start, start + 9))
        assert example["label"] == 3
        starts.append(start)
    counts = np.bincount(starts)
    assert len(counts) == 5
    # 4 degrees of freedom: above 18.5 once in a thousand.
    assert ((counts - 400) ** 2 / 400).sum() < 18.5


@pytest.mark.parametrize(("length", "start"), [(13, 2), (14, 2), (9, 0)])
def test_the_central_window_is_in_the_middle(length, start):
    window = preprocess(ramp(length), None, center_window={"size": 9})["waveform"]
    np.testing.assert_array_equal(window, np.arange(start, start + 9))


def test_a_shorter_waveform_is_refused_or_padded_at_its_end():
    rng = np.random.default_rng(0)
    for function in (random_window, center_window):
        name = function.__name__
        with pytest.raises(
            UserError, match=rf"{name}\.size = 9 .* 5 samples.*{name}\.shorter='pad'"
        ):
            function(ramp(5), rng, size=9)
        padded = function(ramp(5), rng, size=9, shorter="pad")["waveform"]
        np.testing.assert_array_equal(padded, [0, 1, 2, 3, 4, 0, 0, 0, 0])
        assert padded.dtype == np.float32
    with pytest.raises(UserError, match=r"unknown preprocess\.center_window\.shorter 'wrap'"):
        check({"center_window": {"shorter": "wrap"}})


def test_windows_need_one_waveform():
    for example in ({"image": np.zeros((4, 5, 2), np.uint8)}, {"waveform": np.zeros((4, 5))}):
        with pytest.raises(UserError, match=r"center_window needs a 'waveform'.*\(4, 5"):
            center_window(example, size=2)
