"""The loop: steps, records, evaluations and checkpoints, until done or asked to stop."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnnlab.errors import UserError
from cnnlab.launch import distributed
from cnnlab.metrics.formatting import format_metrics
from cnnlab.training import run_folder, selection
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checksum import first_not_finite
from cnnlab.training.evaluation import Evaluation
from cnnlab.training.interruption import Flag, Interrupted, interruption
from cnnlab.training.metric_buffer import MetricBuffer, NonFinite
from cnnlab.training.non_finite import remedy
from cnnlab.training.position import Position
from cnnlab.training.progress import ProgressDisplay
from cnnlab.training.setup import Setup
from cnnlab.training.state import TrainState, leaf_names
from cnnlab.training.writer import Silent, Writer
from cnnlab.utils.console import LOG


class Loop:
    """One run, from its first or its last saved step to its end."""

    def __init__(self, setup: Setup, workdir: Path, profile: tuple[int, int] = (0, 0)):
        """Open the run's checkpoints and restore the newest."""
        self.setup, self.config, self.workdir, self.profile = (
            setup,
            setup.config,
            workdir,
            profile if distributed.is_first() else (0, 0),
        )
        options = self.config.checkpoint
        self.checkpoints = Checkpoints(
            workdir / "checkpoints", keep=options.keep, metric=options.best, mode=options.mode
        )
        self.state = setup.state
        self.position = Position()
        restored = self.checkpoints.restore_latest(setup.state)
        if restored is not None:
            self.state, record = restored
            setup.state = self.state  # or the initial one stays in memory to the end
            _check_data(record.pop("data"), setup.train.position())
            self.position = Position.from_record(record)
        self.step = int(self.state.step)
        run_folder.check_length(workdir, self.step, setup.steps)
        if restored is not None:
            LOG.info("resuming at step %d of %d", self.step, setup.steps)
        self._judge_by(
            selection.criterion(
                options.best,
                self.checkpoints.values.mode,
                setup.evaluations,
                data=self.config.data.to_dict(),
                experiment=self.config.experiment.to_dict(),
                evaluators=self.config.representation.evaluators.to_dict(),
            )
        )
        self.meter = MetricBuffer(setup.checked_names)
        self.meter.restore(self.position.meter)
        self._began = time.monotonic() - self.position.seconds
        # The last evaluation's step and splits, for the closing table; outputs at the end alone.
        self.evaluated: tuple[int, dict[str, Evaluation]] = (-1, {})
        self._value: float | None = None
        self._tracing = False
        # Whether a save of this process was read back, and whether one is still to be.
        self._verified = self._unverified = False

    def _judge_by(self, now: dict[str, Any]) -> None:
        """Take what the best is chosen by; where it changed, what was best so far is none."""
        position = self.position
        saved = position.criterion
        if saved is None and self.step:
            saved = selection.of_earlier_version(self.workdir)
        changed = selection.changes(saved, now) if saved is not None else []
        if changed:
            LOG.warning(
                "the best checkpoint is chosen anew from step %d on: %s",
                self.step,
                "; ".join(changed),
            )
            position.start_anew(self.step)
        position.criterion, self.checkpoints.values.since = now, position.since

    def run(self) -> tuple[TrainState, Position, str]:
        """Train; return the last state, the position, and `finished` or `early stopping`.

        Raises:
            Interrupted: after a signal, with the state saved.
            NonFinite: when the loss or a gradient stops being a number.
        """
        self.writer = Writer(self.workdir, self.step) if distributed.is_first() else Silent()
        if distributed.is_first() and self.writer.last < self.position.recorded:
            LOG.warning(
                "%s lacks the records of steps %d to %d: they are lost, the training is not",
                self.workdir / "metrics.jsonl",
                self.writer.last + 1,
                self.position.recorded,
            )
        self.progress = ProgressDisplay(self.setup.steps, self.step, self.setup.batch_size)
        try:
            with interruption() as flag:
                reason = self._steps(flag)
                self._verify()
            self._leave_if(flag)
        except NonFinite as error:
            raise self._explain(error) from None
        finally:
            self.progress.close()
            self.writer.close()
            jax.block_until_ready(self.state)
        return self.state, self.position, reason

    def _steps(self, flag: Flag) -> str:
        if not self.position.evaluated:
            # Interrupted in an evaluation: make up for it before going on.
            self._evaluate(flag)
            self._save(replace=True)
            self._leave_if(flag)
        size = self.setup.steps_per_dispatch
        batches = self._batches(size)
        compiled = False
        while self.step < self.setup.steps:
            if self._stops():
                return "early stopping"
            self._trace(size)
            batch = self.setup.parallel.place_batch(next(batches), scan=size > 1)
            if not compiled:
                self.progress.compiling()
            self.state, report = self.setup.train_step(self.state, batch, self.setup.data)
            if self.setup.parallel.blocks:
                jax.block_until_ready(report)
            self.step += size
            self.meter.add(self.step, report)
            self.progress.step(self.step)
            if not compiled:
                jax.block_until_ready(report)
                self.progress.compiled(self.step)
                compiled = True
            self._after_step(flag)
        self._trace(0)
        return "early stopping" if self._stops() else "finished"

    def _after_step(self, flag: Flag) -> None:
        options, last = self.config, self.step == self.setup.steps
        self.position.evaluated = True
        if self.step % options.log_every == 0 or last:
            self._record()
        improved = False
        if options.evaluate.splits and (self.step % options.evaluate.every == 0 or last):
            self.position.evaluated = False
            improved = self._evaluate(flag)
        due = self.step % options.checkpoint.every == 0 or last or improved or self._stops()
        # Asked once a step by every process, after the same evaluations.
        stop = flag()
        if due or stop:
            self._save()
        if stop:
            self._leave_if(flag)

    def _leave_if(self, flag: Flag) -> None:
        if flag:
            self.checkpoints.wait()
            raise Interrupted(flag.name)

    def _batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        batches = self.setup.train.batches(self.step)
        if size == 1:
            return batches

        def stacked():
            while True:
                group = [next(batches) for _ in range(size)]
                yield {key: np.stack([b[key] for b in group]) for key in group[0]}

        return stacked()

    def _record(self) -> None:
        metrics = self.meter.flush()
        values = {f"train/{name}": value for name, value in metrics.items()}
        if self.setup.schedule is not None:
            values["learning_rate"] = float(self.setup.schedule(self.step - 1))
        rate = self.progress.record(self.step, values)
        values["epoch"] = self.step * self.setup.batch_size / self.setup.train.count
        values["time/examples_per_second"] = rate
        self._write(values)

    def _write(self, values: dict[str, float]) -> None:
        self.writer.write(self.step, values)
        self.position.recorded = self.step

    def _evaluate(self, flag: Flag) -> bool:
        """Evaluate and record, unless asked to stop; return whether the metric improved."""
        self.meter.fetch()
        values: dict[str, float] = {}
        evaluations: dict[str, Evaluation] = {}
        last = self.step == self.setup.steps
        for split in self.config.evaluate.splits:
            evaluated = self.setup.evaluate_split(self.state, split, stop=flag, keep=last)
            if evaluated is None:
                return False
            evaluations[split] = evaluated
            best = self.config.checkpoint.best
            if best in (f"{split}/{name}" for name in evaluated.missing()):
                raise NonFinite(self.step, best, summarized=True)
            values |= {f"{split}/{name}": value for name, value in evaluated.scalars().items()}
        variables = (self.state.params, self.state.model_state)
        found = self.setup.protocols.scalars(variables, self.step, stop=flag)
        if found is None:
            return False
        values |= found
        if not all(map(math.isfinite, values.values())):
            name = next(n for n, v in values.items() if not math.isfinite(v))
            raise NonFinite(self.step, name)
        self.progress.note(f"step {self.step}  {format_metrics(values)}")
        self._write(values)
        self.progress.restart_clock(self.step)
        self.position.evaluated = True
        self.evaluated = (self.step, evaluations)
        return self._judge(values)

    def _judge(self, values: dict[str, float]) -> bool:
        metric = self.config.checkpoint.best
        if not metric or metric not in values:
            # Of an evaluator that is not due at this step, or has failed and said so.
            return False
        self._value = values[metric]
        mode, min_delta = self.checkpoints.values.mode, self.config.early_stopping.min_delta
        return self.position.judge(self._value, mode, min_delta)

    def _stops(self) -> bool:
        patience = self.config.early_stopping.patience
        return bool(patience) and self.position.num_bad_evals >= patience

    def _save(self, replace: bool = False) -> None:
        self.checkpoints.check()
        # What is saved is finite: the steps until here were, and so is what the last one made.
        self.position.meter = self.meter.state()
        bad = first_not_finite((self.state.params, self.state.model_state))
        if bad is not None:
            names = leaf_names(self.state.params, "params/")
            names += leaf_names(self.state.model_state, "model_state/")
            raise NonFinite(self.step, names[bad])
        self.position.seconds = time.monotonic() - self._began
        record = {**self.position.to_record(), "data": self.setup.train.position()}
        value = self._value
        self._value = None
        self._unverified |= self.checkpoints.save(self.state, record, value, replace=replace)
        if not self._verified:
            # Now, not when all training is lost: a disk may take what it does not give back.
            self._verify()

    def _verify(self) -> None:
        self.checkpoints.wait()
        if self._unverified:
            self.checkpoints.verify(self.state)
            self._verified, self._unverified = True, False

    def _trace(self, size: int) -> None:
        first, last = self.profile
        if not self._tracing and self.step < last and first < self.step + size:
            jax.profiler.start_trace(str(self.workdir / "profile"))
            self._tracing = True
        elif self._tracing and (self.step >= last or not size):
            jax.block_until_ready(self.state)
            jax.profiler.stop_trace()
            self._tracing = False
            self.progress.note(f"trace of steps {first} to {self.step} in {self.workdir}/profile")

    def _explain(self, error: NonFinite) -> UserError:
        self.checkpoints.wait()
        saved = self.checkpoints.steps()
        last = f"{self.workdir / 'checkpoints' / str(saved[-1])}" if saved else "none yet"
        return UserError(f"{error}; last good checkpoint: {last}.{remedy(error, self.setup)}")


def _check_data(saved: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in saved.items():
        if now.get(name) != value:
            LOG.warning(
                "the training data changed since the checkpoint: %s was %s, is %s; "
                "the order of examples is not continued",
                name,
                value,
                now.get(name),
            )
