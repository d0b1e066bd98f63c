"""Checkpoints: the whole train state and the run's position, by Orbax, verified when read."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint import checkpoint_managers as managers

from cnnlab.errors import UserError
from cnnlab.launch import distributed
from cnnlab.training.checkpoint_files import as_literal, check_files
from cnnlab.training.checkpoint_record import (
    Damaged,
    check_layout,
    damaged_notes,
    layout,
    nested,
    seal,
    unreadable,
    unseal,
)
from cnnlab.training.checkpoint_values import Values
from cnnlab.training.checksum import checksum_of_array, checksums
from cnnlab.training.state import TrainState, leaf_names
from cnnlab.utils.files import write_json

LOG = logging.getLogger("cnnlab")
T = TypeVar("T")


class Checkpoints:
    """The checkpoints of one run folder.

    Beside the newest `keep` the best one by `metric` is kept. Saving is asynchronous: the arrays
    are copied at once, the files written while training goes on, and a folder gets its final
    name only when complete, so that a kill in the middle leaves the previous ones as they were.

    Attributes:
        folder: the folder.
        values: of the metric, at each of them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        metric: str = "",
        mode: str = "auto",
        read_only: bool = False,
    ):
        """Open (and unless `read_only`, create) the folder.

        Raises:
            UserError: for a mode that there is not, or that the metric's name leaves open.
        """
        self.folder = folder.absolute()
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._root, self._opened = as_literal(self.folder)
        self.values = Values(self.folder, metric, mode)
        if not read_only:
            distributed.on_first_process(self._repair_notes)
        newest = managers.LatestN(max(1, keep))
        best = managers.BestN(
            get_metric_fn=self.values.rank,
            reverse=self.values.mode == "min",
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=managers.AnyPreservationPolicy([newest, best]),
            best_fn=self.values.rank,
            best_mode=self.values.mode,
            create=False,
            read_only=read_only,
            # Values, which may be damaged, are read by `Values`; a reader deletes no checkpoints.
            lightweight_initialize=read_only,
            cleanup_tmp_directories=not read_only,
        )
        self._manager = ocp.CheckpointManager(self._root, options=options)
        steps = self.steps()
        if steps and metric:
            self.values.since = self.values.read(steps[-1]).get("since", 0)

    def steps(self) -> list[int]:
        """Return the steps there are, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """Return the step with the best value of the metric, None if none was saved with one."""
        return self.values.best(self.steps())

    def step_of(self, which: str) -> int:
        """Return the step meant by `latest`, `best` or a number.

        Raises:
            UserError: if there is no such checkpoint; names those there are.
        """
        return self.values.step_of(which, self.steps())

    def _repair_notes(self) -> None:
        """Move what Orbax would fail on, and can do without, out of its way; recover values."""
        values = self.values.damaged()
        for path in (*(path for path, _ in values), *damaged_notes(self._root)):
            if os.path.lexists(path):
                self._move_to_damaged(path, f"{path.parent.name}_{path.name.strip('_')}")
        for path, entry in values:
            if "best" in entry:
                path.mkdir()
                write_json(path / "metrics", entry)

    def _move_to_damaged(self, path: Path, name: str) -> None:
        target = self.folder.parent / "damaged" / name
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)

    def save(
        self,
        state: TrainState,
        position: Mapping[str, Any],
        best: float | None,
        *,
        replace: bool = False,
    ) -> bool:
        """Begin to write the checkpoint of `state.step`; return False if it is there already.

        Args:
            state: the whole state.
            position: JSON-like: the input's position and the loop's own counters.
            best: this step's value of the metric, where it was evaluated.
            replace: write it anew if it is there.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            if not replace:
                return False
            self._manager.delete(step)
        record = {**position, "leaves": layout(state), "fingerprint": checksums(state)}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), position=ocp.args.JsonSave(seal(record))
            ),
            metrics=self.values.entry(best),
            force=True,
        )
        return True

    def restore(self, step: int, like: PyTree) -> tuple[TrainState, dict[str, Any]]:
        """Read the checkpoint of `step` into the shapes and shardings of `like`.

        Raises:
            Damaged: if files are missing or unreadable, or the numbers are not those saved, or
                those of another step.
            UserError: if it is whole but of another model or optimizer.
        """
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        record = self.record(step)
        check_layout(record.pop("leaves"), like, self.folder / str(step))
        state = self._read(step, state=ocp.args.StandardRestore(like))["state"]
        self._check_step(step, state.step)
        expected = record.pop("fingerprint")
        for name, a, b in zip(leaf_names(state), expected, checksums(state), strict=True):
            if a != b:
                raise self._changed(step, name)
        return state, record

    def record(self, step: int) -> dict[str, Any]:
        """Read what was saved beside the state of `step`.

        Raises:
            Damaged: if it is missing, unreadable, or not what was saved.
        """
        sealed = self._read(step, position=ocp.args.JsonRestore())["position"]
        try:
            return unseal(sealed)
        except ValueError as error:
            raise Damaged(f"checkpoint {self.folder / str(step)} is damaged: {error}") from None

    def verify(self, state: TrainState) -> None:
        """Read the checkpoint of a state back and compare it with what was to be saved.

        Raises:
            UserError: it is not on disk as it should be.
        """
        step = int(state.step)
        try:
            self._arrays(step, jax.tree.map(lambda _: 0, state), self.record(step))
        except Damaged as error:
            raise UserError(
                f"{error}, right after it was written: what is saved in {self.folder} is lost. "
                "Use another disk or file system: name another --workdir"
            ) from error

    def read(self, step: int, *parts: str) -> dict[str, np.ndarray]:
        """Read parts of a state (`params`, ...) to the host, whatever model it is of.

        Returns:
            Arrays by name, such as `params/c1/kernel`; none for a part that is empty.

        Raises:
            Damaged: if files are missing or unreadable, or the numbers are not those saved.
        """
        record = self.record(step)
        names = [name for name in record["leaves"] if name.partition("/")[0] in parts]
        if not names:
            return {}
        like = nested(dict.fromkeys(("step", *names)))
        if "ema" in like and len(like["ema"]) == 1:
            # Of the pair (parameters, model state), which is empty in a network without BatchNorm.
            like["ema"].append({})
        found = self._arrays(step, like, record)
        return {name: found[name] for name in names}

    def _arrays(self, step: int, like: PyTree, record: dict[str, Any]) -> dict[str, np.ndarray]:
        """Read the leaves of a tree to the host, by name, and compare them with their checksums."""
        plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
        options = ocp.args.PyTreeRestore(like, restore_args=plain, partial_restore=True)
        place = self._root / str(step) / "state"

        def read() -> PyTree:
            # Not by the manager, which reads the state in one way only once it has saved it.
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
                return reader.restore(place, args=options)

        tree = self._read_together(step, read)
        found = dict(zip(leaf_names(tree), jax.tree.leaves(tree), strict=True))
        self._check_step(step, found["step"])
        expected = dict(zip(record["leaves"], record["fingerprint"], strict=True))
        for name, leaf in found.items():
            if expected[name] != checksum_of_array(np.asarray(leaf)):
                raise self._changed(step, name)
        return found

    def _check_step(self, step: int, saved: Any) -> None:
        if int(saved) != step:
            raise Damaged(
                f"checkpoint {self.folder / str(step)} is damaged: it is of step {int(saved)}, and "
                "was renamed"
            )

    def _changed(self, step: int, name: str) -> Damaged:
        where = self.folder / str(step)
        return Damaged(f"checkpoint {where} is damaged: '{name}' is not what was saved")

    def _read(self, step: int, **items: Any) -> Any:
        arguments = ocp.args.Composite(**items)
        return self._read_together(step, lambda: self._manager.restore(step, args=arguments))

    def _read_together(self, step: int, read: Callable[[], T]) -> T:
        def here() -> T:
            try:
                check_files(self._root / str(step))
                return read()
            except MemoryError:
                raise
            except Exception as error:
                # Orbax, tensorstore and zarr each have errors of their own for a damaged file.
                raise unreadable(self.folder / str(step), self._root / str(step), error) from error

        # What one process cannot read is of use to none.
        return distributed.all_or_none(here, Damaged)

    def restore_latest(self, like: PyTree) -> tuple[TrainState, dict[str, Any]] | None:
        """Read the newest checkpoint that is whole, naming those that are not; None without any.

        Damaged ones are moved to `damaged/`, so that the run can save those steps again.

        Raises:
            UserError: if there are checkpoints and none can be read.
        """
        damaged: list[int] = []
        for step in reversed(self.steps()):
            try:
                restored = self.restore(step, like)
            except Damaged as error:
                LOG.warning("%s; trying the one before", error)
                damaged.append(step)
                continue
            for bad in damaged:
                self._set_aside(bad)
            return restored
        if damaged:
            raise UserError(
                f"none of the checkpoints in {self.folder} can be read; "
                "to start afresh, name another --workdir"
            )
        return None

    def _set_aside(self, step: int) -> None:
        distributed.on_first_process(
            lambda: self._move_to_damaged(self.folder / str(step), str(step))
        )
        self._manager.reload()

    def wait(self) -> None:
        """Wait until everything begun is on disk; raise what went wrong there."""
        self._manager.wait_until_finished()

    def check(self) -> None:
        """Raise what went wrong in a save that is going on in the background."""
        self._manager.check_for_errors()

    def close(self) -> None:
        """Finish writing and release the threads."""
        self._manager.close()
        if self._opened is not None:
            os.close(self._opened)
