"""The contestants of the comparison with PyTorch train the same network."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.parity
FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_all_contestants_have_the_same_losses_step_after_step(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import lenet_vs_torch as comparison

    parts = comparison.build(batch_size=8)
    host = next(parts.train.batches(0))
    images = ((host["image"] / 255 - comparison.MEAN) / comparison.STD).astype(np.float32)
    contestants = {
        "trainer": comparison.trainer(parts, parts.parallel.place_batch(host)),
        "bare": comparison.bare(parts, images, host["label"]),
        "PyTorch": comparison.peer(parts, images, host["label"]),
        "channels last": comparison.peer(parts, images, host["label"], channels_last=True),
    }
    comparison.check(contestants)
    # From the start again: after ten steps rounding has taken the same network elsewhere, too.
    contestants = {
        "PyTorch": comparison.peer(parts, images, host["label"]),
        "another network": comparison.bare(parts, 0 * images, host["label"]),
    }
    with pytest.raises(SystemExit, match="another network has losses"):
        comparison.check(contestants)
