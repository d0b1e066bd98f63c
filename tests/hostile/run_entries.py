"""Entries of a run's files that are of another type, and code of one's own that is named for it."""

import json

from hostile.row import Table, place
from hostile.run_files import STATUS, TRAIN, before, changed, row

EVAL = "eval --workdir=run --evaluator="


def marked(name):
    """Return what puts a byte-order mark before a file of the run, and gives it lines of DOS."""

    def put(folder):
        path = folder / "run" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))

    return put


def linked(folder):
    """Links to a folder above, each of which has them all again."""
    (folder / "a/b").mkdir(parents=True)
    for number in range(4):
        (folder / f"a/b/{number}").symlink_to("../..")


ROWS = [
    *(
        row(
            f"{command.split()[0]}: config.json with {name} of another type",
            f"'{name}' is {json.dumps(value)}, not",
            changed("run/config.json", **{name: value}),
            command,
        )
        for name, value in (
            ("batch_size", [1]),
            ("optimizer", [1]),
            ("representation", "x"),
            ("ema_decay", {}),
            ("freeze", True),
            ("seed", 1.5),
        )
        for command in ("eval --workdir=run", TRAIN)
    ),
    row("config.json with a byte-order mark", "is finished", marked("config.json"), works=True),
    row("result.json with a byte-order mark", "is finished", marked("result.json"), works=True),
    row("metrics.jsonl with one", "finished", marked("metrics.jsonl"), STATUS, works=True),
    row(
        "links to a folder above",
        "finished",
        linked,
        "status --workdir=. --format=json",
        works=True,
    ),
    row(
        "an evaluator that is built in", "is no function f", lambda _: None, f"{EVAL}builtins:exit"
    ),
    row("an evaluator of sys", "has no 'exits'", lambda _: None, f"{EVAL}sys:exits"),
    row("no evaluator", "--evaluator names none", lambda _: None, f"{EVAL},"),
    row(
        "an evaluator that calls sys.exit",
        "SystemExit: 0",
        place("leaves.py", "import sys\n\n\ndef f(query, **options):\n    sys.exit(0)\n"),
        f"{EVAL}leaves:f",
    ),
    row("a data set that calls sys.exit", "SystemExit: train", lambda _: None, "data sys:exit"),
]
TABLE = Table("entries of runs", TRAIN, ROWS, before)
