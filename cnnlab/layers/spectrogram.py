"""Spectrograms of waveforms: power by frequency, or by mel band, frame by frame.

Pure functions of arrays. Nothing is padded unless `center` says so: a waveform of t samples has
(t - window) // hop + 1 frames, the last samples that fill none are dropped.
"""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.utils.registry import pick

# Slaney's Auditory Toolbox: linear up to 1 kHz, then 27 steps for each factor of 6.4.
HZ_PER_MEL, CORNER = 200 / 3, 1000.0
STEP = np.log(6.4) / 27


def _slaney(hz):
    above = CORNER / HZ_PER_MEL + np.log(np.maximum(hz, CORNER) / CORNER) / STEP
    return np.where(hz < CORNER, hz / HZ_PER_MEL, above)


def _slaney_inverse(mel):
    corner = CORNER / HZ_PER_MEL
    above = CORNER * np.exp(STEP * (np.maximum(mel, corner) - corner))
    return np.where(mel < corner, mel * HZ_PER_MEL, above)


def _htk(hz):
    return 2595 * np.log10(1 + hz / 700)


def _htk_inverse(mel):
    return 700 * (10 ** (mel / 2595) - 1)


# Hz -> mel and back.
SCALES = {"slaney": (_slaney, _slaney_inverse), "htk": (_htk, _htk_inverse)}


def spectrogram(
    waveforms: Float[Array, "*b t"],
    *,
    window: int,
    hop: int,
    fft: int = 0,
    center: bool = False,
) -> Float[Array, "*b n f"]:
    """Return the power of each frame at fft // 2 + 1 frequencies, by periodic Hann windows.

    Args:
        waveforms: samples.
        window: samples in a frame.
        hop: samples from one frame to the next.
        fft: length of the transform, frames are padded with zeros at their end; 0 for `window`.
        center: whether the waveform is reflected at both ends by half a window, so that frame k is
            centered on sample k x hop.

    Raises:
        UserError: a waveform shorter than a window, or a transform shorter than one.
    """
    if center:
        if waveforms.shape[-1] <= window // 2:
            raise UserError(_too_short(waveforms, window))
        sides = [(0, 0)] * (waveforms.ndim - 1) + [(window // 2, window // 2)]
        waveforms = jnp.pad(waveforms, sides, mode="reflect")
    if waveforms.shape[-1] < window:
        raise UserError(_too_short(waveforms, window))
    fft = fft or window
    if fft < window:
        raise UserError(f"spectrogram: fft={fft} is shorter than window={window}")
    count = (waveforms.shape[-1] - window) // hop + 1
    places = np.arange(count)[:, None] * hop + np.arange(window)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    transformed = jnp.fft.rfft(waveforms[..., places] * hann, fft)
    return jnp.real(transformed) ** 2 + jnp.imag(transformed) ** 2


def _too_short(waveforms: Array, window: int) -> str:
    return (
        f"spectrogram: waveforms of {waveforms.shape[-1]} samples are shorter than the window "
        f"of {window}"
    )


@cache
def mel_filters(
    rate: int,
    fft: int,
    mels: int,
    *,
    low: float = 0.0,
    high: float = 0.0,
    scale: str = "slaney",
    equal_area: bool = True,
) -> Float[np.ndarray, "f m"]:
    """Return triangular filters, whose corners are equally far apart in mel.

    Args:
        rate: samples a second.
        fft: length of the transform.
        mels: number of filters.
        low: Hz where the first begins.
        high: Hz where the last ends; 0 for half the rate.
        scale: "slaney" or "htk".
        equal_area: whether each filter has area 1 in Hz (Slaney's) or peaks at 1 (HTK's).

    Raises:
        UserError: not 0 <= low < high <= rate / 2, an unknown scale, or so many filters that one
            has no frequency.
    """
    high = high or rate / 2
    if not 0 <= low < high <= rate / 2:
        raise UserError(
            f"mel filters from {low:g} to {high:g} Hz: need 0 <= low < high <= {rate / 2:g}"
        )
    to_mel, to_hz = pick(SCALES, scale, "mel scale")
    corners = to_hz(np.linspace(to_mel(np.float64(low)), to_mel(np.float64(high)), mels + 2))
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    frequencies = np.arange(fft // 2 + 1)[:, None] * (rate / fft)
    rising = (frequencies - left) / (middle - left)
    falling = (right - frequencies) / (right - middle)
    filters = np.maximum(0, np.minimum(rising, falling))
    if not filters.any(axis=0).all():
        raise UserError(
            f"{mels} mel filters of a transform of {fft} samples at {rate} Hz: some lie between "
            "two frequencies; take fewer, or a longer window"
        )
    if equal_area:
        filters *= 2 / (right - left)
    return filters.astype(np.float32)


def decibels(power: Float[Array, "*shape"], floor: float = 1e-10) -> Float[Array, "*shape"]:
    """Return 10 log10 of a power that is at least `floor`."""
    return 10 / np.log(10) * jnp.log(jnp.maximum(power, floor))
