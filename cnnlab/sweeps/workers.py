"""Worker threads that take the trials of a sweep from a source and run them in parallel."""

import contextlib
import dataclasses
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from cnnlab.errors import UserError
from cnnlab.sweeps.cpu_gpu_shares import Share, available_cores, available_gpus, shares
from cnnlab.sweeps.folder import ENDED, SweepFolder, Trial
from cnnlab.sweeps.live import Display
from cnnlab.sweeps.trial import Stop, run_trial
from cnnlab.sweeps.trial_metric import measured
from cnnlab.utils.installation import PROGRAM
from cnnlab.utils.signals import handled

# Seconds between looks at trials that another process runs.
ELSEWHERE = 1.0


@runtime_checkable
class Source(Protocol):
    """Where trials come from: a list, or a search."""

    def next(self) -> Trial | None:
        """Return a trial to run, or None when there is none left."""
        ...

    def report(self, trial: Trial, step: int, values: dict[str, float]) -> bool:
        """Take note of a record of a running trial; return whether to prune it."""
        ...

    def finish(self, trial: Trial, state: str, value: float | None) -> None:
        """Take note of how a trial ended; `waiting`: it was stopped and is to go on."""
        ...

    def close(self) -> None:
        """Let go of the trials that were not finished."""
        ...


@dataclasses.dataclass(frozen=True)
class Ending:
    """How the work ended: the signal that stopped it, or "", and what the stopped trials said."""

    signal: str
    stopped: list[str]


class FixedSource:
    """The trials of a fixed sweep, in order, without those that have ended."""

    def __init__(self, folder: SweepFolder, first: int = 0):
        """Begin with trial `first`, so that workers that start together do not all try one."""
        trials = folder.trials()
        first %= max(len(trials), 1)
        self._folder, self._left = folder, deque(trials[first:] + trials[:first])

    def next(self) -> Trial | None:
        """Return the next trial that has not ended."""
        while self._left:
            trial = self._left.popleft()
            if self._folder.record(trial).state not in ENDED:
                return trial
        return None

    def report(self, trial: Trial, step: int, values: dict[str, float]) -> bool:
        """Prune nothing."""
        return False

    def finish(self, trial: Trial, state: str, value: float | None) -> None:
        """Do nothing: the folder knows."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


class Workers:
    """Threads that each take a trial, run it in a process, and take the next."""

    def __init__(
        self,
        folder: SweepFolder,
        source: Source,
        display: Display,
        *,
        limit: int = 0,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
    ):
        """Take trials from a source; see `work`."""
        self.folder, self.source, self.display, self.limit = folder, source, display, limit
        self.environment = dict(os.environ if environment is None else environment)
        self.program, self.stop = program, Stop()
        self.error: BaseException | None = None
        self.stopped: list[str] = []
        self._mine: set[int] = set()
        self._others, self._waited = 0, False
        self._lock = threading.Lock()

    def run(self, share: Share) -> None:
        """Take and run trials in one place until none is left, or something fails for all."""
        try:
            while not self.stop.asked.is_set() and (taken := self._take()) is not None:
                self._run(*taken, share)
        except BaseException as error:
            self.error = self.error or error
            self.stop.asked.set()

    def _take(self) -> tuple[Trial, contextlib.AbstractContextManager[int]] | None:
        """Claim a trial; where others run all that is left, wait: they may be killed."""
        while not self.stop.asked.is_set():
            with self._lock:
                if self.limit and len(self._mine) >= self.limit:
                    return None
                trial = self.source.next()
                taken = self._claim([trial] if trial is not None else self._left_over())
                if taken is not None:
                    self._mine.add(taken[0].number)
                    return taken
                if trial is None and (self.limit or not self._others):
                    return None
                if trial is not None:
                    self.source.finish(trial, "waiting", None)
            if trial is None:
                self._wait()
        return None

    def _claim(
        self, trials: Iterable[Trial]
    ) -> tuple[Trial, contextlib.AbstractContextManager[int]] | None:
        self._others = 0
        for trial in trials:
            claim = self.folder.claim(trial)
            if claim is not None:
                return trial, claim
            self._others += self.folder.record(trial).state not in ENDED
        return None

    def _left_over(self) -> list[Trial]:
        """Return the trials that others had, and that have not ended."""
        return [
            trial
            for trial in self.folder.trials()
            if trial.number not in self._mine and self.folder.record(trial).state not in ENDED
        ]

    def _wait(self) -> None:
        if not self._waited:
            self._waited = True
            self.display.waiting(self._others)
        self.stop.asked.wait(ELSEWHERE)

    def _run(
        self, trial: Trial, claim: contextlib.AbstractContextManager[int], share: Share
    ) -> None:
        def on_metrics(step: int, values: dict[str, float]) -> bool:
            self.display.progress(trial, step, values)
            with self._lock:
                return self.source.report(trial, step, values)

        with claim as lock:
            self.display.started(trial)
            state, reason = run_trial(
                self.folder,
                trial,
                lock,
                on_metrics=on_metrics,
                environment=self.environment,
                share=share,
                stop=self.stop,
                program=self.program,
            )
            # First the folder, which holds the truth: a search that is killed here catches up.
            self.folder.finish(trial, state, reason)
            reached = self._measure(trial)
            with self._lock:
                self.source.finish(trial, state, reached)
                self.stopped += [reason] if state == "waiting" else []
        self.display.ended(trial, state, reason, reached)

    def _measure(self, trial: Trial) -> float | None:
        metric = self.display.metric
        try:
            found = measured(trial.path, metric) if metric is not None else None
        except UserError as error:
            # Of a fixed sweep: its report can be asked for another metric. A search raises it.
            self.display.note(str(error))
            return None
        return found[1] if found else None


def work(
    folder: SweepFolder,
    source: Source,
    parallel: int = 1,
    *,
    limit: int = 0,
    display: Display | None = None,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = PROGRAM,
) -> Ending:
    """Run trials until none is left, or a signal stops them.

    Args:
        folder: of the sweep; other processes may work on it at the same time.
        source: of trials.
        parallel: how many run at once; they share the machine's cores and GPUs.
        limit: stop after so many; 0: none.
        display: shows what happens.
        environment: of trials; this process's if None.
        program: what `python launch.py` is.

    Raises:
        UserError: if the disk is full; trials that run are stopped, and saved if they can be.
    """
    display = display or Display(folder)
    workers = Workers(
        folder, source, display, limit=limit, environment=environment, program=program
    )
    env = workers.environment
    places = shares(parallel, env, available_cores(), available_gpus(env))
    threads = [threading.Thread(target=workers.run, args=(share,)) for share in places]
    with _signals(workers.stop, display) as names, display:
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
                    display.refresh()
        finally:
            # No trial keeps running without a worker that follows it.
            workers.stop.asked.set()
            for thread in threads:
                thread.join()
            source.close()
    if workers.error is not None:
        raise workers.error
    return Ending(names[0] if names else "", workers.stopped)


@contextlib.contextmanager
def _signals(stop: Stop, display: Display) -> Iterator[list[str]]:
    """Within this context a signal asks trials to save and stop; a second Ctrl-C kills them."""
    names: list[str] = []

    def handle(number: int, _: object) -> None:
        if names and number == signal.SIGINT:
            stop.at_once.set()
        names.append(signal.Signals(number).name)
        stop.asked.set()
        display.stopping(names[0])

    with handled(handle):
        yield names
