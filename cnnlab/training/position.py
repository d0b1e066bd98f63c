"""Position of a run, saved beside its state: best value, bad evaluations, unrecorded metrics."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar


@dataclasses.dataclass
class Position:
    """Where a run stands, beside its state: saved with every checkpoint.

    Attributes:
        criterion: what `best` and `stopping_best` are values of; see `selection`.
        since: the step from which on the criterion has been the same.
        best: best value of the checkpoint metric since then, None before the first evaluation.
        stopping_best: its value when it last improved by more than `early_stopping.min_delta`.
        num_bad_evals: evaluations since then.
        recorded: step of the last record of metrics.
        evaluated: whether the evaluation due at this step is done.
        seconds: time spent, over all resumptions.
        meter: metrics not yet recorded.
    """

    criterion: dict[str, Any] | None = None
    since: int = 0
    best: float | None = None
    stopping_best: float | None = None
    num_bad_evals: int = 0
    recorded: int = 0
    evaluated: bool = True
    seconds: float = 0.0
    meter: list[float] | None = None

    # Keys of a checkpoint's file, which stay what they were.
    IN_FILE: ClassVar = {"stopping_best": "mark", "num_bad_evals": "stale"}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Position":
        """Return the position that a checkpoint's file holds."""
        names = {key: name for name, key in cls.IN_FILE.items()}
        return cls(**{names.get(key, key): value for key, value in record.items()})

    def to_record(self) -> dict[str, Any]:
        """Return what a checkpoint's file holds."""
        return {self.IN_FILE.get(k, k): value for k, value in dataclasses.asdict(self).items()}

    def start_anew(self, step: int) -> None:
        """Take what has been the best so far for none, from a step on."""
        self.best = self.stopping_best = None
        self.num_bad_evals, self.since = 0, step

    def judge(self, value: float, mode: str, min_delta: float) -> bool:
        """Count an evaluation; return whether its value is the best so far.

        Args:
            value: of the checkpoint metric.
            mode: "max" or "min", which is better.
            min_delta: by how much it has to improve not to count as a bad one.
        """
        sign = 1 if mode == "max" else -1
        if self.stopping_best is None or sign * (value - self.stopping_best) > min_delta:
            self.stopping_best, self.num_bad_evals = value, 0
        else:
            self.num_bad_evals += 1
        better = self.best is None or sign * (value - self.best) > 0
        if better:
            self.best = value
        return better
