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
# A thousand layers take ten seconds to trace; resnet110 and resnet164_v2 stand for them.
TOO_DEEP = {"resnet1202", "resnet1001_v2"}
NAMES = [name for name in models.available() if name not in TOO_DEEP]


def described(name):
    """Return the arguments of a model, a line for each, and its stages as CSV."""
    architecture = models.MODELS[name]
    fields = architecture.fields()
    arguments = [f"{key} = {fields[key]!r}" for key in sorted(fields)]
    summary = summarize(models.create(name), (1, *architecture.input))
    rows = [*stage_rows(summary), total_row(summary)]
    size = "x".join(map(str, architecture.input))
    stages = csv_text(rows, STAGE_COLUMNS)
    return "\n".join([f"# {name}, image {size}", *arguments, "", stages, ""])


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
