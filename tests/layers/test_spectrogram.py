"""Spectrograms against plain numpy, and the closed forms of the mel scales."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.spectrogram import SCALES, decibels, mel_filters, spectrogram


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_power_of_every_frame_is_that_of_its_fourier_transform():
    waveforms, window, hop, fft = normal(2, 100), 12, 5, 16
    got = spectrogram(jnp.asarray(waveforms), window=window, hop=hop, fft=fft)
    hann = np.sin(np.pi * np.arange(window) / window) ** 2
    for frame in range((100 - window) // hop + 1):
        cut = waveforms[:, frame * hop : frame * hop + window] * hann
        for k in range(fft // 2 + 1):
            wave = np.exp(-2j * np.pi * k * np.arange(window) / fft)
            np.testing.assert_allclose(got[:, frame, k], abs(cut @ wave) ** 2, rtol=1e-3, atol=1e-3)


def test_one_second_at_48_khz_has_199_frames_of_10_ms_every_5():
    # Arandjelovic & Zisserman 2017, appendix: 257 x 199.
    got = spectrogram(jnp.zeros((1, 48_000)), window=480, hop=240, fft=512)
    assert got.shape == (1, 199, 257)


def test_centered_frames_have_their_middle_at_multiples_of_the_hop():
    waveform = np.zeros(64, np.float32)
    waveform[24] = 1.0
    got = spectrogram(jnp.asarray(waveform), window=16, hop=8, center=True)
    assert got.shape == (64 // 8 + 1, 9)
    # The window is 1 at its middle, so the impulse has power 1 at every frequency.
    np.testing.assert_allclose(got[3], 1.0, rtol=1e-5)


def test_a_tone_has_its_power_at_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    got = spectrogram(jnp.asarray(tone), window=256, hop=128)
    assert (np.argmax(got, axis=-1) == 1000 * 256 // 8000).all()


@pytest.mark.parametrize("scale", SCALES)
def test_mel_scales_invert(scale):
    to_mel, to_hz = SCALES[scale]
    hz = np.linspace(0, 12_000, 50)
    np.testing.assert_allclose(to_hz(to_mel(hz)), hz, atol=1e-6)


def test_mel_scales_have_their_known_values():
    to_mel = SCALES["slaney"][0]
    np.testing.assert_allclose(to_mel(np.array([500.0, 1000.0, 6400.0])), [7.5, 15.0, 42.0])
    # 1000 mel at 1 kHz, to a hundredth of a percent.
    np.testing.assert_allclose(SCALES["htk"][0](1000.0), 1000.0, rtol=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_filters_are_triangles_between_their_neighbors_centers(scale):
    to_mel, to_hz = SCALES[scale]
    filters = mel_filters(16_000, 4096, 10, low=100.0, high=7000.0, scale=scale, equal_area=False)
    hz = np.arange(2049) * 16_000 / 4096
    corners = to_hz(np.linspace(to_mel(np.float64(100.0)), to_mel(np.float64(7000.0)), 12))
    for k in range(10):
        expected = np.interp(hz, corners[k : k + 3], [0, 1, 0])
        np.testing.assert_allclose(filters[:, k], expected, atol=1e-6)


def test_filters_of_equal_area_have_area_one():
    filters = mel_filters(16_000, 8192, 20)
    np.testing.assert_allclose(filters.sum(0) * 16_000 / 8192, 1.0, rtol=0.01)


def test_decibels_have_a_floor():
    np.testing.assert_allclose(decibels(jnp.asarray([100.0, 1.0, 0.0])), [20, 0, -100], atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectrogram(jnp.zeros((1, 9)), window=10, hop=5), "9 samples are shorter"),
        (lambda: spectrogram(jnp.zeros((1, 5)), window=10, hop=5, center=True), "are shorter"),
        (lambda: spectrogram(jnp.zeros((1, 99)), window=10, hop=5, fft=8), "fft=8 is shorter"),
        (lambda: mel_filters(8000, 256, 40, high=5000.0), "need 0 <= low < high <= 4000"),
        (lambda: mel_filters(8000, 256, 40, low=-1.0), "need 0 <= low"),
        (lambda: mel_filters(8000, 256, 200), "some lie between two frequencies"),
        (lambda: mel_filters(8000, 256, 4, scale="bark"), "bark"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
