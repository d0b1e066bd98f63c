"""Every hostile input ends in one line that says what to do, or works: no traceback, no hang."""

import contextlib
import shlex
import signal
from pathlib import Path

import pytest
from hostile import (
    annotations,
    arrays,
    checkpoints,
    command_lines,
    config_files,
    folders,
    images,
    published_sets,
    run_entries,
    run_files,
    sounds,
    sweep_files,
    weights,
)

from cnnlab import commands
from cnnlab.errors import UserError

TABLES = [
    images.TABLE,
    folders.TABLE,
    arrays.TABLE,
    sounds.TABLE,
    published_sets.TABLE,
    annotations.TABLE,
    weights.TABLE,
    run_files.TABLE,
    run_entries.TABLE,
    sweep_files.TABLE,
    checkpoints.TABLE,
    config_files.TABLE,
    command_lines.TABLE,
]
ROWS = {f"{t.kind}: {row.name}": (t, row) for t in TABLES for row in t.rows}
# Seconds, bytes: what any of them may take at most.
HANG = 60
MEMORY = 1 << 30


@contextlib.contextmanager
def bounded():
    """Fail what hangs, and what takes memory out of all proportion to its input."""

    def stop(*_):
        raise TimeoutError(f"hangs: {HANG} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG)
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    base = 0
    if reset.exists():
        # The peak of memory begins anew.
        reset.write_text("5")
        base = _peak(status)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    if reset.exists():
        assert _peak(status) - base < MEMORY


def _peak(status):
    """Return the peak of this process's memory in bytes."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.sample(400)
def test_hostile_input_is_explained_in_one_line_or_works(name, tmp_path, monkeypatch, capsys):
    table, row = ROWS[name]
    monkeypatch.chdir(tmp_path)
    table.before(tmp_path)
    row.make(tmp_path)
    read = row.read or table.read
    capsys.readouterr()
    with bounded():
        if isinstance(read, str):
            check_command(shlex.split(read), row, capsys)
        elif isinstance(read, list):
            check_command(read, row, capsys)
        elif row.works:
            assert row.words in str(read(tmp_path))
        else:
            with pytest.raises(UserError) as caught:
                read(tmp_path)
            check_line(str(caught.value), row.words)


def check_command(arguments, row, capsys):
    """Run a command and check its exit status and what it prints."""
    status = commands.main(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert status == (0 if row.works else 1), err
    if row.works:
        assert row.words in " ".join((out + err).split())
        assert "error: " not in err
    else:
        said = err[err.index("error: ") :]
        check_line(said.removesuffix("\n"), row.words)


def check_line(said, words):
    """Check that a message is one line with these words in it."""
    assert words in said
    assert "\n" not in said
    assert said.isprintable()


def test_names_are_unique():
    assert len(ROWS) == sum(len(table.rows) for table in TABLES)


def test_the_page_on_reliability_has_these_numbers_of_rows():
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    for table in TABLES:
        works = sum(row.works for row in table.rows)
        assert f"| {table.kind} | {len(table.rows)} | {works} |" in page
    assert f"{len(ROWS)} of {len(ROWS)} rows" in page
