"""Files of a run that are damaged, of other contents, or in the place of something else."""

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

from hostile.row import SMALL, Row, Table, link, place

from cnnlab import commands

# A damaged JSON file, and how it is made.
DAMAGES = {
    "empty": b"",
    "cut": b'{"steps": 2',
    "null": b"null",
    "a list": b"[1, 2]",
    "a number": b"5",
    "text": b'"steps"',
    "no UTF-8": b'{"steps": "\xff"}',
    "zeros": bytes(64),
    "UTF-16": '{"steps": 2}'.encode("utf-16"),
    "nested 100,000 deep": b"[" * 100_000,
    "a number of 10,000 digits": b'{"steps": ' + b"9" * 10_000 + b"}",
}
TRAIN = f"train {SMALL} --config.steps=8 --workdir=run"
STATUS = "status --workdir=run --format=json"
BEST = "checkpoints/8/metrics/metrics"


@functools.cache
def trained():
    """A run of 8 steps with two checkpoints, and the folder that goes with it."""
    folder = tempfile.TemporaryDirectory()
    run = Path(folder.name) / "run"
    assert commands.main([*TRAIN.split()[:-1], f"--workdir={run}"]) == 0
    return folder


def before(folder):
    """Copy the run."""
    shutil.copytree(Path(trained().name) / "run", folder / "run")


def instead(name, make):
    """Return what puts something in the place of a file or folder."""

    def put(folder):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        make(path)

    return put


def changed(name, **entries):
    """Return what changes entries of a JSON file; None takes them out."""

    def put(folder):
        path = folder / name
        value = {**json.loads(path.read_text()), **entries}
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))

    return put


PLACES = {
    "a folder": Path.mkdir,
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def sparse(name):
    """Return what makes a file of 1 TiB that takes no room."""

    def put(folder):
        place(name, b"")(folder)
        os.truncate(folder / name, 1 << 40)

    return put


def unfinished_with(name, what):
    """Return what takes the result away, and puts something in the place of a file."""

    def put(folder):
        (folder / "run/result.json").unlink()
        instead(f"run/{name}", PLACES[what])(folder)

    return put


def every(what, name, read, words="is damaged", *, works=False):
    """Rows of one file in every damaged form."""
    return [
        *(Row(f"{what} {d}", words, place(name, c), read, works) for d, c in DAMAGES.items()),
        *(Row(f"{what} {p}", words, instead(name, m), read, works) for p, m in PLACES.items()),
    ]


def row(name, words, make, read=TRAIN, *, works=False):
    """One row."""
    return Row(name, words, make, read, works)


ROWS = [
    *every("status: config.json is", "run/config.json", STATUS, works=True),
    *every("status: result.json is", "run/result.json", STATUS, works=True),
    *every("status: jobs/1.json is", "run/jobs/1.json", STATUS, works=True),
    *every("eval: config.json is", "run/config.json", "eval --workdir=run"),
    *every("train: result.json is", "run/result.json", TRAIN),
    row(
        "config.json without a model",
        "lenet5",
        changed("run/config.json", model=None),
        "eval --workdir=run",
    ),
    row("config.json of other steps", "is damaged", changed("run/config.json", steps="8")),
    row("config.json with a model of text", "is damaged", changed("run/config.json", model="mlp")),
    row("result.json without results", "is damaged", changed("run/result.json", results=None)),
    row("result.json of text", "is damaged", changed("run/result.json", steps="many")),
    row(
        "result.json of nested text",
        "is damaged",
        changed("run/result.json", results={"last": {"test/accuracy": "high"}}),
    ),
    row(
        "result.json missing",
        "finished after 8 steps",
        lambda f: (f / "run/result.json").unlink(),
        works=True,
    ),
    row(
        "metrics.jsonl a folder",
        "is damaged",
        instead("run/metrics.jsonl", Path.mkdir),
        STATUS,
        works=True,
    ),
    row(
        "metrics.jsonl a pipe",
        "is damaged",
        instead("run/metrics.jsonl", os.mkfifo),
        STATUS,
        works=True,
    ),
    row(
        "metrics.jsonl missing",
        "metrics.jsonl is lost",
        lambda f: (f / "run/metrics.jsonl").unlink(),
        STATUS,
        works=True,
    ),
    *(
        row(
            f"metrics.jsonl with a line of {name}",
            "line 1 is damaged",
            place("run/metrics.jsonl", content + b'\n{"step": 4}\n'),
            STATUS,
            works=True,
        )
        for name, content in DAMAGES.items()
        if name != "zeros"
    ),
    row(
        "metrics.jsonl cut",
        "finished",
        place("run/metrics.jsonl", b'{"step": 4}\n{"st'),
        STATUS,
        works=True,
    ),
    row(
        "a job without starts",
        "is damaged",
        place("run/jobs/1.json", '{"id": "1"}'),
        STATUS,
        works=True,
    ),
    row(
        "a job of starts that are not numbered",
        "are not numbered",
        place("run/jobs/1.json", '{"id": "1", "starts": {"one": {}}}'),
        STATUS,
        works=True,
    ),
    row(
        "a run and a damaged one",
        "finished",
        place("other/config.json", b""),
        "status --workdir=. --format=json",
        works=True,
    ),
    row(
        "a run whose name is markup",
        "[/]",
        place("[/]/config.json", "{}"),
        "status --workdir=. --format=json",
        works=True,
    ),
    row(
        "a run whose name is no UTF-8",
        "\\udcff",
        place(os.fsdecode(b"r\xff/config.json"), "{}"),
        "status --workdir=. --format=json",
        works=True,
    ),
    row(
        "a run whose name has control characters",
        "r\\x1b[31m",
        place("r\x1b[31m/config.json", b""),
        "status --workdir=.",
        works=True,
    ),
    row(
        "a link to the folder itself",
        "finished",
        lambda f: (f / "run2").symlink_to("."),
        "status --workdir=. --format=json",
        works=True,
    ),
    *(
        row(f"the lock is {p}", "training is damaged", instead("run/.training", PLACES[p]))
        for p in ("a folder", "a pipe", "a device")
    ),
    *(
        row(f"status: the lock is {p}", "finished", instead("run/.training", m), STATUS, works=True)
        for p, m in PLACES.items()
    ),
    *(
        row(f"metrics.tmp is {p}", "in the place of a file", unfinished_with("metrics.tmp", p))
        for p in ("a pipe", "a device")
    ),
    *(
        row(
            f"a figure is {p}",
            "curves.png",
            unfinished_with("figures/curves.png", p),
            works=True,
        )
        for p in ("a folder", "a pipe", "a device")
    ),
    row(
        "a log is a pipe",
        "finished",
        lambda f: (
            place("run/jobs/7.json", '{"id": "7", "starts": {"0": {}}, "submitted": "now"}')(f),
            os.mkfifo(f / "run/jobs/7_0_log.err"),
        ),
        "status --workdir=run",
        works=True,
    ),
    row("metrics.jsonl of 1 TiB", "longer than", sparse("run/metrics.jsonl"), STATUS, works=True),
    row(
        "config.json of 1 TiB",
        "larger than 64 MiB",
        sparse("run/config.json"),
        "eval --workdir=run",
    ),
    row("result.json of 1 TiB", "larger than 64 MiB", sparse("run/result.json")),
    row(
        "a run at a link to nothing",
        "is a link to gone, which does not exist",
        link("mine", "gone"),
        TRAIN.replace("=run", "=mine"),
    ),
    row(
        "another program's folder",
        "holds 'a.txt' but no run",
        place("mine/a.txt", b""),
        TRAIN.replace("=run", "=mine"),
    ),
    row(
        "a file in place of the run",
        "cannot write in",
        place("mine", b""),
        TRAIN.replace("=run", "=mine"),
    ),
    row(
        "fewer steps",
        "8 steps behind it",
        lambda _: None,
        f"{TRAIN} --config.steps=4 --on_change=accept",
    ),
]
TABLE = Table("files of runs", TRAIN, ROWS, before)
