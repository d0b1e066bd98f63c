"""An Optuna study over a sweep's space, in a journal that processes share.

Callers take care that one process at a time asks or tells. Every draw has its own generator, seeded
by its number: draws depend neither on the process nor on interruptions.

Import this module inside functions: it needs Optuna.
"""

import random
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from cnnlab.errors import UserError
from cnnlab.sweeps import journal, optuna_space
from cnnlab.sweeps.folder import Trial
from cnnlab.sweeps.space import Space
from cnnlab.sweeps.trial_metric import Metric
from cnnlab.utils.registry import pick

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    # constant_liar: trials that run count as bad ones, or parallel workers would draw alike.
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
# By the steps between two evaluations. ASHA's rungs are at 1, 3, 9, 27... evaluations.
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "": lambda every: optuna.pruners.NopPruner(),
    "median": lambda every: optuna.pruners.MedianPruner(n_startup_trials=5),
    "asha": lambda every: optuna.pruners.SuccessiveHalvingPruner(every, reduction_factor=3),
}
STATES = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
}


def resource(base: Mapping[str, Any], metric: str) -> int:
    """Return the steps between two values of a metric in a run of this config."""
    every = base.get("log_every" if metric.startswith("train/") else "evaluate.every", 1)
    return max(1, every)


class SharedStudy:
    """The study in a file: attempts, their results, and the next draw."""

    def __init__(
        self,
        path: Path,
        space: Space,
        metric: Metric,
        *,
        search: str,
        pruner: str = "",
        every: int = 1,
        seed: int = 0,
    ):
        """Open the study, made if missing.

        Args:
            path: the journal.
            space: what is drawn from.
            metric: what to improve.
            search, pruner: names in `SAMPLERS` and `PRUNERS`.
            every: steps between two values of the metric.
            seed: of the draws.

        Raises:
            UserError: for an unknown name, and for a journal that is damaged or another
                metric's.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._sampler = pick(SAMPLERS, search, "search")
        self.prunes = bool(pruner)
        self._space, self._seed = space, seed
        self._distributions = optuna_space.unknowns(space)
        # Of the attempts that became trials, by number: made once, as there may be a thousand.
        self._keys: dict[int, str] = {}
        aim = {"metric": metric.name, "mode": metric.mode}
        try:
            self._study = optuna.create_study(
                storage=journal.open_storage(path),
                study_name="sweep",
                direction="maximize" if metric.mode == "max" else "minimize",
                pruner=pick(PRUNERS, pruner, "pruner")(every),
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{path} is damaged ({error}): remove it; the search resumes from the trials in "
                "its folder"
            ) from None
        known = {**aim, **self._study.user_attrs}
        if known != aim:
            raise UserError(
                f"{path} is of a search for --metric={known['metric']} --mode={known['mode']}: "
                "go on with these, or name another --workdir"
            )
        for name, value in aim.items():
            if name not in self._study.user_attrs:
                self._study.set_user_attr(name, value)

    def attempts(self) -> list[FrozenTrial]:
        """Return all attempts, read-only."""
        return self._study.get_trials(deepcopy=False)

    @staticmethod
    def is_running(attempt: FrozenTrial) -> bool:
        """Return whether an attempt has no result yet."""
        return attempt.state == TrialState.RUNNING

    @staticmethod
    def is_waiting(attempt: FrozenTrial) -> bool:
        """Return whether an attempt is enqueued."""
        return attempt.state == TrialState.WAITING

    def ask(self) -> optuna.Trial:
        """Return the next enqueued attempt, or a new draw."""
        count = len(self.attempts())
        self._study.sampler = self._sampler(_seed(self._seed, count))
        return self._study.ask(self._distributions)

    def tell(self, number: int, state: str, value: float | None = None) -> None:
        """Record how an attempt ended, with its value where it finished."""
        ended = STATES.get(state, TrialState.FAIL)
        values = value if ended == TrialState.COMPLETE else None
        self._study.tell(number, values, state=ended, skip_if_finished=True)

    def enqueue(self, trial: Trial) -> None:
        """Enqueue the point of a trial."""
        self._enqueue(optuna_space.parameters(self._space, trial.overrides), trial=trial.number)

    def remember(self, trial: Trial, state: str, value: float | None = None) -> None:
        """Add a finished trial that the study lacks."""
        ended = STATES.get(state, TrialState.FAIL)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=ended,
                value=value if ended == TrialState.COMPLETE else None,
                params=optuna_space.parameters(self._space, trial.overrides),
                distributions=self._distributions,
                user_attrs={"trial": trial.number},
            )
        )

    def enqueue_untried(self, tried: set[str]) -> bool:
        """Enqueue a point that is not among `tried`; return False if there is none."""
        points = optuna_space.every(self._space) or ()
        left = [point for point in points if self.key(point) not in tried]
        if left:
            self._enqueue(random.Random(_seed(self._seed, len(self.attempts()))).choice(left))
        return bool(left)

    def tried(self) -> set[str]:
        """Return the keys of the points that trials were made of."""
        for attempt in self.attempts():
            if attempt.number not in self._keys and "trial" in attempt.user_attrs:
                self._keys[attempt.number] = self.key(attempt.params)
        return set(self._keys.values())

    def overrides(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the overrides that drawn parameters stand for."""
        return optuna_space.overrides(self._space, parameters)

    @staticmethod
    def key(parameters: Mapping[str, Any]) -> str:
        """Return a text that equal parameters share."""
        return repr(sorted(parameters.items()))

    def _enqueue(self, parameters: dict[str, Any], **attributes: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.enqueue_trial(parameters, user_attrs=attributes)


def _seed(*parts: int) -> int:
    return random.Random("/".join(map(str, parts))).getrandbits(32)
