"""A sweep is a folder: what it tries, the state of every trial, and a lock for each.

    sweep.json        config, overrides, space, points, metric: what `create` was given
    points/0007.json  a trial that a search added
    trials/0007/      the run folder of trial 7, as any other
    states/0007.json  state, reason and attempts, once trial 7 has come to an end
    logs/0007.log     its output
    locks/0007.lock   locked while trial 7 runs

Who runs a trial holds its lock (flock), and so does the trial's process: the system frees it when
both are gone, however they went. No process ever looks at a clock to tell whether another lives.
"""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.sweeps.settings import Settings
from cnnlab.sweeps.values import from_json
from cnnlab.utils import locks
from cnnlab.utils.files import damaged, read_json, write_json

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
        """Make a sweep's folder, or go on in the folder of the same sweep.

        Raises:
            UserError: if the folder cannot be written, or holds something else: another sweep is
                shown with what differs.
        """
        from cnnlab.sweeps.creation import make_folder

        make_folder(path, settings)
        return cls(path, settings)

    @classmethod
    def open(cls, path: Path) -> "SweepFolder":
        """Return the sweep in a folder.

        Raises:
            UserError: if there is none, or its sweep.json is damaged.
        """
        from cnnlab.sweeps.creation import read_settings

        return cls(path, read_settings(path))

    def trials(self) -> list[Trial]:
        """Return every trial there is by now, in order."""
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
        """Add a trial that a search has thought of, under the next free number.

        Args:
            overrides: what it sets.
            point: which point it repeats; a point of its own if None.
        """
        while True:
            number = len(self.trials())
            which = number if point is None else point
            target = self.path / "points" / f"{number:04d}.json"
            with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp") as file:
                json.dump({"point": which, "overrides": overrides}, file)
                file.flush()
                # A link, unlike a rename, fails where another process was quicker.
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, target)
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
        try:
            yield file.fileno()
        finally:
            # Closed, not unlocked: a child that inherited the lock keeps it.
            file.close()

    def claim(self, trial: Trial) -> contextlib.AbstractContextManager[int] | None:
        """Lock a trial for this process, or return None: it runs elsewhere, or has ended.

        Returns:
            A context that holds the lock; its value is the file descriptor of the lock, which the
            trial's process inherits so that the trial is locked as long as either lives.
        """
        file = (self.path / "locks" / f"{trial.name}.lock").open("a")
        try:
            free = locks.take(file)
        except OSError as error:
            raise _without_locks(file.name, error) from error
        if not free or self.record(trial).state in ENDED:
            file.close()
            return None
        return self._hold(file)

    def finish(self, trial: Trial, state: str, reason: str = "") -> None:
        """Write how a trial ended; `waiting`: it stopped, and goes on when it is run again."""
        attempts = self.record(trial).attempts + (state in ENDED)
        self._write(trial, Record(state, reason, attempts))

    def retry_failed(self) -> int:
        """Let failed trials be tried again; return how many there are."""
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
            return locks.is_held(path)
        except FileNotFoundError:
            return False
        except OSError as error:
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
