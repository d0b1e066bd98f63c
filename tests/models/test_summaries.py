"""Every model's row, arguments and stages, kept in a file: a default that changes shows in review.

To write the file anew: REWRITE_SUMMARIES=1 python -m pytest tests/models/test_summaries.py
"""

import difflib
import os
from pathlib import Path

import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis import listings
from cnnlab.analysis.model_table import model_row, stage_rows
from cnnlab.analysis.summary import summarize
from cnnlab.analysis.tables import COLUMNS, json_text, markdown_text

FILE = Path(listings.__file__).with_name("models.json")
REWRITE = "REWRITE_SUMMARIES"
# Deeper networks take a quarter of a minute to trace; their numbers follow from shallow ones.
DEEPEST = 100
# Of more units than this: left to the long tests, for a default that changes shows in the shallow.
DEEP = 16


def traced(name, **arguments):
    """Return a model's row and its stages."""
    architecture = models.MODELS[name]
    summary = summarize(models.create(name, **arguments), (1, *architecture.input))
    row = model_row(name, architecture, summary, architecture.input)
    return row, stage_rows(summary)


def numbers(rows):
    """Return the numbers of rows of the same form, and the rows without them."""
    keys = ("parameters", "macs", "activations", "receptive_field", "stride")
    table = [[np.nan if row[key] is None else row[key] for key in keys] for row in rows]
    return np.array(table), keys


def from_shallow(name, depths):
    """Return the row and the stages of a deep network: each further unit of a stage adds the same.

    Every number, the receptive field too, is linear in the number of units of each stage.
    """
    row, stages = traced(name, depths=(2,) * len(depths))
    base, keys = numbers([row, *stages])
    total = base.copy()
    for stage, depth in enumerate(depths):
        longer = tuple(2 + (n == stage) for n in range(len(depths)))
        longer_row, longer_stages = traced(name, depths=longer)
        total += (depth - 2) * (numbers([longer_row, *longer_stages])[0] - base)
    for entry, values in zip([row, *stages], total, strict=True):
        entry |= {k: None if np.isnan(v) else int(v) for k, v in zip(keys, values, strict=True)}
    return row, stages


def described(name):
    """Return the entry of a model, as it is on file."""
    architecture = models.MODELS[name]
    fields = architecture.fields()
    depths = fields.get("depths", ())
    row, stages = from_shallow(name, depths) if sum(depths) > DEEPEST else traced(name)
    return {**row, "arguments": {key: fields[key] for key in sorted(fields)}, "stages": stages}


def write(entries):
    ordered = [entries[name] for name in models.MODELS if name in entries]
    FILE.write_text("[\n" + ",\n".join(map(json_text, ordered)) + "\n]\n")


def marked(name):
    """Return a name to test, with the mark of long tests for a deep network."""
    deep = sum(models.MODELS[name].fields().get("depths", ())) > DEEP
    return pytest.param(name, marks=pytest.mark.slow) if deep else name


@pytest.mark.parametrize("name", map(marked, models.MODELS))
@pytest.mark.sample(15)
def test_rows_arguments_and_stages_are_those_on_file(name):
    found = described(name)
    if os.environ.get(REWRITE):
        write(listings.models() | {name: found})
    there = listings.models().get(name, {})
    if json_text(there) != json_text(found):
        texts = (json_text(entry).splitlines() for entry in (there, found))
        lines = difflib.unified_diff(*texts, "file", "now", n=0)
        pytest.fail(
            "\n".join([*lines, f"if this is meant: {REWRITE}=1 python -m pytest {__file__}"]),
            pytrace=False,
        )


def test_the_file_has_these_models_in_their_order():
    assert list(listings.models()) == list(models.MODELS)


def test_a_deep_network_is_as_its_shallow_ones_say():
    depths = models.MODELS["resnet32"].fields()["depths"]
    assert from_shallow("resnet32", depths) == traced("resnet32")


def test_the_table_in_the_docs_is_of_these_models():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    assert markdown_text(listings.models().values(), COLUMNS) in text
