import itertools

import numpy as np
import pytest

from cnnlab.data.builders import tones
from cnnlab.data.sources.source import load

EXAMPLES = [tones.draw(np.random.default_rng((7, i))) for i in range(240)]


def steps(melody, length):
    """All runs of `length` notes, going around."""
    return [tuple(melody[(i + j) % 5] for j in range(length)) for i in range(5)]


def test_melodies_have_the_same_notes_and_are_eight_different_circles():
    assert len(tones.MELODIES) == 8
    assert {tuple(sorted(melody)) for melody in tones.MELODIES} == {(0, 2, 4, 7, 9)}
    assert len({min(steps(melody, 5)) for melody in tones.MELODIES}) == 8


def test_every_step_is_in_two_melodies_and_four_notes_tell_which():
    counts = {}
    for length in (2, 3, 4):
        runs = [run for melody in tones.MELODIES for run in steps(melody, length)]
        counts[length] = sorted(runs.count(run) for run in set(runs))
    assert counts[2] == [2] * 20
    assert counts[3] == [1] * 32 + [2] * 4
    assert counts[4] == [1] * 40


def test_each_melody_comes_backwards_too():
    circles = {min(steps(melody, 5)) for melody in tones.MELODIES}
    assert {min(steps(melody[::-1], 5)) for melody in tones.MELODIES} == circles


@pytest.mark.parametrize("instrument", range(len(tones.INSTRUMENTS)))
def test_notes_have_the_pitch_and_the_length_asked_for(instrument):
    beat, start = 0.06, 1.5
    wave = tones.play((0, 4, 9), instrument, 5.0, beat=beat, start=start)
    assert wave.shape == (tones.LENGTH,)
    note = 0.5 * beat  # the first one begins in its middle
    for number in (2, 0, 1, 2):
        first, last = (round(tones.RATE * (note + t)) for t in (0.0, beat - tones.FADE))
        spectrum = abs(np.fft.rfft(wave[first:last] * np.hanning(last - first), 80_000))
        pitch = tones.LOWEST * 2 ** ((5 + (0, 4, 9)[number]) / 12)
        # The comb of its own harmonics is stronger than one a semitone off, whatever the timbre.
        combs = [
            sum(spectrum[round(10 * n * pitch * 2 ** (shift / 12))] for n in range(1, 7))
            for shift in (-1, 0, 1)
        ]
        assert combs[1] == max(combs)
        fundamental = 10 * pitch * np.array([2 ** (-1 / 24), 2 ** (1 / 24)])
        peak = spectrum[: round(15 * pitch)].argmax()
        assert fundamental[0] < peak < fundamental[1]
        note += beat


def test_notes_are_silent_at_their_ends():
    wave = tones.play((0, 2, 4, 7, 9), 3, 0.0, beat=0.05, start=0.0)
    edges = np.arange(0, tones.LENGTH, round(0.05 * tones.RATE))
    assert abs(wave[edges]).max() < 1e-9
    assert abs(wave).max() > 0.5


def test_the_future_repeats_the_past_after_one_pattern():
    beat = 0.05
    wave = tones.play(tones.MELODIES[3], 1, 2.0, beat=beat, start=0.3)
    period = round(5 * beat * tones.RATE)
    np.testing.assert_allclose(wave[period:], wave[:-period], atol=1e-6)


def test_no_harmonic_is_above_half_the_sample_rate():
    highest = tones.LOWEST * 2 ** ((11 + 4 * tones.TUNING + 9) / 12)
    assert max(len(harmonics) for harmonics, _, _ in tones.INSTRUMENTS) * highest < tones.RATE / 2


def test_labels_instruments_and_keys_are_even_and_tell_nothing_of_each_other():
    columns = [[int(e[key]) for e in EXAMPLES] for key in ("label", "instrument", "tonic")]
    for column, kinds in zip(columns, (8, 6, 12), strict=True):
        mean = len(EXAMPLES) / kinds
        assert (abs(np.bincount(column, minlength=kinds) - mean) < 4 * mean**0.5).all()
    for one, other in itertools.combinations(columns, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / len(EXAMPLES) ** 0.5


def test_waveforms_are_16_bit_loud_enough_and_never_clipped():
    for example in EXAMPLES:
        wave = example["waveform"]
        assert (wave.dtype, wave.shape) == (np.int16, (5120,))
        peak = abs(wave.astype(int)).max() / 32767
        assert tones.LOUDNESS[0] - 1e-4 <= peak <= tones.LOUDNESS[1] + 1e-4


def test_the_set_is_what_the_seed_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(tones, "SPLITS", {"train": 5, "validation": 2, "test": 3})
    for number, (split, count) in enumerate(tones.SPLITS.items()):
        source = load("tones", split, data_dir=str(tmp_path))
        assert len(source) == count
        assert source.info.class_names[:2] == ("0-2-4-7-9", "9-7-4-2-0")
        for i in range(count):
            expected = tones.draw(np.random.default_rng((tones.SEED, number, i)))
            example = source[i]
            assert example.keys() == expected.keys() == source.info.spec.keys()
            for key, value in expected.items():
                np.testing.assert_array_equal(example[key], value)
                assert example[key].dtype == value.dtype == source.info.spec[key][1]


def test_the_first_example_is_pinned():
    # A change here changes everyone's results: then raise the builder's VERSION.
    example = tones.draw(np.random.default_rng((tones.SEED, 0, 0)))
    assert [int(example[key]) for key in ("label", "instrument", "tonic")] == [2, 2, 1]
    np.testing.assert_allclose(example["waveform"][1000:1006], FIRST, atol=1)


FIRST = [-188, 203, 1118, 1015, -35, -21]
