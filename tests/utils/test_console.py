"""What is printed is what it is: no markup, no emoji, on either console."""

import io
import logging

import pytest
from rich.table import Table

from cnnlab.utils.console import LOG, console, one_line, output, set_up_logging

TEXT = "[red]a[/red] [/] :cat: $x [bold]"


def printed(printer, thing):
    buffer = io.StringIO()
    old = printer.file
    printer.file = buffer
    try:
        printer.print(thing)
    finally:
        printer.file = old
    return buffer.getvalue()


@pytest.mark.parametrize("printer", [console, output()])
def test_names_are_printed_as_they_are(printer):
    assert TEXT in printed(printer, TEXT)
    table = Table(TEXT, title=TEXT)
    table.add_row(TEXT)
    assert printed(printer, table).count(TEXT) == 3


def test_names_are_logged_as_they_are():
    handlers, level, propagate = LOG.handlers[:], LOG.level, LOG.propagate
    buffer = io.StringIO()
    old = console.file
    try:
        set_up_logging()
        console.file = buffer
        LOG.warning("%s", TEXT)
    finally:
        console.file = old
        LOG.handlers[:], LOG.propagate = handlers, propagate
        LOG.setLevel(level or logging.NOTSET)
    assert TEXT in buffer.getvalue()


@pytest.mark.parametrize("printer", [console, output()])
def test_control_characters_are_printed_escaped(printer):
    table = Table("name")
    table.add_row("a\x1b[31m")
    assert "a\\x1b[31m" in printed(printer, table)
    assert one_line("a\nb\x00") == "a\\nb\\x00"
