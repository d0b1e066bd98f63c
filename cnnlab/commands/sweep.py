"""Train a config many times over, with what a sweep file changes in it: a folder of trials.

usage: python launch.py sweep --config=FILE[:VARIANT] --sweep=FILE --workdir=FOLDER
           [--config.KEY=VALUE ...] [--parallel=N] [--repeat=N] [--launcher=slurm]
       python launch.py sweep --report --workdir=FOLDER

A sweep file, as those in configs/sweeps, has a get_sweep() that returns a grid, zipped lists,
random draws or products of them. Every point is checked before anything runs. Each trial is an
ordinary run folder, FOLDER/trials/0007, with its output in FOLDER/logs/0007.log.

Ctrl-C or SIGTERM lets the trials save and stop; the same command, or --workdir=FOLDER alone, goes
on from there. Several of these commands may work on one folder at once, on one machine or on
several that share the file system. Failed trials are kept, listed and not repeated, unless
--retry_failed. With --launcher=slurm the trials are one array job.

With --search, Optuna chooses the points from the same file's space, in the light of --metric, and
--pruner gives up early what does badly.

examples:
  python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/sweep --parallel=2 \\
      --sweep=configs/sweeps/learning_rate.py --config.steps=500
  python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/seeds --repeat=5 \\
      --sweep=configs/sweeps/optimizers.py --launcher=slurm --partition=gpu --gpus_per_node=1
  python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/search --search=tpe \\
      --pruner=median --trials=50 --sweep=configs/sweeps/random.py
  python launch.py sweep --report --workdir=runs/sweep
"""

import os
import shlex
import signal
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.launch.resources import define_resources, resources_from
from cnnlab.utils.console import LOG, console, say
from cnnlab.utils.installation import COMMAND


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    config_flags.DEFINE_config_file(
        "config", None, "config file, with a variant after a colon", flag_values=values
    )
    define_path("workdir", "", "folder of the sweep; made if missing", values)
    define_path("sweep", "", "sweep file: a Python file with get_sweep()", values)
    flags.DEFINE_string(
        "metric",
        "",
        "what trials are compared by; empty: what the config keeps the best checkpoint by",
        flag_values=values,
    )
    for name, choices, text in (
        ("launcher", ["local", "slurm"], "run trials here, or submit them as one array job"),
        ("search", ["", "tpe", "random"], "let Optuna choose the points"),
        ("pruner", ["", "median", "asha"], "give up trials early that do badly; needs --search"),
        ("mode", ["", "max", "min"], "whether more or less of the metric is better"),
    ):
        flags.DEFINE_enum(name, choices[0], choices, text, flag_values=values)
    flags.DEFINE_integer(
        "parallel",
        None,
        "trials that run at once (default: 1; under Slurm all)",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "repeat", 1, "runs of each point, with as many seeds", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "trials", 0, "how many trials a search makes", lower_bound=0, flag_values=values
    )
    for name, text in {
        "retry_failed": "try failed trials again",
        "report": "write tables and figures of the trials there are, and print the best",
        "worker": "run one trial of the sweep in --workdir: what an array job does",
    }.items():
        flags.DEFINE_boolean(name, False, text, flag_values=values)
    define_resources(values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Run a sweep, submit it, or report on it."""
    from cnnlab.sweeps.folder import SweepFolder

    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': flags begin with --")
    if not values.workdir:
        raise UserError("--workdir is missing: the folder of the sweep, as in --workdir=runs/sweep")
    path = Path(values.workdir)
    if values.report:
        from cnnlab.sweeps import report

        report.write(SweepFolder.open(path), values.metric, values.mode)
        return 0
    if values.worker:
        return _work(SweepFolder.open(path), limit=1)
    folder = _folder(values, path)
    if values.dry_run and values.launcher == "local":
        return _show(folder)
    if values.retry_failed:
        LOG.info("%d failed trials are tried again", folder.retry_failed())
    if values.launcher == "slurm":
        return _submit(folder, values)
    return _work(folder, values.parallel or 1)


def _folder(values: flags.FlagValues, path: Path) -> Any:
    from cnnlab.sweeps.folder import SweepFolder

    if not values["config"].present and not values.sweep and (path / "sweep.json").exists():
        return SweepFolder.open(path)
    settings = _settings(values)
    return SweepFolder(path, settings) if values.dry_run else SweepFolder.create(path, settings)


def _settings(values: flags.FlagValues) -> Any:
    """Return what the flags ask for, every point checked."""
    from cnnlab.sweeps import points, trial_metric
    from cnnlab.sweeps import space as space_lib
    from cnnlab.sweeps.settings import Settings
    from cnnlab.sweeps.values import plain
    from cnnlab.training.run_folder import flatten

    if not values["config"].present:
        raise UserError("--config is missing, as in --config=configs/digits_lenet5.py")
    if not values.sweep:
        raise UserError("--sweep is missing, as in --sweep=configs/sweeps/learning_rate.py")
    if values.search and not values.trials:
        raise UserError("--trials is missing: how many trials the search makes, as --trials=50")
    if values.search and values.repeat > 1:
        raise UserError(
            f"--repeat={values.repeat} with --search: a search compares single runs; repeat its "
            "best point in a sweep of its own"
        )
    for name in () if values.search else ("pruner", "trials"):
        if values[name].value:
            raise UserError(f"--{name} needs --search=tpe or --search=random")
    config: Any = values["config"]
    overrides = {
        key: plain(value.to_dict() if hasattr(value, "to_dict") else value, key)
        for key, value in config.override_values.items()
    }
    base = flatten(values.config.to_dict())
    metric = None
    if values.metric or values.search or base["checkpoint.best"]:
        metric = trial_metric.metric_for(base, values.metric, values.mode)
    space = points.load(Path(values.sweep))
    tried = list(points.corners(space)) if values.search else space.points()
    unique, repeated = points.check(tried, config.config_filename, overrides)
    if repeated and not values.search:
        LOG.warning("%d of %d points repeat another: each is run once", repeated, len(tried))
    space_lib.check_count(len(unique) * values.repeat)
    if values.repeat > 1 and any("seed" in point for point in unique):
        raise UserError(
            f"--repeat={values.repeat} sets the seed, and so does the sweep: choose one"
        )
    return Settings(
        config=config.config_filename,
        overrides=overrides,
        base=base,
        sweep=values.sweep,
        space=space,
        points=[] if values.search else unique,
        repeat=values.repeat,
        metric=metric.name if metric else "",
        mode=metric.mode if metric else "max",
        search=values.search,
        pruner=values.pruner,
        trials=values.trials,
    )


def _show(folder: Any) -> int:
    """Print the commands of the trials."""
    from cnnlab.sweeps.trial import command

    if folder.settings.search:
        raise UserError("--dry_run: what a search tries is not known before it runs")
    for trial in folder.trials():
        say(shlex.join(command(folder, trial)))
    return 0


def _source(folder: Any, first: int = 0) -> Any:
    from cnnlab.sweeps.workers import FixedSource

    if not folder.settings.search:
        return FixedSource(folder, first)
    from cnnlab.sweeps.adaptive import AdaptiveSource

    return AdaptiveSource(folder)


def _work(folder: Any, parallel: int = 1, limit: int = 0) -> int:
    """Run trials here; return the exit status: 1 if there are failed ones."""
    from cnnlab.sweeps import live, trial_metric, workers

    settings = folder.settings
    metric = None
    if settings.metric:
        metric = trial_metric.metric_for(settings.base, settings.metric, settings.mode)
    # Elements of an array job start at different trials: fewer meet at the same lock.
    first = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0")) if limit else 0
    display = live.Display(folder, metric=metric)
    if not Path(settings.config.partition(":")[0]).is_file():
        raise UserError(
            f"no config file '{settings.config}' from here: start in the directory that the sweep "
            "was first started in"
        )
    source = _source(folder, first)
    ending = workers.work(folder, source, parallel, limit=limit, display=display)
    if limit:
        return _leave(ending)
    console.print(live.summary(folder), soft_wrap=True)
    if ending.signal:
        console.print(f"{ending.signal}: the same command resumes from there")
        return 0
    workdir = shlex.quote(f"--workdir={folder.path}")
    console.print(f"{' '.join(COMMAND)} sweep --report {workdir}", soft_wrap=True, markup=False)
    return int("failed" in folder.states().values())


def _leave(ending: Any) -> int:
    """Return the exit status of one element of an array job, and note what it was stopped by."""
    from cnnlab.launch import jobs
    from cnnlab.sweeps.trial import SAVED

    if not ending.signal:
        # A trial that failed has its state; nothing is wrong with the job.
        return 0
    saved = [words for words in ending.stopped if SAVED in words]
    if ending.stopped and not saved:
        return 128 + signal.Signals[ending.signal]
    jobs.interrupted(f"{ending.signal}: {saved[0] if saved else 'no trial was running'}")
    return 0


def _submit(folder: Any, values: flags.FlagValues) -> int:
    """Submit one array job with an element for every trial that is left."""
    from cnnlab.launch import slurm
    from cnnlab.sweeps.folder import ENDED

    resources = resources_from(values)
    if resources.processes > 1:
        raise UserError(
            f"--nodes={resources.nodes} --processes_per_node={resources.processes_per_node}: each "
            "trial of a sweep is one process; it can have several GPUs (--gpus_per_node)"
        )
    settings = folder.settings
    states = list(folder.states().values())
    total = settings.trials if settings.search else len(states)
    left = total - sum(state in (*ENDED, "running") for state in states)
    if left < 1:
        console.print(f"nothing to submit: {len(states)} trials have ended or are running")
        return 0
    command = ["sweep", "--worker", f"--workdir={folder.path}"]
    options: Any = {"count": left, "parallel": values.parallel or 0, "name": "cnnlab-sweep"}
    if values.dry_run:
        say(slurm.script(command, folder.path, resources, **options))
        return 0
    _source(folder)
    job = slurm.submit(command, folder.path, resources, **options)
    console.print(f"job {job}: {left} trials; logs in {folder.path}/jobs", soft_wrap=True)
    workdir = shlex.quote(f"--workdir={folder.path}")
    console.print(f"{' '.join(COMMAND)} status {workdir}", soft_wrap=True, markup=False)
    return 0
