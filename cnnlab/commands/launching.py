"""The part of `train` that starts it elsewhere: its flags, and what is checked before."""

import contextlib
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import flags

from cnnlab.errors import UserError
from cnnlab.launch import jobs, local, slurm, slurm_queue
from cnnlab.launch.resources import Resources, define_resources, resources_from
from cnnlab.utils.console import LOG, console
from cnnlab.utils.installation import COMMAND

PEERS = ("coordinator", "processes", "process")
# What Slurm gives as the reason for waiting when a job can never start as it was asked for.
HOPELESS = (
    "PartitionConfig",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "BadConstraints",
    "InvalidAccount",
)


def define_launch(values: flags.FlagValues) -> None:
    """Define the flags that say where to train, and with which other processes."""
    flags.DEFINE_enum(
        "launcher",
        "none",
        ["none", "local", "slurm"],
        "none: train here, in this process; local: in processes on this machine; slurm: in a job",
        flag_values=values,
    )
    define_resources(values)
    flags.DEFINE_string(
        "coordinator",
        "",
        "HOST:PORT of process 0, where no launcher tells it",
        flag_values=values,
    )
    flags.DEFINE_integer("processes", 0, "how many processes train, likewise", flag_values=values)
    flags.DEFINE_integer("process", -1, "which of them this is, from 0", flag_values=values)
    flags.DEFINE_integer(
        "init_timeout",
        300,
        "seconds to wait for the other processes",
        lower_bound=1,
        flag_values=values,
    )


def join(values: flags.FlagValues) -> None:
    """Find the other processes of this run, if there are any."""
    from cnnlab.launch import process_group

    for name, least in (("processes", 1), ("process", 0)):
        value = getattr(values, name)
        if values[name].present and value < least:
            raise UserError(f"--{name}={value}: needs to be at least {least}")
    process_group.connect(
        values.coordinator,
        values.processes,
        values.process,
        initialization_timeout=values.init_timeout,
    )


def launch(values: flags.FlagValues, config: Any, workdir: Path) -> int:
    """Start what the command line describes with another launcher than `none`.

    Raises:
        UserError: for what cannot work, before anything is started.
    """
    for name in PEERS:
        if values[name].present:
            raise UserError(f"--{name} is for processes without a launcher; leave it out")
    resources = resources_from(values)
    command = ["train", *without_launch(sys.argv[1:])]
    if values.launcher == "local":
        return local.launch(command, workdir, resources, dry_run=values.dry_run)
    if values.dry_run:
        print(slurm.script(command, workdir, resources, name=workdir.name))
        return 0
    from cnnlab.training import run_folder

    changed = _check(values, config, workdir)
    if run_folder.is_finished(workdir) and not changed:
        console.print(f"{workdir} is finished; name another --workdir to train anew")
        return 0
    try:
        job = slurm.submit(command, workdir, resources, name=workdir.name)
    except UserError:
        # Nothing was written: the empty folder is removed.
        with contextlib.suppress(OSError):
            workdir.rmdir()
        raise
    _tell(job, workdir, resources)
    return 0


def without_launch(arguments: Iterable[str]) -> list[str]:
    """Return arguments without the flags of this file: what each process is to be given."""
    defined = flags.FlagValues()
    define_launch(defined)
    own = set(defined) - {"init_timeout"}
    kept, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.removeprefix("-").removeprefix("-").partition("=")
        dashed = argument.startswith("-")
        if skip:
            skip = False
        elif dashed and name in own:
            skip = not equals and not defined[name].boolean
        elif not (dashed and name.removeprefix("no") in own):
            kept.append(argument)
    return kept


def _check(values: flags.FlagValues, config: Any, workdir: Path) -> list[str]:
    """Find out here what would fail there, in a job that may wait for days.

    Returns:
        the differences to the config that the folder was made with.
    """
    from cnnlab import config as cfg
    from cnnlab.training import config_check, run_folder

    config_check.check(config)
    there = slurm_queue.queued()
    for record in jobs.records(workdir):
        if record["id"] in there:
            raise UserError(
                f"job {record['id']} for {workdir} is {there[record['id']].state.lower()}: two "
                f"cannot train in one folder; scancel {record['id']}, or name another --workdir"
            )
    changed = run_folder.open_run(
        workdir, config.to_dict(), on_change=values.on_change, complete=cfg.completed
    )
    if config.steps:
        run_folder.check_length(workdir, run_folder.last_step(workdir), config.steps)
    return changed


def _tell(job: str, workdir: Path, resources: Resources) -> None:
    console.print(f"job {job}: {resources.processes} process(es) on {resources.nodes} node(s)")
    console.print(f"  logs:   {workdir / jobs.FOLDER}/{job}_*_log.err", soft_wrap=True)
    folder = shlex.quote(f"--workdir={workdir}")
    console.print(f"  state:  {' '.join(COMMAND)} status {folder}", soft_wrap=True, markup=False)
    console.print(f"  cancel: scancel {job}")
    entry = slurm_queue.queued().get(job)
    if entry and entry.reason in HOPELESS:
        LOG.warning(
            "it waits for %s: the cluster never starts a job that asks for %s",
            entry.reason,
            resources.asked(),
        )
