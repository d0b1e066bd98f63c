"""The end of a run: all splits evaluated, `result.json`, baselines, figures drawn."""

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnlab.launch import distributed
from cnnlab.plots import learning_curves, run_figures, style
from cnnlab.runs import representation_report, tensorboard_summary
from cnnlab.training import baselines, progress, run_folder
from cnnlab.training.evaluation import Evaluation
from cnnlab.training.loop import Loop
from cnnlab.training.position import Position
from cnnlab.training.setup import Setup
from cnnlab.training.state import TrainState
from cnnlab.training.writer import read_rows
from cnnlab.utils.files import write_json


class Closing:
    """What a run has to show, written as soon as it is known: numbers first, then pictures.

    `result.json` has `pending` while more is to come, and `missing` for what could not be
    computed, with the reason.
    """

    def __init__(
        self,
        setup: Setup,
        run: Loop,
        state: TrainState,
        position: Position,
        reason: str,
        began: float,
        encoder: str,
    ):
        """Take the run, its last state, why it ended, and when it began (`time.monotonic`).

        `encoder` is what its network is called among those that are compared.
        """
        self._began, self._encoder = began, encoder
        self._setup, self._run, self._state, self._position = setup, run, state, position
        self._best, self._best_step = state, run.step
        self._found: dict[str, Any] = {
            "reason": reason,
            "results": {},
            "floors": {},
            "report": {},
            "representation": [],
        }
        self.missing: dict[str, str] = {}

    def numbers(self) -> None:
        """Evaluate the last and the best state on every split, and draw the better one's figures.

        What the loop has evaluated is not evaluated again.
        """
        run, metric, rows = self._run, self._setup.config.checkpoint.best, self._found["results"]
        best = run.checkpoints.best_step()
        if metric and best is not None and best != run.step:
            with distributed.optional(f"checkpoint {best}", self.missing, shared=True):
                self._best, _ = run.checkpoints.restore(best, self._state)
                self._best_step = best
        step, known = run.evaluated
        known = known if step == run.step else {}
        run.evaluated = (-1, {})
        found = self._evaluate(self._state, known, keep=self._best is self._state)
        rows[f"last (step {run.step})"] = scalars(found)
        if self._best is not self._state:
            found = self._evaluate(self._best, {}, keep=True)
            rows[f"best {metric} (step {self._best_step})"] = scalars(found)
        run.checkpoints.close()
        self._write(pending=True)
        self._found["report"] = report(
            self._setup,
            found,
            run.workdir / "figures",
            self.missing,
            of=run_and_step(run.workdir, self._best_step),
        )
        self._write(pending=True)

    def rest(self) -> None:
        """Compute what is compared with the run, and draw."""
        setup, workdir, found = self._setup, self._run.workdir, self._found
        distributed.on_first_process(self._baselines)
        self._write(pending=True)
        encoders = {f"{self._encoder} (step {self._run.step})": _variables(self._state)}
        if self._best is not self._state:
            encoders[f"{self._encoder} (best, step {self._best_step})"] = _variables(self._best)
        rows = representation_report.rows(setup, encoders, workdir, self.missing)
        found["representation"] = representation_report.plain(rows)
        self._write(pending=True)
        representation_report.draw(setup, _variables(self._best), rows, workdir)
        distributed.on_first_process(self._curves)
        self._write()
        distributed.on_first_process(self._tensorboard)

    def _evaluate(
        self, state: TrainState, known: Mapping[str, Evaluation], *, keep: bool
    ) -> dict[str, Evaluation]:
        found: dict[str, Evaluation] = {}
        for split in self._setup.evaluations:
            with distributed.optional(f"'{split}'", self.missing, shared=True):
                if split in known and (known[split].outputs or not keep):
                    found[split] = known[split]
                else:
                    found |= evaluate_splits(self._setup, state, [split], keep=keep)
        return found

    def _baselines(self) -> None:
        setup, config = self._setup, self._setup.config
        with distributed.optional("baselines", self.missing):
            self._found["floors"] = baselines.accuracies(
                config.representation.baselines,
                config.data.to_dict(),
                config.evaluate.splits,
                setup.evaluations,
                getattr(setup.experiment, "target", "label"),
                batch_size=config.evaluate.batch_size,
                seed=config.seed,
            )

    def _curves(self) -> None:
        folder, setup = self._run.workdir / "figures", self._setup
        title = _title(setup, self._run.workdir)
        with distributed.optional(str(folder / "curves.png")):
            metric = setup.config.checkpoint.best
            curves = learning_curves.learning_curves(
                read_rows(self._run.workdir / "metrics.jsonl"),
                title=title,
                schedule=setup.schedule and (setup.schedule, self._run.step),
                best=(metric, self._best_step) if metric else None,
                baselines=self._found["floors"],
            )
            if curves is not None:
                style.save(curves, folder / "curves.png")
        if setup.schedule is None:
            return
        with distributed.optional(str(folder / "learning_rate.png")):
            rate = run_figures.schedule(setup.schedule, setup.steps, title=title)
            style.save(rate, folder / "learning_rate.png")

    def _tensorboard(self) -> None:
        workdir = self._run.workdir
        with distributed.optional(str(workdir / "tensorboard")):
            result = run_folder.read_result(workdir)
            tensorboard_summary.write(workdir, self._setup.config.to_dict(), result)

    def _write(self, *, pending: bool = False) -> None:
        setup, run = self._setup, self._run
        parameters = int(sum(np.prod(x.shape) for x in jax.tree.leaves(self._state.params)))

        def write() -> None:
            splits = setup.evaluations.items()
            facts = {
                "steps": run.step,
                "seed": setup.config.seed,
                "seconds": round(self._position.seconds, 1),
                "seconds_total": round(time.monotonic() - self._began, 1),
                "examples": {"train": setup.train.readable(), **{k: x.count for k, x in splits}},
                "skipped": {"train": setup.train.skipped(), **{k: x.skipped() for k, x in splits}},
                "parameters": parameters,
            }
            open_ends: dict[str, Any] = {"pending": True} if pending else {}
            if self.missing:
                open_ends["missing"] = self.missing
            # In order: tables show the numbers of a protocol as it gives them.
            found = {**self._found, **facts, **open_ends}
            write_json(run.workdir / "result.json", found, sort_keys=False)

        distributed.on_first_process(write)


def _title(setup: Setup, workdir: Path) -> str:
    data, steps = setup.train.source.info.name, setup.steps
    return f"{workdir.resolve().name}: {setup.config.model.name} on {data}, {steps:,} steps"


def run_and_step(workdir: Path, step: int) -> str:
    """Return the name of a run and the step of a checkpoint, as titles have it."""
    return f"{workdir.resolve().name}, step {step:,}"


def _variables(state: TrainState) -> tuple[Any, Any]:
    return state.params, state.model_state


def evaluate_splits(
    setup: Setup, state: TrainState, splits: list[str], *, keep: bool = True
) -> dict[str, Evaluation]:
    """Return the evaluation of each split; with `keep` its outputs too."""
    found: dict[str, Evaluation] = {}
    for split in splits:
        progress.say_start(f"evaluating '{split}'")
        evaluation = setup.evaluate_split(state, split, keep=keep)
        assert evaluation is not None
        found[split] = evaluation
    return found


def scalars(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    """Return every scalar metric of the splits, as `split/metric`."""
    return {
        f"{split}/{name}": value
        for split, evaluation in evaluations.items()
        for name, value in evaluation.scalars().items()
    }


def report(
    setup: Setup,
    evaluations: Mapping[str, Evaluation],
    figures: Path,
    missing: dict[str, str] | None = None,
    of: str = "",
) -> dict[str, Any]:
    """Let the experiment draw its figures; return what it reports of each split.

    Args:
        setup: of the run.
        evaluations: of the splits, with their outputs.
        figures: folder, in which each split has one.
        missing: gets the splits whose report fails, with the reason.
        of: run and step, for titles.
    """
    found: dict[str, Any] = {}
    for split, evaluation in evaluations.items():
        what, folder = f"report on '{split}'", figures / split
        titled = dataclasses.replace(evaluation, of=of)
        given = (titled, setup.evaluations[split].source)
        made = functools.partial(setup.experiment.report, *given)
        found[split] = distributed.optional_on_first_process(made, what, missing, default={})
        drawn = functools.partial(setup.experiment.draw, *given, folder)
        distributed.optional_on_first_process(drawn, f"figures of '{split}'", None, default=None)
    return found
