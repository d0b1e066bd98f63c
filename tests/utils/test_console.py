"""What is printed is what it is: no markup, no emoji, on either console."""

import logging

import pytest
from rich.table import Table

from cnnlab.utils.console import LOG, console, number_tables, one_line, output, set_up_logging

TEXT = "[red]a[/red] [/] :cat: $x [bold]"


def printed(printer, thing):
    with printer.capture() as text:
        printer.print(thing)
    return text.get()


@pytest.mark.parametrize("printer", [console, output()])
def test_names_are_printed_as_they_are(printer):
    assert TEXT in printed(printer, TEXT)
    table = Table(TEXT, title=TEXT)
    table.add_row(TEXT)
    assert printed(printer, table).count(TEXT) == 3


def test_names_are_logged_as_they_are():
    handlers, level, propagate = LOG.handlers[:], LOG.level, LOG.propagate
    try:
        set_up_logging()
        with console.capture() as text:
            LOG.warning("%s", TEXT)
    finally:
        LOG.handlers[:], LOG.propagate = handlers, propagate
        LOG.setLevel(level or logging.NOTSET)
    assert TEXT in text.get()


def test_a_message_in_a_log_is_one_line_however_long():
    handlers, level, propagate = LOG.handlers[:], LOG.level, LOG.propagate
    try:
        set_up_logging()
        with console.capture() as text:
            LOG.warning("word " * 40)
    finally:
        LOG.handlers[:], LOG.propagate = handlers, propagate
        LOG.setLevel(level or logging.NOTSET)
    assert text.get().splitlines() == ["WARNING  " + "word " * 40]


@pytest.mark.parametrize("printer", [console, output()])
def test_control_characters_are_printed_escaped(printer):
    table = Table("name")
    table.add_row("a\x1b[31m")
    assert "a\\x1b[31m" in printed(printer, table)
    assert one_line("a\nb\x00") == "a\\nb\\x00"


def shown(width, names, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    tables = number_tables(
        lambda: Table("encoder"), [["random weights, embedding"]], names, [["91.16%"] * len(names)]
    )
    return "".join(printed(output(), table) for table in tables)


NAMES = ["accuracy", "auc", "positive_distance", "tar@far=0.001"]


def test_headings_are_folded_between_words_and_numbers_are_whole(monkeypatch):
    text = shown(75, NAMES, monkeypatch)
    assert text.count("91.16%") == 4
    assert text.count("encoder") == 1
    # All of a table alike.
    assert "positive_distance" not in text and "tar@far" not in text
    for piece in ("accuracy", "auc", "positive_", "distance", "tar", "@far=0.001"):
        assert piece in text
    assert all(name in shown(100, NAMES, monkeypatch) for name in NAMES)


def test_columns_that_do_not_fit_stand_in_another_table(monkeypatch):
    text = shown(50, NAMES, monkeypatch)
    assert text.count("91.16%") == 4
    assert text.count("encoder") == text.count("random weights, embedding") > 1
    assert max(map(len, text.splitlines())) <= 50
