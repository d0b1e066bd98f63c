"""Windows of a waveform: successive samples from its middle, or from a random place.

van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", section 3.1,
learns from random ones of 20,480 samples, 1.28 s at 16 kHz.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from cnnlab.data.argument_types import PositiveWhole
from cnnlab.errors import UserError


def random_window(
    example: Mapping[str, Any],
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 20_480,
    shorter: Literal["refuse", "pad"] = "refuse",
) -> dict[str, Any]:
    """Cut `size` successive samples out of "waveform", all places alike.

    A shorter one is refused with a `UserError`, or padded with zeros at its end. (Silence is easily
    distinguished from sound, so many padded windows make contrastive learning easy.)

    Args:
        size: samples of the window.
        shorter: what to do with a shorter waveform: "refuse" it or "pad" it with zeros.
    """
    waveform = _long_enough(example, "random_window", size, shorter)
    start = rng.integers(len(waveform) - size + 1)
    return {**example, "waveform": waveform[start : start + size]}


def center_window(
    example: Mapping[str, Any],
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 20_480,
    shorter: Literal["refuse", "pad"] = "refuse",
) -> dict[str, Any]:
    """Cut the middle `size` samples out of "waveform"; for shorter ones see `random_window`.

    Args:
        size: samples of the window.
        shorter: what to do with a shorter waveform: "refuse" it or "pad" it with zeros.
    """
    waveform = _long_enough(example, "center_window", size, shorter)
    start = (len(waveform) - size) // 2
    return {**example, "waveform": waveform[start : start + size]}


def _long_enough(
    example: Mapping[str, Any], name: str, size: int, shorter: str
) -> Shaped[np.ndarray, "t"]:
    waveform = np.asarray(example["waveform"]) if "waveform" in example else np.zeros(())
    if waveform.ndim != 1:
        raise UserError(
            f"{name} needs a 'waveform' of shape (samples,); the example has: "
            + ", ".join(f"{key} {np.shape(value)}" for key, value in sorted(example.items()))
        )
    if len(waveform) >= size:
        return waveform
    if shorter == "refuse":
        raise UserError(
            f"{name}.size = {size} is more than a waveform of {len(waveform)} samples has; make "
            f"the window smaller, leave short files out, or pad them with {name}.shorter='pad'"
        )
    return np.pad(waveform, (0, size - len(waveform)))
