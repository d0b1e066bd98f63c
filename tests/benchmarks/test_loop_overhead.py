"""The benchmark of the training loop runs, on a network of a second."""

import argparse
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("placement", ["memory", "device"])
def test_it_compares_the_loop_with_the_bare_step(monkeypatch, placement):
    monkeypatch.syspath_prepend(FOLDER)
    import loop_overhead

    case = dict(model=dict(name="mlp", hidden=(4,)), batch_size=8, size=8)
    options = argparse.Namespace(blocks=1, calls=2)
    row = loop_overhead.measure("tiny", case, placement, options)
    assert row["bare step, wall ms"] > 0
    assert row["wall from"] <= row["wall overhead, %"] <= row["wall to"]
