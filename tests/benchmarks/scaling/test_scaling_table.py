"""The tables of docs/scaling.md: their numbers are the code's, and the document has them."""

from pathlib import Path

import pytest

from benchmarks.scaling import scaling_table as table
from cnnlab.analysis import listings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("model", "name"), [("resnet50", "RESNET"), ("vgg16", "VGG")])
def test_workloads_have_the_counts_of_their_models(model, name):
    work = getattr(table, name)
    entry = listings.models()[model]
    assert (entry["parameters"], entry["macs"]) == (work.parameters, work.macs)


def test_every_row_of_a_table_has_the_same_columns():
    for rows in (table.times(), table.balances(), table.checkpoints()):
        assert len({tuple(row) for row in rows}) == 1
        assert len({row["part"] for row in rows}) == 1


def number(text):
    return float(text.replace(",", ""))


def test_the_document_has_the_times_of_the_model():
    lines = (ROOT / "docs/scaling.md").read_text().splitlines()
    cells = [[c.strip() for c in line.strip("| ").split("|")] for line in lines]
    times = [c for c in cells if len(c) == 10 and c[3].isdigit()]
    written = {tuple(c[:4]): [number(x) for x in c[4:8]] for c in times}
    expected = {
        (row["cluster"], row["model"], f"{row['devices']:,}", str(row["images"])): [
            row[name] for name in ("compute", "exchange", "input", "step")
        ]
        for row in table.times()
    }
    assert len(written) > 20
    for key, values in written.items():
        assert values == pytest.approx(expected[key], abs=0.06), key
