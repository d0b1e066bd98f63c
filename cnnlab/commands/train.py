"""Train what a config describes, and go on where an interrupted run of the same folder stopped.

usage: python launch.py [train] --config=FILE[:VARIANT] --workdir=FOLDER [--config.KEY=VALUE ...]

Every entry of the config can be set from the command line; `python launch.py config
--config=FILE` lists them. The folder gets config.json, environment.json, metrics.jsonl,
TensorBoard events, checkpoints/, plots and, when the run is done, result.json. What the config has
in `evaluators` says how good the representation is; `controls` are evaluated beside it, those that
train (supervised, fine_tune) in folders of their own inside.

Ctrl-C or SIGTERM saves and exits with status 0; the same command goes on from there. A second
Ctrl-C exits at once. A run is done when its folder has a result.json; what of it
could not be computed (its `missing`), the same command tries again.

--launcher=slurm submits the same command as a job, --launcher=local starts its processes on this
machine; both start it again where it was killed or had to make room. Under srun or mpirun, and on
TPU pods, the command alone finds its peers; elsewhere start it on every host with --coordinator,
--processes and --process. The folder has to be on storage that all nodes share.

examples:
  python launch.py --config=configs/digits_lenet5.py --workdir=runs/digits
  python launch.py --config=configs/digits_lenet5.py:plain --workdir=runs/plain
  python launch.py train --config=configs/digits_lenet5.py --workdir=runs/slow \\
      --config.optimizer.learning_rate=0.0005 --config.steps=5000
  python launch.py train --config=configs/digits_lenet5.py --workdir=runs/trace --profile=100:120
  python launch.py train --config=configs/digits_lenet5.py --workdir=runs/far --launcher=slurm \\
      --nodes=2 --gpus_per_node=4 --partition=gpu --time=12:00:00 --dry_run
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.launching import define_launch, join, launch
from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.launch import jobs
from cnnlab.utils.console import LOG, console
from cnnlab.utils.files import is_text
from cnnlab.utils.registry import whole


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    config_flags.DEFINE_config_file(
        "config", None, "config file, with a variant after a colon", flag_values=values
    )
    define_path("workdir", "", "folder of the run; made if missing", values)
    flags.DEFINE_enum(
        "on_change",
        "stop",
        ["stop", "accept"],
        "what to do in a folder that was made with another config: show the difference and stop, "
        "or accept it and go on",
        flag_values=values,
    )
    flags.DEFINE_string(
        "profile",
        "",
        "FIRST:LAST, steps of which to write a jax profiler trace",
        flag_values=values,
    )
    define_launch(values)


def _steps(text: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    first, last = map(whole, text.partition(":")[::2])
    if first is None or last is None or first >= last:
        raise UserError(f"--profile={text}: needs two steps, the smaller first, as 100:120")
    return first, last


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Train."""
    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': flags begin with --")
    if not values["config"].present:
        raise UserError("--config is missing, as in --config=configs/digits_lenet5.py")
    if not values.workdir:
        raise UserError("--workdir is missing: the folder of the run, as in --workdir=runs/first")
    profile = _steps(values.profile)
    if any(profile) and not is_text(values.workdir):
        raise UserError(f"--profile writes to paths of UTF-8 only, not {values.workdir}")
    config = values.config
    if config.deterministic:
        # Read when the backend starts, hence before jax is asked for its devices.
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
        )

    from cnnlab.runs import controls

    controls.check(config)
    workdir = Path(values.workdir)
    if values.launcher != "none":
        return launch(values, config, workdir)
    join(values)
    from cnnlab.launch import distributed, run_lock
    from cnnlab.training.interruption import Interrupted

    try:
        with (
            run_lock.hold(workdir) if distributed.is_first() else contextlib.nullcontext(),
            distributed.explain_lost_process(),
        ):
            train(config, workdir, values.on_change, profile)
    except Interrupted as signal:
        console.print(f"{signal}; the same command goes on from there")
        jobs.interrupted(str(signal))
    return 0


def train(
    config: Any,
    workdir: Path,
    on_change: str,
    profile: tuple[int, int] = (0, 0),
    *,
    show: bool = True,
) -> None:
    """Train in a folder, and in folders inside it what the config compares it with.

    Args:
        config: of the run.
        workdir: its folder.
        on_change, profile: as the flags; on_change may also be `restart`: a folder that was made
            with another config is emptied.
        show: print the closing table.

    Raises:
        Interrupted: after a signal, with the state saved.
        UserError: for what cannot work.
    """
    from cnnlab import config as cfg
    from cnnlab import objectives
    from cnnlab.launch import distributed
    from cnnlab.runs import controls, final_report
    from cnnlab.training import class_names, config_check, run_folder, setup

    config_check.check(config)
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )

    def look() -> dict[str, bool]:
        changed = run_folder.open_run(
            workdir, config.to_dict(), on_change=on_change, complete=cfg.completed
        )
        for line in changed:
            LOG.info("config changed: %s", line)
        finished = run_folder.is_finished(workdir) and not changed
        if finished and show:
            final_report.show(workdir)
            console.print(f"{workdir} is finished; name another --workdir to train anew")
        return {"finished": finished, "resume": run_folder.has_checkpoints(workdir)}

    def see() -> None:
        if not workdir.is_dir():
            raise UserError(f"--workdir={workdir} is not on storage that all processes share")

    found = distributed.on_first_process(look)
    distributed.all_or_none(see, name="workdir")
    if found["finished"]:
        return
    try:
        names = class_names.of_run(workdir) if found["resume"] else ()
        parts = distributed.all_or_none(
            lambda: setup.make(config, experiment, resume=found["resume"], class_names=names),
            name="setup",
        )
        others = {
            name: controls.derive(config, name, workdir, parts.train.source.info)
            for name in controls.SUPERVISED_CONTROLS
            if name in config.representation.controls
        }
        for name, other in others.items():
            # Told now, not when the run is done.
            config_check.check(other)
            controls.check_data(other, name, parts.parallel)
    except UserError:
        # An empty folder is left to nobody.
        with contextlib.suppress(OSError):
            workdir.rmdir()
        raise
    _run(parts, others, workdir, profile)
    if show:
        distributed.on_first_process(lambda: final_report.show(workdir))


def _run(parts: Any, others: dict[str, Any], workdir: Path, profile: tuple[int, int]) -> None:
    """Train what is set up, then the controls `others`, and write the results of both."""
    import jax

    from cnnlab.launch import distributed, run_lock
    from cnnlab.runs import final_report
    from cnnlab.training import loop, run_folder
    from cnnlab.training.interruption import Interrupted

    config = parts.config
    running = loop.Loop(parts, workdir, profile)

    def begin() -> None:
        run_folder.record(workdir, config.to_dict())
        if running.step < parts.steps:
            # That of fewer steps, or of another config, is no result of this run.
            (workdir / "result.json").unlink(missing_ok=True)
        count = sum(x.size for x in jax.tree.leaves(parts.state.params))
        LOG.info("%s: %s parameters", config.model.name, f"{count:,}")

    distributed.on_first_process(begin)
    first = distributed.is_first()
    with run_lock.record_ending(workdir, Interrupted) if first else contextlib.nullcontext():
        try:
            state, position, reason = running.run()
        except Interrupted as signal:
            where = f"saved at step {running.step} of {parts.steps}"
            raise Interrupted(f"{signal}: {where}") from None
        ending = final_report.Closing(parts, running, state, position, reason)
        ending.numbers()
        _train_controls(others, workdir, running.step, ending.missing)
        ending.rest()


def _train_controls(
    others: dict[str, Any], workdir: Path, step: int, missing: dict[str, str]
) -> None:
    """Train what the run is compared with; `missing` gets what could not be."""
    from cnnlab.launch import distributed
    from cnnlab.runs import controls

    for name, other in others.items():
        console.print(f"for comparison, {controls.SUPERVISED_CONTROLS[name]}: {workdir / name}")
        if other.init_from.path:
            # A run that has gone on since is fine-tuned anew.
            other.init_from.checkpoint = str(step)
        with distributed.optional(f"control '{name}'", missing, shared=True):
            train(other, workdir / name, "restart", show=False)
