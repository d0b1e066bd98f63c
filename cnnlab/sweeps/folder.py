"""The folder of a sweep: settings, trials, their states and locks.

    sweep.json        config, overrides, space, points, metric
    points/0007.json  a trial that a search added
    trials/0007/      the run folder of trial 7, as any other
    states/0007.json  state, reason and attempts, once trial 7 has ended
    logs/0007.log     its output
    locks/0007.lock   locked while trial 7 runs

The worker and the trial's process both hold the trial's lock (flock); the system frees it when both
have ended, even by a kill. No clock decides whether a process lives.
"""

import contextlib
import dataclasses
import errno
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import NO_ROOM, UserError
from cnnlab.sweeps.settings import FILE, Settings, read_settings
from cnnlab.sweeps.values import from_json
from cnnlab.utils.files import (
    damaged,
    is_locked,
    open_file,
    read_json,
    try_lock,
    write_json,
    write_new,
)

FOLDERS = ("trials", "states", "logs", "locks", "points")
STATES = ("waiting", "running", "finished", "failed", "pruned")
ENDED = ("finished", "failed", "pruned")
STATE = {"state": str, "reason": str, "attempts": int}
POINT = {"point": int, "overrides": dict}


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        number: of the trial, from 0.
        point: which point of the sweep it is; the repetitions of a point share it.
        overrides: what it sets in the config; the seed too where points are repeated.
        path: its run folder.
    """

    number: int
    point: int
    overrides: dict[str, Any]
    path: Path

    @property
    def name(self) -> str:
        """Return the number as folders and tables have it."""
        return f"{self.number:04d}"


@dataclasses.dataclass(frozen=True)
class Record:
    """How a trial ended: its state, why, and how often it was tried."""

    state: str = "waiting"
    reason: str = ""
    attempts: int = 0


class SweepFolder:
    """A sweep on disk, shared by every process that works on it."""

    def __init__(self, path: Path, settings: Settings):
        """Use `create` or `open`."""
        self.path, self.settings = path, settings
        self._added: list[Trial] = []
        self._ended: dict[int, Record] = {}

    @classmethod
    def create(cls, path: Path, settings: Settings) -> "SweepFolder":
        """Create a sweep's folder, or resume the same sweep in it.

        Raises:
            UserError: the folder cannot be written, or holds something else; the differences to
                another sweep are listed.
        """
        if not _make(path, settings):
            old = read_settings(path)
            if changed := old.changes(settings):
                raise _another_sweep(path, changed)
            if json.dumps(old.to_json()) != json.dumps(settings.to_json()):
                write_json(path / FILE, settings.to_json())
        return cls(path, settings)

    @classmethod
    def open(cls, path: Path) -> "SweepFolder":
        """Return the sweep in a folder.

        Raises:
            UserError: no sweep in the folder, or a damaged sweep.json.
        """
        return cls(path, read_settings(path))

    def trials(self) -> list[Trial]:
        """Return all present trials in order."""
        settings = self.settings
        if settings.search:
            # Numbers have no gap: what comes next is the only file to look for.
            while (trial := self._read_added(len(self._added))) is not None:
                self._added.append(trial)
            return list(self._added)
        if not self._added:
            seed = settings.base.get("seed", 0)
            for index, point in enumerate(settings.points):
                for turn in range(settings.repeat):
                    number = len(self._added)
                    seeds = {"seed": seed + turn} if settings.repeat > 1 else {}
                    overrides = {**point, **seeds}
                    self._added.append(Trial(number, index, overrides, self._folder(number)))
        return list(self._added)

    def add(self, overrides: Mapping[str, Any], point: int | None = None) -> Trial:
        """Add a trial of a search under the next free number.

        Args:
            overrides: what it sets.
            point: which point it repeats; a point of its own if None.
        """
        while True:
            number = len(self.trials())
            which = number if point is None else point
            target = self.path / "points" / f"{number:04d}.json"
            if write_new(target, {"point": which, "overrides": overrides}):
                return Trial(number, which, dict(overrides), self._folder(number))

    def state(self, trial: Trial) -> str:
        """Return `waiting`, `running`, `finished`, `failed` or `pruned`."""
        record = self.record(trial)
        if record.state in ENDED:
            return record.state
        if self._locked(trial):
            return "running"
        # Without a record: it is lost, the result is not.
        lost = not self._state_file(trial).exists() and (trial.path / "result.json").exists()
        return "finished" if lost else "waiting"

    def states(self) -> dict[int, str]:
        """Return the state of every trial by its number, reading no file that is not there."""
        written = {path.stem for path in (self.path / "states").glob("*.json")}
        used = {path.stem for path in (self.path / "locks").glob("*.lock")}
        return {
            trial.number: self.state(trial)
            if trial.name in written or trial.name in used
            else "waiting"
            for trial in self.trials()
        }

    def reason(self, trial: Trial) -> str:
        """Return why a trial failed or was pruned, or an empty text."""
        return self.record(trial).reason

    def record(self, trial: Trial) -> Record:
        """Return how a trial ended; the record of one that has not says `waiting`."""
        known = self._ended.get(trial.number)
        if known is not None:
            return known
        path, remedy = self._state_file(trial), "remove it; a trial that is done is not done again"
        try:
            saved = read_json(path, STATE, remedy=remedy)
        except FileNotFoundError:
            return Record()
        if saved["state"] not in STATES:
            raise damaged(path, f"unknown state '{saved['state']}'", remedy)
        record = Record(**{name: saved[name] for name in STATE})
        if record.state in ENDED:
            self._ended[trial.number] = record
        return record

    @contextlib.contextmanager
    def _hold(self, file: Any) -> Iterator[int]:
        # Closed, not unlocked: a child that inherited the lock keeps it.
        with file:
            yield file.fileno()

    def claim(self, trial: Trial) -> contextlib.AbstractContextManager[int] | None:
        """Lock a trial for this process, or return None: it runs elsewhere, or has ended.

        Returns:
            A context that holds the lock; its value is the file descriptor of the lock, which the
            trial's process inherits so that the trial is locked as long as either lives.
        """
        file = open_file(self.path / "locks" / f"{trial.name}.lock", "a")
        try:
            free = try_lock(file)
        except OSError as error:
            raise _without_locks(file.name, error) from error
        if not free or self.record(trial).state in ENDED:
            file.close()
            return None
        return self._hold(file)

    def finish(self, trial: Trial, state: str, reason: str = "") -> None:
        """Record how a trial ended; `waiting`: it was stopped and resumes when it is run again."""
        attempts = self.record(trial).attempts + (state in ENDED)
        self._write(trial, Record(state, reason, attempts))

    def retry_failed(self) -> int:
        """Reset failed trials to `waiting`; return their number."""
        failed = [t for t in self.trials() if self.record(t).state == "failed"]
        for trial in failed:
            self._write(trial, dataclasses.replace(self.record(trial), state="waiting"))
        return len(failed)

    def log(self, trial: Trial) -> Path:
        """Return the file of a trial's output."""
        return self.path / "logs" / f"{trial.name}.log"

    def _write(self, trial: Trial, record: Record) -> None:
        self._ended.pop(trial.number, None)
        write_json(self._state_file(trial), dataclasses.asdict(record))

    def _state_file(self, trial: Trial) -> Path:
        return self.path / "states" / f"{trial.name}.json"

    def _folder(self, number: int) -> Path:
        return self.path / "trials" / f"{number:04d}"

    def _locked(self, trial: Trial) -> bool:
        path = self.path / "locks" / f"{trial.name}.lock"
        try:
            return is_locked(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise
            raise _without_locks(path, error) from error

    def _read_added(self, number: int) -> Trial | None:
        try:
            path = self.path / "points" / f"{number:04d}.json"
            saved = read_json(path, POINT, remedy="restore it, or use a new folder")
        except FileNotFoundError:
            return None
        overrides = from_json(saved["overrides"])
        return Trial(number, saved["point"], overrides, self._folder(number))


def _without_locks(path: Any, error: OSError) -> UserError:
    return UserError(
        f"cannot lock {path}: {error.strerror}; a sweep needs a file system with locks: "
        "name a --workdir on another"
    )


def _make(path: Path, settings: Settings) -> bool:
    """Create the folder of a sweep; return False if it has a sweep.json already.

    Raises:
        UserError: the folder cannot be written, or holds something else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        others = sorted(
            p.name
            for p in path.iterdir()
            if p.name not in (*FOLDERS, "jobs") and p.name[0] != "." and p.suffix != ".tmp"
        )
        if others and not (path / FILE).exists():
            raise UserError(
                f"--workdir={path} holds '{others[0]}' but no sweep (sweep.json): "
                "name an empty or a new folder"
            )
        for name in FOLDERS:
            (path / name).mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=path / "locks"):
            pass
        return write_new(path / FILE, settings.to_json())
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise UserError(
            f"cannot write in --workdir={path}: {error.strerror}; name another folder"
        ) from error


def _another_sweep(path: Path, changed: list[str]) -> UserError:
    shown = [line for line in changed if len(line) < 200] or ["the points differ"]
    more = f"\n  and {len(changed) - 20} more" if len(changed) > 20 else ""
    return UserError(
        f"{path} holds another sweep:\n  " + "\n  ".join(shown[:20]) + more + "\n"
        "name another --workdir, or start the sweep that the folder was made for"
    )
