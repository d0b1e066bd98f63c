"""A run from its config to its result: opened, trained, compared with its controls, reported."""

import contextlib
import time
from pathlib import Path
from typing import Any

from cnnlab import config as cfg
from cnnlab import objectives
from cnnlab.errors import UserError
from cnnlab.launch import distributed, run_lock
from cnnlab.runs import closing_table, controls, final_report, header
from cnnlab.training import class_names, config_check, loop, progress, run_folder, setup, transfer
from cnnlab.training.interruption import Interrupted, interruption_at_once
from cnnlab.utils.console import LOG, console


def train(
    config: Any,
    workdir: Path,
    on_change: str,
    profile: tuple[int, int] = (0, 0),
    *,
    show: bool = True,
    encoder: str = "trained",
) -> None:
    """Train in a folder, and the controls of the config in folders inside it.

    A run that was interrupted goes on; one that is finished is shown.

    Args:
        config: of the run.
        workdir: its folder.
        on_change: what to do in a folder that was made with another config: `stop` with an error,
            `accept` the change and go on, or `restart` in an emptied folder.
        profile: first and last step of a profiler trace; (0, 0): none.
        show: print the closing table.
        encoder: what the network is called among those that are compared.

    Raises:
        Interrupted: after a signal, with the state saved.
        UserError: for what cannot work.
    """
    began = time.monotonic()
    experiment = _experiment(config)
    finished, resume = _open_folder(config, workdir, on_change, show=show)
    if finished:
        return
    try:
        parts, others = _set_up(config, experiment, workdir, resume=resume)
        _check_profile(profile, run_folder.last_step(workdir), parts.steps)
    except UserError:
        # A folder that nothing was written to is removed.
        with contextlib.suppress(OSError):
            workdir.rmdir()
        raise
    _run(parts, others, workdir, profile, began, encoder)
    if show:
        distributed.on_first_process(lambda: closing_table.show(workdir))


def check(config: Any) -> None:
    """Check a config as `train` does before its first step.

    Raises:
        MissingData: the data is not on this machine; what does not depend on it has been checked.
        UserError: for what cannot work.
    """
    controls.check(config)
    if config.init_from.path:
        transfer.check_path(config.init_from.path)
    _set_up(config, _experiment(config), Path("run"), resume=False)


def _experiment(config: Any) -> Any:
    config_check.check(config)
    return objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )


def _set_up(
    config: Any, experiment: Any, workdir: Path, *, resume: bool
) -> tuple[setup.Setup, dict[str, Any]]:
    """Return the parts of the run, and the configs of the controls that train."""
    names = class_names.of_run(workdir) if resume else ()
    parts = distributed.all_or_none(
        lambda: setup.make(config, experiment, resume=resume, class_names=names), name="setup"
    )
    return parts, _controls(config, workdir, parts)


def _open_folder(config: Any, workdir: Path, on_change: str, *, show: bool) -> tuple[bool, bool]:
    """Make or open the folder; return whether its run is finished, and whether it has begun."""

    def look() -> dict[str, bool]:
        changed = run_folder.open_run(
            workdir, config.to_dict(), on_change=on_change, complete=cfg.completed
        )
        for line in changed:
            LOG.info("config changed: %s", line)
        finished = run_folder.is_finished(workdir) and not changed
        if finished and show:
            closing_table.show(workdir)
            console.print(f"{workdir} is finished; name another --workdir to train anew")
        return {"finished": finished, "resume": run_folder.has_checkpoints(workdir)}

    def check_shared() -> None:
        if not workdir.is_dir():
            raise UserError(f"--workdir={workdir} is not on storage that all processes share")

    found = distributed.on_first_process(look)
    distributed.all_or_none(check_shared, name="workdir")
    return found["finished"], found["resume"]


def _controls(config: Any, workdir: Path, parts: setup.Setup) -> dict[str, Any]:
    """Return the configs of the controls that train, checked before the run itself trains."""
    others = {
        name: controls.derive(config, name, workdir, parts.train.source.info)
        for name in controls.SUPERVISED_CONTROLS
        if name in config.representation.controls
    }
    for name, other in others.items():
        config_check.check(other)
        controls.check_data(other, name, parts.parallel)
    return others


def _run(
    parts: setup.Setup,
    others: dict[str, Any],
    workdir: Path,
    profile: tuple[int, int],
    began: float,
    encoder: str,
) -> None:
    """Train what is set up since `began`, then the controls `others`; write both results."""
    config = parts.config
    distributed.on_first_process(lambda: _begin_folder(workdir, config))
    running = loop.Loop(parts, workdir, profile)
    # What earlier commands trained counts too.
    began -= running.position.seconds

    def begin() -> None:
        run_folder.record(workdir, config.to_dict())
        if running.step < parts.steps:
            # The result of fewer steps, or of another config, is not that of this run.
            (workdir / "result.json").unlink(missing_ok=True)
        for line in header.header(parts):
            console.print(line, soft_wrap=True)
        for line in header.unseen_classes(parts):
            LOG.warning(line)

    distributed.on_first_process(begin)
    first = distributed.is_first()
    recorded = run_lock.record_ending(workdir, Interrupted) if first else contextlib.nullcontext()
    with recorded, interruption_at_once():
        try:
            state, position, reason = running.run()
            ending = final_report.Closing(parts, running, state, position, reason, began, encoder)
            ending.numbers()
            _train_controls(others, workdir, running.step, ending.missing)
            ending.rest()
        except Interrupted as stop:
            if stop.where:  # in a control, which says itself where it was saved
                raise
            where = f"saved at step {running.step} of {parts.steps}"
            raise Interrupted(str(stop), where) from None


def _begin_folder(workdir: Path, config: Any) -> None:
    """Write the config of a new run: by it the next start knows what else is in the folder."""
    if not (workdir / "config.json").exists():
        run_folder.record(workdir, config.to_dict())


def _check_profile(profile: tuple[int, int], step: int, steps: int) -> None:
    """Raise a `UserError` for a trace of which no step is left to train."""
    first, last = profile
    if last and not (first < steps and step < last):
        raise UserError(
            f"--profile={first}:{last}: nothing to trace, the run goes from step {step} to {steps}"
        )


def _train_controls(
    others: dict[str, Any], workdir: Path, step: int, missing: dict[str, str]
) -> None:
    """Train what the run is compared with; `missing` gets what could not be."""
    for name, other in others.items():
        console.print(f"for comparison, {controls.SUPERVISED_CONTROLS[name]}: {workdir / name}")
        if other.init_from.path:
            # Weights of the run's last step: where it has gone on, fine-tuning starts anew.
            other.init_from.checkpoint = str(step)
        began = time.monotonic()
        with distributed.optional(f"control '{name}'", missing, shared=True):
            train(other, workdir / name, "restart", show=False, encoder=name)
            progress.say_result(f"control '{name}'", {}, began)
