"""Adaptive search with pruning: an Optuna study as a source of trials.

The folder of the sweep is authoritative, the study is a copy. After a kill between the two writes,
the next process synchronizes the study: a trial that no process runs is failed in the study, and
its point enqueued again; it resumes in the same run folder from its last checkpoint.

Papers: Akiba et al. 2019 (Optuna); Bergstra et al. 2011 (TPE); Golovin et al. 2017, section 3.2.1
(median rule); Li et al. 2020 (ASHA).
"""

import contextlib
import importlib.util
import math
import threading
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from cnnlab.errors import UserError
from cnnlab.sweeps import trial_metric
from cnnlab.sweeps.folder import ENDED, SweepFolder, Trial
from cnnlab.utils.console import LOG
from cnnlab.utils.files import lock, open_file, try_lock

if TYPE_CHECKING:
    from optuna.trial import Trial as Asked

# Draws of known points before an untried point is enumerated.
DUPLICATES = 10


class AdaptiveSource:
    """Trials of a search, shared by any number of threads and processes."""

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
        """Open the study of a sweep's folder, created if missing, and synchronize it.

        Args:
            folder: the sweep; its settings are the defaults of the other arguments.
            search: `tpe` or `random`.
            pruner: `median`, `asha`, or empty: no pruning.
            trials: number of trials in all, existing ones included.
            metric: objective, a key of metrics.jsonl.
            mode: `max` or `min`.
            seed: of the sampler; with one worker, draws are the same after an interruption.

        Raises:
            UserError: without Optuna, for an unknown name, for repeated points, for a journal
                that is damaged or belongs to another metric.
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
        self.metric = trial_metric.metric_for(settings.base, metric or settings.metric, mode)
        self.folder, self.limit = folder, trials or settings.trials
        self._threads, self._files = threading.Lock(), folder.path / "locks"
        self._asked: dict[int, Asked] = {}
        self._reported: dict[int, int] = {}
        self._leases: dict[int, IO] = {}
        self._error: UserError | None = None
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
        """Return a trial to run, or None when there are no more.

        This process holds the trial until `finish`, or until it ends.

        Raises:
            UserError: a trial of any process ended without the metric.
        """
        with self._alone():
            self._catch_up()
            trial = self._again() or self._new()
        if self._error:
            raise self._error
        return trial

    def report(self, trial: Trial, step: int, values: Mapping[str, float]) -> bool:
        """Report a row of a trial's metrics.jsonl; return whether to prune the trial.

        Raises:
            UserError: the row has metrics of the split, but not the objective.
        """
        value = values.get(self.metric.name)
        if value is None:
            trial_metric.check_reported(self.metric.name, values)
            return False
        asked = self._asked.get(trial.number)
        if asked is None or step <= self._reported.get(trial.number, -1):
            return False
        self._reported[trial.number] = step
        asked.report(value, step)
        return self._study.prunes and bool(asked.should_prune())

    def finish(self, trial: Trial, state: str, value: float | None = None) -> None:
        """Record how a trial ended.

        Args:
            trial: from `next`.
            state: `finished`, `failed`, `pruned`, or `waiting`: stopped, to be resumed.
            value: of the metric, for a run folder without records of it.

        Raises:
            UserError: it finished without the metric.
        """
        with self._alone():
            asked = self._asked.pop(trial.number, None)
            self._reported.pop(trial.number, None)
            if asked is not None and state in ENDED:
                self._tell(asked.number, trial, state, value)
            self._release(trial.number)
        if self._error:
            raise self._error

    def close(self) -> None:
        """Release the trials that are not finished."""
        with self._alone():
            for number in list(self._leases):
                self._release(number)
            self._asked.clear()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._threads, lock(self._files / "search.lock"):
            yield

    def _catch_up(self, everything: bool = False) -> None:
        """Synchronize the study with the folder: its running trials, or every trial."""
        attempts: dict[int, list[Any]] = {}
        for attempt in self._study.attempts():
            number = attempt.user_attrs.get("trial")
            if number is not None:
                attempts.setdefault(number, []).append(attempt)
            elif self._study.is_running(attempt):
                # No other process asks now: this one was killed before it added a trial.
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
        """Return an interrupted trial, or None."""
        while any(map(self._study.is_waiting, self._study.attempts())):
            asked = self._study.ask()
            # Enqueued by a process that was killed before it added a trial.
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
        """Return state and value for the study: those of the run folder where it has them."""
        if state == "finished":
            try:
                found = trial_metric.measured(trial.path, self.metric)
                value = found[1] if found else value
            except UserError as error:
                self._error = error
            if value is None or math.isnan(value):
                return "failed", None
        return state, value

    def _lease(self, number: int) -> bool:
        """Lock a trial for this process; return False if a process holds it already."""
        if number in self._leases:
            return False
        file = open_file(self._files / f"{number:04d}.search", "a")
        if not try_lock(file):
            file.close()
            return False
        self._leases[number] = file
        return True

    def _release(self, number: int) -> None:
        if number in self._leases:
            self._leases.pop(number).close()
