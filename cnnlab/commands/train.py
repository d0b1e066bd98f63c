"""Train what a config describes, and go on where an interrupted run of the same folder stopped.

usage: python launch.py [train] --config=FILE[:VARIANT] --workdir=FOLDER [--config.KEY=VALUE ...]

Every entry of the config can be set from the command line; `python launch.py config
--config=FILE` lists them. The folder gets config.json, environment.json, metrics.jsonl,
TensorBoard events, checkpoints/, plots and, when the run is done, result.json. What the config has
in `evaluators` says how good the representation is; `controls` are evaluated beside it, those that
train (supervised, fine_tune) in folders of their own inside.

Ctrl-C, SIGTERM or a closed terminal saves and exits with status 130, 143 or 129; the same command
goes on from there. A second Ctrl-C exits at once. A run is done when its folder has a result.json;
what of it could not be computed (its `missing`), the same command tries again.

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

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.launching import define_launch, join, launch
from cnnlab.commands.parsing import define_path, shorten
from cnnlab.errors import UserError
from cnnlab.launch import jobs
from cnnlab.utils.console import console
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
    shorten(values)
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
    from cnnlab.launch import distributed, process_group, run_lock
    from cnnlab.runs.train import train
    from cnnlab.training.interruption import Interrupted

    try:
        with (
            run_lock.hold(workdir) if distributed.is_first() else contextlib.nullcontext(),
            process_group.explain_lost_process(),
        ):
            process_group.connect_devices()
            train(config, workdir, values.on_change, profile)
    except Interrupted as signal:
        console.print(f"{signal}; the same command goes on from there")
        # A job's record says how it ended, and its launcher ends all processes where one fails.
        return 0 if jobs.interrupted(str(signal)) else signal.status
    return 0
