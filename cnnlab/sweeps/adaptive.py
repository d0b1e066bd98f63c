"""Adaptive search: what to try next, and what to give up early, by Optuna.

The sweep's folder is the truth about its trials, the study what Optuna remembers of them. The
study lags behind where a process was killed between the two; whoever asks next brings it up to
date: a trial that nobody runs any more is told as failed, and its point tried again in the same
run folder, from its last checkpoint.

Papers: Akiba et al. 2019 (Optuna); Bergstra et al. 2011 (TPE); Golovin et al. 2017, section 3.2.1
(median rule); Li et al. 2020 (ASHA).
"""

import contextlib
import fcntl
import importlib.util
import math
import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cnnlab.errors import UserError
from cnnlab.sweeps import measure
from cnnlab.sweeps.folder import ENDED, SweepFolder, Trial
from cnnlab.utils.console import LOG

if TYPE_CHECKING:
    from optuna.trial import Trial as Asked

# Draws of a point that was tried before, after which one is taken that was not.
DUPLICATES = 10


class AdaptiveSource:
    """The trials of a search, one after the other, for any number of threads and processes."""

    def __init__(
        self,
        folder: SweepFolder,
        search: str = "",
        pruner: str | None = None,
        trials: int = 0,
        metric: str = "",
        mode: str = "",
        seed: int | None = None,
    ):
        """Open the study of a sweep's folder, made if missing, and bring it up to date.

        Args:
            folder: the sweep; what is left out below is as its settings say.
            search: `tpe` or `random`.
            pruner: `median`, `asha`, or empty: every trial runs to its end.
            trials: how many in all, those included that the folder has.
            metric: what to improve, as in metrics.jsonl.
            mode: `max` or `min`.
            seed: of the search; one worker draws the same points again, interrupted or not.

        Raises:
            UserError: without Optuna; for a name that there is not; for repeated points; for a
                journal that is damaged, or was made for another metric.
        """
        settings = folder.settings
        if settings.repeat > 1:
            raise UserError(
                f"--repeat={settings.repeat} with --search: a search compares single runs; repeat "
                "its best point with --config.KEY=VALUE and a sweep over seeds"
            )
        if importlib.util.find_spec("optuna") is None:
            raise UserError("--search needs optuna: pip install -r requirements-launch.txt")
        from cnnlab.sweeps import study

        mode = mode or (settings.mode if settings.metric else "")
        self.metric = measure.metric_for(settings.base, metric or settings.metric, mode)
        self.folder, self.limit = folder, trials or settings.trials
        self._threads, self._files = threading.Lock(), folder.path / "locks"
        self._asked: dict[int, Asked] = {}
        self._reported: dict[int, int] = {}
        self._leases: dict[int, int] = {}
        self._complaint: UserError | None = None
        with self._alone():
            self._study = study.SharedStudy(
                folder.path / "optuna.log",
                folder.settings.space,
                self.metric,
                search=search or settings.search,
                pruner=settings.pruner if pruner is None else pruner,
                every=study.resource(settings.base, self.metric.name),
                seed=settings.base.get("seed", 0) if seed is None else seed,
            )
            self._catch_up(everything=True)

    def next(self) -> Trial | None:
        """Return a trial for the caller to run, or None when there are no more.

        The trial is this process's until `finish`, or until the process is gone.

        Raises:
            UserError: if a trial ended without the metric, whichever thread or process ran it.
        """
        with self._alone():
            self._catch_up()
            trial = self._again() or self._new()
        if self._complaint:
            raise self._complaint
        return trial

    def report(self, trial: Trial, step: int, values: Mapping[str, float]) -> bool:
        """Take a row of a trial's metrics.jsonl; return whether to give the trial up.

        Raises:
            UserError: if the row has other metrics of the split, and not the one to improve.
        """
        value = values.get(self.metric.name)
        if value is None:
            measure.check_reported(self.metric.name, values)
            return False
        asked = self._asked.get(trial.number)
        if asked is None or step <= self._reported.get(trial.number, -1):
            return False
        self._reported[trial.number] = step
        asked.report(value, step)
        return self._study.prunes and bool(asked.should_prune())

    def finish(self, trial: Trial, state: str, value: float | None = None) -> None:
        """Tell how a trial ended.

        Args:
            trial: from `next`.
            state: `finished`, `failed`, `pruned`; `waiting`: it was stopped, and is to go on.
            value: of the metric, for a run folder that has no records of it.

        Raises:
            UserError: if it finished without the metric.
        """
        with self._alone():
            asked = self._asked.pop(trial.number, None)
            self._reported.pop(trial.number, None)
            if asked is not None and state in ENDED:
                self._tell(asked.number, trial, state, value)
            self._release(trial.number)
        if self._complaint:
            raise self._complaint

    def close(self) -> None:
        """Let go of the trials that were not finished: they are anybody's."""
        with self._alone():
            for number in list(self._leases):
                self._release(number)
            self._asked.clear()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        from cnnlab.sweeps.journal import locked

        with self._threads, locked(self._files / "search.lock"):
            yield

    def _catch_up(self, everything: bool = False) -> None:
        """Make the study agree with the folder: on what is open in it, or on every trial."""
        attempts: dict[int, list[Any]] = {}
        for attempt in self._study.attempts():
            number = attempt.user_attrs.get("trial")
            if number is not None:
                attempts.setdefault(number, []).append(attempt)
            elif self._study.is_running(attempt):
                # Nobody is asking just now: the process was killed before it had a trial of it.
                self._study.tell(attempt.number, "failed")
        for trial in self.folder.trials():
            known = attempts.get(trial.number, [])
            if everything or any(map(self._study.is_running, known)):
                self._agree(trial, known)

    def _agree(self, trial: Trial, attempts: list[Any]) -> None:
        state = self.folder.state(trial)
        if state == "running" or not self._lease(trial.number):
            return
        for attempt in filter(self._study.is_running, attempts):
            self._tell(attempt.number, trial, state)
        if state == "waiting" and not any(map(self._study.is_waiting, attempts)):
            self._study.enqueue(trial)
        elif state in ENDED and not attempts:
            self._study.remember(trial, *self._outcome(trial, state))
        self._release(trial.number)

    def _again(self) -> Trial | None:
        """Return a trial that was left, or None."""
        while any(map(self._study.is_waiting, self._study.attempts())):
            asked = self._study.ask()
            # A point without a trial was put in line by a process killed before it had one.
            number = asked.user_attrs.get("trial")
            if number is not None:
                trial = self.folder.trials()[number]
                if self.folder.state(trial) == "waiting" and self._lease(number):
                    self._asked[number] = asked
                    return trial
            self._study.tell(asked.number, "failed")
        return None

    def _new(self) -> Trial | None:
        if len(self.folder.trials()) >= self.limit:
            return None
        tried = self._study.tried()
        for _ in range(DUPLICATES):
            asked = self._study.ask()
            if self._study.key(asked.params) not in tried:
                break
            self._study.tell(asked.number, "failed")
        else:
            if not self._study.enqueue_untried(tried):
                LOG.info("every point of the space was tried: the search ends before --trials")
                return None
            asked = self._study.ask()
        trial = self.folder.add(self._study.overrides(asked.params))
        self._lease(trial.number)
        asked.set_user_attr("trial", trial.number)
        self._asked[trial.number] = asked
        return trial

    def _tell(self, number: int, trial: Trial, state: str, value: float | None = None) -> None:
        self._study.tell(number, *self._outcome(trial, state, value))

    def _outcome(
        self, trial: Trial, state: str, value: float | None = None
    ) -> tuple[str, float | None]:
        """Return state and value as Optuna is told them: of the run folder, where it has them."""
        if state == "finished":
            try:
                found = measure.measured(trial.path, self.metric)
                value = found[1] if found else value
            except UserError as error:
                self._complaint = error
            if value is None or math.isnan(value):
                return "failed", None
        return state, value

    def _lease(self, number: int) -> bool:
        """Take a trial for this process; return False where another has it, or this one."""
        if number in self._leases:
            return False
        descriptor = os.open(self._files / f"{number:04d}.search", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._leases[number] = descriptor
        return True

    def _release(self, number: int) -> None:
        descriptor = self._leases.pop(number, None)
        if descriptor is not None:
            os.close(descriptor)
