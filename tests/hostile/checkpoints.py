"""Checkpoints that are damaged: the one before is used, and named."""

import functools
import logging
import os
from pathlib import Path

import small
from hostile.row import Row, Table, place
from hostile.run_files import DAMAGES, PLACES, TRAIN, before, changed, instead, sparse

from cnnlab.training.loop import Loop

LAST = "run/checkpoints/8"
POSITION = f"{LAST}/position/metadata"
VALUES = f"{LAST}/metrics/metrics"
NOTE = f"{LAST}/_CHECKPOINT_METADATA"


@functools.cache
def built():
    """What the run is made of."""
    return small.build(small.config(steps=8))


class Messages(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def resume(folder):
    """Go on with the run; return at which step, and what was said."""
    log, messages = logging.getLogger("cnnlab"), Messages()
    log.addHandler(messages)
    try:
        loop = Loop(built(), folder / "run")
        loop.checkpoints.close()
        return f"at step {loop.step}: {' '.join(messages.texts)}"
    finally:
        log.removeHandler(messages)


def unfinished(folder):
    """The run before it was done: what it has is its checkpoints."""
    before(folder)
    (folder / "run/result.json").unlink()


def arrays(change):
    """Return what changes every file of numbers of the last checkpoint."""

    def put(folder):
        for path in (folder / LAST / "state").rglob("d/*"):
            change(path)

    return put


def flip(path):
    """Change a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def halve(path):
    """Cut a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def renamed(name):
    """Return what gives the last checkpoint the name of another step."""
    return lambda folder: (folder / LAST).rename(folder / "run/checkpoints" / name)


def resumes(name, words, make):
    """A row where training goes on from step 4."""
    return Row(name, words, make, works=True)


def position(**entries):
    """Return what changes numbers of the position."""
    return changed(POSITION, **entries)


USED = "trying the one before"
GOES_ON = "at step 8"
RECOVERED = "is taken from"
ROWS = [
    *(
        resumes(f"position is {name}", USED, place(POSITION, content))
        for name, content in DAMAGES.items()
    ),
    *(
        resumes(f"values are {name}", RECOVERED, place(VALUES, content))
        for name, content in DAMAGES.items()
    ),
    *(resumes(f"position is {p}", USED, instead(POSITION, m)) for p, m in PLACES.items()),
    *(resumes(f"values are {p}", RECOVERED, instead(VALUES, m)) for p, m in PLACES.items()),
    *(resumes(f"the note is {p}", GOES_ON, instead(NOTE, m)) for p, m in PLACES.items()),
    *(
        resumes(f"numbers: notes {p}", USED, instead(f"{LAST}/state/_METADATA", m))
        for p, m in PLACES.items()
    ),
    resumes("numbers: pipes", USED, arrays(lambda path: (path.unlink(), os.mkfifo(path)))),
    *(
        resumes(f"1 TiB: {Path(name).name}", words, sparse(name))
        for name, words in (
            (POSITION, USED),
            (VALUES, RECOVERED),
            (NOTE, GOES_ON),
            (f"{LAST}/state/_METADATA", USED),
        )
    ),
    resumes("renamed", "is of step 8, and was renamed", renamed("80")),
    resumes("renamed to that of an earlier step", "is of step 8, and was renamed", renamed("6")),
    Row("train: renamed", "finished", renamed("80"), TRAIN, works=True),
    Row("eval: renamed", "is of step 8, and was renamed", renamed("80"), "eval --workdir=run"),
    resumes("values without entries", RECOVERED, place(VALUES, b"{}")),
    resumes("values of another number", RECOVERED, changed(VALUES, best=0.001)),
    resumes("values gone", RECOVERED, instead(VALUES, lambda path: None)),
    resumes("values/ gone", RECOVERED, instead(f"{LAST}/metrics", lambda path: None)),
    resumes("values/ a file", RECOVERED, instead(f"{LAST}/metrics", Path.touch)),
    *(
        resumes(f"the note is {name}", GOES_ON, place(NOTE, content))
        for name, content in DAMAGES.items()
    ),
    resumes("position: another step of records", USED, position(recorded=7)),
    resumes("position: another best", USED, position(best=0.999)),
    resumes("position: text for a number", USED, position(stale="0")),
    resumes("position: no checksum and an unknown entry", USED, position(checksum=None, unknown=1)),
    resumes("position: no leaves", USED, position(leaves=None)),
    resumes("position: another fingerprint", USED, position(fingerprint=[1, 2, 3])),
    resumes("position: seconds of -1", USED, position(seconds=-1.0)),
    resumes("numbers: a bit flipped", USED, arrays(flip)),
    resumes("numbers: cut", USED, arrays(halve)),
    resumes("numbers: empty", USED, arrays(lambda path: path.write_bytes(b""))),
    resumes("numbers: gone", USED, arrays(Path.unlink)),
    resumes("numbers: empty files", "d/", arrays(lambda path: path.write_bytes(b""))),
    resumes("numbers: notes empty", "_METADATA is damaged", place(f"{LAST}/state/_METADATA", b"")),
    resumes("state/ gone", USED, instead(f"{LAST}/state", lambda path: None)),
    resumes("state/ a file", USED, instead(f"{LAST}/state", Path.touch)),
    resumes("a checkpoint that is a file", GOES_ON, place("run/checkpoints/9", b"")),
    resumes(
        "a checkpoint that is an empty folder", GOES_ON, lambda f: (f / "run/checkpoints/9").mkdir()
    ),
    resumes("a folder of another name", GOES_ON, lambda f: (f / "run/checkpoints/best").mkdir()),
    resumes(
        "a save that was cut off",
        GOES_ON,
        lambda f: (f / "run/checkpoints/9.orbax-checkpoint-tmp-1").mkdir(),
    ),
    Row(
        "all positions damaged",
        "none of the checkpoints",
        lambda f: [place(f"run/checkpoints/{n}/position/metadata", b"")(f) for n in (4, 8)],
    ),
    Row(
        "checkpoints/ a file",
        "in the place of a folder",
        instead("run/checkpoints", Path.touch),
        TRAIN,
    ),
    Row("eval: numbers flipped", "run/checkpoints/8", arrays(flip), "eval --workdir=run"),
    Row("eval: position empty", "cannot be read", place(POSITION, b""), "eval --workdir=run"),
    Row(
        "eval: no checkpoints",
        "train there first",
        instead("run/checkpoints", Path.mkdir),
        "eval --workdir=run",
    ),
    Row("eval: checkpoint 5", "a step of 4, 8", read="eval --workdir=run --checkpoint=5"),
    Row("eval: checkpoint -1", "a step of 4, 8", read="eval --workdir=run --checkpoint=-1"),
    Row("eval: checkpoint \u00b2", "a step of 4, 8", read="eval --workdir=run --checkpoint=\u00b2"),
    Row(
        "eval: checkpoint of 10^5 digits",
        "a step of 4, 8",
        read=f"eval --workdir=run --checkpoint={'8' * 10**5}",
    ),
    Row(
        "eval: checkpoint of a path",
        "a step of 4, 8",
        read="eval --workdir=run --checkpoint=../../x",
    ),
    Row(
        "eval: the best, damaged",
        "",
        place(VALUES, b"{}"),
        "eval --workdir=run --checkpoint=best --format=json",
        works=True,
    ),
]
TABLE = Table("checkpoints", resume, ROWS, unfinished)
