"""Every model's arguments and stages, kept in files: a default that changes shows in review.

To write the files anew: REWRITE_SUMMARIES=1 python -m pytest tests/models/test_summaries.py
"""

import difflib
import os
from pathlib import Path

import pytest

from cnnlab import models
from cnnlab.analysis.model_table import STAGE_COLUMNS, csv_text, stage_rows, total_row
from cnnlab.analysis.summary import summarize

FOLDER = Path(__file__).parent / "summaries"
REWRITE = "REWRITE_SUMMARIES"
NAMES = models.available()
# Networks of more blocks than resnet101 take seconds to trace, and its like stand for them: of
# those the arguments are on file.
DEEPEST = 33


def described(name):
    """Return the arguments of a model, a line for each, and unless it is deep its stages as CSV."""
    architecture = models.MODELS[name]
    fields = architecture.fields()
    arguments = [f"{key} = {fields[key]!r}" for key in sorted(fields)]
    size = "x".join(map(str, architecture.input))
    head = "\n".join([f"# {name}, image {size}", *arguments, ""])
    if sum(fields.get("depths", ())) > DEEPEST:
        return head
    summary = summarize(models.create(name), (1, *architecture.input))
    rows = [*stage_rows(summary), total_row(summary)]
    return f"{head}\n{csv_text(rows, STAGE_COLUMNS)}\n"


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_stages_are_those_on_file(name):
    path, found = FOLDER / f"{name}.txt", described(name)
    if os.environ.get(REWRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    there = path.read_text() if path.exists() else ""
    if there != found:
        lines = difflib.unified_diff(there.splitlines(), found.splitlines(), "file", "now", n=0)
        pytest.fail(
            "\n".join([*lines, f"if this is meant: {REWRITE}=1 python -m pytest {__file__}"]),
            pytrace=False,
        )


def test_every_file_is_of_a_model():
    stale = {path.stem for path in FOLDER.iterdir()} - set(NAMES)
    assert not stale, f"delete the files of {', '.join(sorted(stale))} in {FOLDER}"


def test_the_table_in_the_docs_is_of_these_models():
    lines = (Path(__file__).parents[2] / "docs" / "models.md").read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][2:]
    assert sorted(row[0] for row in table) == NAMES
    for name, parameters, macs, *_ in table:
        text = (FOLDER / f"{name}.txt").read_text()
        if "\ntotal," in text:
            total = text.partition("\ntotal,")[2].split(",")
            assert [parameters, macs] == [f"{int(n):,}" for n in total[1:3]], name
