"""The rows of the comparison with PyTorch compute the same thing on either side."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.parity
FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import layer_rows
    import layers_vs_torch

    return layer_rows, layers_vs_torch


def small(layer_rows):
    yield layer_rows.conv_row("depthwise", (2, 6, 5, 4), (3, 3, 1, 4), 2, 1, groups=4)
    yield layer_rows.transposed_row("transposed", (2, 4, 3, 4), (4, 4, 3, 4), 2, 1)
    yield layer_rows.pool_row("max-pool", (2, 6, 5, 4), 3, 2, 1)
    yield layer_rows.conv_lstm_row(steps=3, size=5, channels=2, features=3)
    yield layer_rows.batch_norm_row((4, 5, 5, 3))
    yield layer_rows.attention_row((2, 2, 5, 4))


@pytest.mark.parametrize("channels_last", [False, True])
def test_values_and_gradients_of_all_contestants_agree(modules, channels_last):
    layer_rows, comparison = modules
    for row in small(layer_rows):
        functions = {"cnnlab": row.ours, "XLA": row.native}
        arrays = layer_rows.make(row)
        calls = comparison.contestants(row, arrays, functions, channels_last=channels_last)
        comparison.check(row, calls)


def test_another_result_or_gradient_stops_the_comparison(modules):
    layer_rows, comparison = modules
    row = layer_rows.conv_row("dense", (2, 6, 5, 4), (3, 3, 4, 4), 1, 1)
    arrays = layer_rows.make(row)

    def scaled(x, kernel):
        return 1.01 * row.ours(x, kernel)

    for other in (dataclasses.replace(row, ours=scaled), dataclasses.replace(row, native=scaled)):
        functions = {"cnnlab": other.ours, "XLA": other.native}
        with pytest.raises(SystemExit, match=r"dense: .* differs by 1\.0e-02 in result 0"):
            comparison.check(other, comparison.contestants(other, arrays, functions))


def test_every_row_has_its_own_name_and_pooling_sees_ties(modules):
    layer_rows, _ = modules
    rows = layer_rows.rows()
    assert len({row.name for row in rows}) == len(rows)
    (x,) = layer_rows.make(next(row for row in rows if row.name.startswith("max-pool")))
    assert 0.4 < np.mean(x == 0) < 0.6
