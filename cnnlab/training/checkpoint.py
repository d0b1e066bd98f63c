"""Checkpoints: the whole train state and the run's position, by Orbax, verified when read."""

import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint import checkpoint_managers as managers

from cnnlab.errors import UserError
from cnnlab.launch import processes
from cnnlab.metrics.direction import direction, implied
from cnnlab.training.fingerprint import fingerprint
from cnnlab.training.state import TrainState, leaf_names

LOG = logging.getLogger("cnnlab")


class Damaged(UserError):
    """A checkpoint that cannot be read back as it was written."""


class Checkpoints:
    """The checkpoints of one run folder.

    Beside the newest `keep` the best one by `metric` is kept. Saving is asynchronous: the arrays
    are copied at once, the files written while training goes on, and a folder gets its final
    name only when complete, so that a kill in the middle leaves the previous ones as they were.
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

        Attributes:
            mode: "max" or "min".
            since: the step from which on values of the metric are comparable: earlier ones are of
                another metric or of other examples. As saved last.

        Raises:
            UserError: for a mode that there is not, or that the metric's name leaves open.
        """
        self.folder, self.metric = folder.absolute(), metric
        unnamed = "max" if mode == "auto" and not metric else ""
        self.mode = implied(metric) or unnamed or direction(metric, mode)
        worst = -math.inf if self.mode == "max" else math.inf

        def value(metrics: Mapping[str, Any]) -> float:
            found = self._comparable(metrics)
            return worst if found is None else found

        newest = managers.LatestN(max(1, keep))
        best = managers.BestN(
            get_metric_fn=value,
            reverse=self.mode == "min",
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=managers.AnyPreservationPolicy([newest, best]),
            best_fn=value,
            best_mode=self.mode,
            create=not read_only,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)
        steps = self.steps()
        self.since = self._saved(steps[-1]).get("since", 0) if steps else 0

    def steps(self) -> list[int]:
        """Return the steps there are, oldest first."""
        return sorted(self._manager.all_steps())

    def value(self, step: int) -> float | None:
        """Return the metric's value at a step, None if none that is comparable was saved."""
        return self._comparable(self._saved(step))

    def best_step(self) -> int | None:
        """Return the step with the best value of the metric, None if none was saved with one."""
        sign = 1 if self.mode == "max" else -1
        values = {step: self.value(step) for step in self.steps()}
        ranked = [(sign * value, step) for step, value in values.items() if value is not None]
        return max(ranked)[1] if ranked else None

    def _saved(self, step: int) -> Mapping[str, Any]:
        return self._manager.metrics(step) or {}

    def _comparable(self, saved: Mapping[str, Any]) -> float | None:
        # Those of earlier versions have the value alone.
        now = {"metric": self.metric, "mode": self.mode, "since": self.since}
        same = {**now, "since": 0, **saved}.items() >= now.items()
        return saved.get("best") if same else None

    def save(
        self,
        state: TrainState,
        position: Mapping[str, Any],
        best: float | None,
        *,
        replace: bool = False,
    ) -> None:
        """Begin to write the checkpoint of `state.step`; does nothing if it is there already.

        Args:
            state: the whole state.
            position: JSON-like: the input's position and the loop's own counters.
            best: this step's value of the metric, where it was evaluated.
            replace: write it anew if it is there.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            if not replace:
                return
            self._manager.delete(step)
        record = {**position, "leaves": _layout(state), "fingerprint": fingerprint(state)}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), position=ocp.args.JsonSave(record)
            ),
            metrics={
                **({} if best is None else {"best": best}),
                "metric": self.metric,
                "mode": self.mode,
                "since": self.since,
            },
            force=True,
        )

    def restore(self, step: int, like: PyTree) -> tuple[TrainState, dict[str, Any]]:
        """Read the checkpoint of `step` into the shapes and shardings of `like`.

        Raises:
            Damaged: if files are missing or unreadable, or the numbers are not those saved.
            UserError: if it is whole but of another model or optimizer.
        """
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        record = dict(self._read(step, position=ocp.args.JsonRestore())["position"])
        saved, wanted = record.pop("leaves"), _layout(like)
        for name in sorted(saved.keys() ^ wanted.keys()):
            where = "only in the checkpoint" if name in saved else "only in the config's model"
            raise UserError(
                f"checkpoint {self.folder / str(step)} is of another model: '{name}' is {where}"
            )
        for name, layout in wanted.items():
            if saved[name] != layout:
                raise UserError(
                    f"checkpoint {self.folder / str(step)}: '{name}' is {saved[name]}, "
                    f"the config makes it {layout}"
                )
        state = self._read(step, state=ocp.args.StandardRestore(like))["state"]
        expected = record.pop("fingerprint")
        for name, a, b in zip(leaf_names(state), expected, fingerprint(state), strict=True):
            if a != b:
                raise Damaged(
                    f"checkpoint {self.folder / str(step)} is damaged: "
                    f"'{name}' is not what was saved"
                )
        return state, record

    def read(self, step: int, *parts: str) -> dict[str, np.ndarray]:
        """Read parts of a state (`params`, ...) to the host, whatever model it is of.

        Returns:
            Arrays by name, such as `params/c1/kernel`; none for a part that is empty.

        Raises:
            Damaged: if files are missing or unreadable, or the numbers are not those saved.
        """
        record = self._read(step, position=ocp.args.JsonRestore())["position"]
        names = [name for name in record["leaves"] if name.partition("/")[0] in parts]
        if not names:
            return {}
        like = _nested(names)
        plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
        options = ocp.args.PyTreeRestore(like, restore_args=plain, partial_restore=True)
        tree = self._read(step, state=options)["state"]
        found = dict(zip(leaf_names(tree), jax.tree.leaves(tree), strict=True))
        expected = dict(zip(record["leaves"], record["fingerprint"], strict=True))
        for name, sum_ in zip(found, fingerprint(tree), strict=True):
            if expected[name] != sum_:
                raise Damaged(
                    f"checkpoint {self.folder / str(step)} is damaged: "
                    f"'{name}' is not what was saved"
                )
        return found

    def _read(self, step: int, **items: Any) -> Any:
        # What one process cannot read is of use to none.
        return processes.together(lambda: self._read_here(step, **items), Damaged)

    def _read_here(self, step: int, **items: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except MemoryError:
            raise
        except Exception as error:
            # Orbax, tensorstore and zarr each have errors of their own for a damaged file.
            reason = str(error).strip().partition("\n")[0].partition(". See full")[0][:200]
            raise Damaged(
                f"checkpoint {self.folder / str(step)} cannot be read "
                f"({type(error).__name__}: {reason})"
            ) from error

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
        target = self.folder.parent / "damaged" / str(step)

        def move() -> None:
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.folder / str(step)).rename(target)

        processes.first(move)
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


def _nested(names: list[str]) -> PyTree:
    """Return a tree with these names; where all keys of a node are numbers, it is a list."""
    children: dict[str, list[str]] = {}
    for name in names:
        key, _, rest = name.partition("/")
        children.setdefault(key, []).append(rest)
    if children.keys() == {""}:
        return 0
    tree = {key: _nested(rests) for key, rests in children.items()}
    return list(tree.values()) if all(key.isdigit() for key in tree) else tree


def _layout(state: PyTree) -> dict[str, str]:
    leaves = jax.tree.leaves(state)
    described = (f"{x.dtype}[{','.join(map(str, x.shape))}]" for x in leaves)
    return dict(zip(leaf_names(state), described, strict=True))


def pick_step(checkpoints: Checkpoints, which: str) -> int:
    """Return the step meant by `latest`, `best` or a number.

    Raises:
        UserError: if there is no such checkpoint; names those there are.
    """
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"no checkpoint in {checkpoints.folder}: train there first")
    if which == "latest":
        return steps[-1]
    if which == "best":
        best = checkpoints.best_step()
        if not checkpoints.metric:
            raise UserError(
                "checkpoint=best: the run keeps no best checkpoint (checkpoint.best is empty): use "
                f"latest or a step of {steps}"
            )
        if best is None:
            raise UserError(
                f"no checkpoint in {checkpoints.folder} was saved with the metric "
                f"'{checkpoints.metric}': use latest or a step of {steps}"
            )
        return best
    if not which.isdigit() or int(which) not in steps:
        raise UserError(
            f"checkpoint '{which}': needs latest, best or a step of {', '.join(map(str, steps))}"
        )
    return int(which)
