"""Accuracies of documents and configs are rows of results/, and rows follow their sources."""

import ast
import json
import re

import pytest

from benchmarks import accuracy_rows
from cnnlab import config_file

ROOT = accuracy_rows.ROOT
TOPICS = {path.stem: accuracy_rows.read(path) for path in sorted(ROOT.glob("results/*.jsonl"))}
ROWS = [row for rows in TOPICS.values() for row in rows]
FIELDS = ["claim", "config", "metric", "split", "seeds", "value", "spread"]
FIELDS += ["paper", "place", "protocol", "command"]
FIELDS += ["steps", "hardware", "date", "commit", "source"]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLE = re.compile(r"<!-- results: (.*?) -->\n((?:\|.*\n)+)")
CELL = re.compile(r"\**(\d[\d.]*)(?: ± (\d[\d.]*))?( %| points)?\**")
PAIR = re.compile(r"(\d[\d.]*)\s*(?:±|\+-)\s*(\d[\d.]*\d)")
# Numbers of docstrings that are no results: logarithms, chance, rates, and a rounded paper's.
CONSTANTS = {"3.91", "3.47", "3.89", "16.7", "0.6", "2.5", "2.9", "23.5"}
EXPECTED = re.compile(r"^Expected(.*?)(?:\n\n(?=\S)|\Z)", re.MULTILINE | re.DOTALL)


def same(number: str, value: float | None, percent: bool) -> bool:
    """Whether a value, rounded as the number is printed, is that number."""
    digits = len(number.partition(".")[2])
    return value is not None and f"{value * 100**percent:.{digits}f}" == number


def agrees(row: dict, value: str, spread: str | None, percent: bool) -> bool:
    if spread is None:
        # A number without its spread is one run, or the same in all of them.
        digits = len(value.partition(".")[2])
        spread = f"{0:.{digits}f}" if row["spread"] else None
    number = row["paper"] if row["value"] is None else row["value"]
    return same(value, number, percent) and (spread is None or same(spread, row["spread"], percent))


def tables(text: str):
    """Yield the topics and, for each cell that has a number, its claims and text."""
    for topics, table in TABLE.findall(text):
        header, _, *lines = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
        ]
        for label, *cells in lines:
            for name, cell in zip(header[1:], cells, strict=True):
                if re.search(r"\d", cell):
                    yield topics.split(), (f"{label}: {name}", label), cell


@pytest.mark.parametrize("topic", TOPICS)
def test_rows_are_complete_and_follow_their_sources(topic):
    for row in TOPICS[topic]:
        assert list(row) == FIELDS
        assert row == accuracy_rows.computed(row)
    claims = [row["claim"] for row in TOPICS[topic]]
    assert len(set(claims)) == len(claims)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_number_of_a_table_is_its_row(document):
    for topics, claims, cell in tables(document.read_text()):
        found = [row for t in topics for row in TOPICS[t] if row["claim"] in claims]
        assert len(found) == 1, claims
        number = CELL.fullmatch(cell)
        assert number, cell
        value, spread, unit = number.groups()
        assert agrees(found[0], value, spread, bool(unit)), (claims[0], cell, found[0]["value"])


@pytest.mark.parametrize(
    ("document", "rows"),
    accuracy_rows.tables(TOPICS["published"]).items(),
    ids=lambda x: str(x)[:9],
)
def test_the_table_of_published_numbers_is_its_rows(document, rows):
    text = (ROOT / document).read_text()
    assert accuracy_rows.with_table(text, rows) == text


def test_a_document_without_marks_gets_no_table():
    with pytest.raises(ValueError, match="no place for the table of published numbers"):
        accuracy_rows.with_table("# Results\n", TOPICS["published"])


def test_tables_and_their_rows_exist():
    quoted = {
        claim for path in DOCUMENTS for _, claims, _ in tables(path.read_text()) for claim in claims
    }
    assert len(quoted & {row["claim"] for row in ROWS}) > 90


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_mean_with_its_spread_is_a_row(document):
    for value, spread in PAIR.findall(document.read_text()):
        assert any(agrees(row, value, spread, percent) for row in ROWS for percent in (0, 1)), value


@pytest.mark.parametrize("config", sorted({row["config"].partition(":")[0] for row in ROWS}))
def test_the_numbers_that_a_config_expects_are_rows(config):
    (expected,) = EXPECTED.findall(ast.get_docstring(ast.parse((ROOT / config).read_text())))
    topics = [t for t in TOPICS.values() if any(row["config"].startswith(config) for row in t)]
    rows = [row for topic in topics for row in topic]
    for value, spread in PAIR.findall(expected):
        assert any(agrees(row, value, spread, percent) for row in rows for percent in (0, 1)), value
    values = [row[name] for row in rows for name in ("value", "paper")]
    for number in re.findall(r"\d+\.\d+|\d+(?= %)", PAIR.sub("", expected)):
        found = any(same(number, value, percent) for value in values for percent in (0, 1))
        assert found or number in CONSTANTS, number


def test_the_configs_of_rows_and_their_variants_exist():
    for config in sorted({row["config"] for row in ROWS}):
        config_file.load(config)


def test_every_config_that_expects_numbers_has_rows():
    texts = {path: path.read_text() for path in (ROOT / "configs").glob("*.py")}
    expecting = {f"configs/{path.name}" for path, text in texts.items() if EXPECTED.search(text)}
    assert expecting == {row["config"].partition(":")[0] for row in ROWS}


def test_rows_follow_new_values_of_their_source(tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy_rows, "ROOT", tmp_path)
    source = "results/seeds/new.json::results::test/accuracy"
    row = {**dict.fromkeys(FIELDS), "claim": "new: test accuracy", "source": source}
    lone = {**dict.fromkeys(FIELDS), "claim": "lone: test accuracy", "value": 0.5}
    folder = tmp_path / "results"
    (folder / "seeds").mkdir(parents=True)
    error = {**row, "claim": "new: test error", "metric": "error"}
    rows = "".join(f"{json.dumps(r)}\n" for r in (row, lone, error))
    (folder / "topic.jsonl").write_text(rows)
    record = {
        "protocol": "last",
        "command": "run",
        "results": {"test/accuracy": {"values": [1, 2]}},
        "steps": 40,
    }
    (folder / "seeds" / "new.json").write_text(json.dumps(record))
    accuracy_rows.refresh(folder)
    new, old, error = accuracy_rows.read(folder / "topic.jsonl")
    assert (new["seeds"], new["value"], new["spread"]) == (2, 1.5, 0.5**0.5)
    assert (new["protocol"], new["command"], old) == ("last", "run", lone)
    # An error is one minus the accuracy; what the record does not say is null.
    assert (error["value"], error["spread"]) == (1 - 1.5, 0.5**0.5)
    assert (new["steps"], new["hardware"]) == (40, None)
