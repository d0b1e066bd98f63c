"""Resources of a job (nodes, processes, devices, time) and their flags."""

import dataclasses
import re
from typing import Any

from absl import flags

from cnnlab.errors import UserError


@dataclasses.dataclass(frozen=True)
class Resources:
    """Resources of a job; 0 or "" means the cluster's default.

    Attributes:
        nodes: machines.
        processes_per_node: processes on each; each trains on its share of the node's devices.
        gpus_per_node: GPUs on each node.
        cpus_per_process: CPU cores of each process.
        memory: of each node, in GB.
        partition, account, qos, constraint: as `sbatch` has them.
        time: limit of one start, in minutes.
        warning: seconds before the limit at which the run gets a signal to save and is requeued.
        requeues: how often a job that crashed or was killed is started again.
        setup: shell lines before the program, such as "module load cuda".
    """

    nodes: int = 1
    processes_per_node: int = 1
    gpus_per_node: int = 0
    cpus_per_process: int = 0
    memory: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    time: int = 60
    warning: int = 90
    requeues: int = 3
    setup: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """Processes in all."""
        return self.nodes * self.processes_per_node

    def plain(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return dataclasses.asdict(self)

    def asked(self) -> str:
        """Return the flags that differ from their defaults, and `--time`."""
        asked = [
            f"--{f.name}={getattr(self, f.name)}"
            for f in dataclasses.fields(self)
            if f.name == "time" or getattr(self, f.name) != f.default
        ]
        return " ".join(asked)


def define_resources(values: flags.FlagValues) -> None:
    """Define the flags that `resources_from` reads, and `--dry_run`."""

    def number(name: str, default: int, text: str, least: int = 0) -> None:
        flags.DEFINE_integer(name, default, text, lower_bound=least, flag_values=values)

    number("nodes", 1, "nodes of a job", 1)
    number("processes_per_node", 1, "processes on each node", 1)
    number("gpus_per_node", 0, "GPUs on each node")
    number("cpus_per_process", 0, "CPU cores of each process")
    number("memory", 0, "memory of each node, in GB")
    for name in ("partition", "account", "qos", "constraint"):
        flags.DEFINE_string(name, "", f"{name} of the cluster", flag_values=values)
    flags.DEFINE_string(
        "time", "60", "limit of one start: MINUTES, HH:MM:SS or D-HH:MM:SS", flag_values=values
    )
    number("warning", 90, "seconds before the limit at which a run saves, to be requeued", 1)
    number("requeues", 3, "how often a job that crashed or was killed is started again")
    flags.DEFINE_multi_string(
        "setup", [], "shell line before the program, as 'module load cuda'", flag_values=values
    )
    flags.DEFINE_boolean(
        "dry_run", False, "print the job script or the commands, and do nothing", flag_values=values
    )


def minutes(text: str) -> int:
    """Return a time limit in whole minutes, rounded up.

    Args:
        text: MINUTES, MINUTES:SECONDS, HH:MM:SS or D-HH:MM:SS, as Slurm reads it.

    Raises:
        UserError: anything else, or zero.
    """
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):(\d+):(\d+)|(\d+)(?::(\d+))?)", text.strip())
    days, hours, mins, seconds, alone, rest = (
        (int(g or 0) for g in found.groups()) if found else [0] * 6
    )
    total = ((days * 24 + hours) * 60 + mins + alone) * 60 + seconds + rest
    if not total:
        raise UserError(f"--time={text}: needs minutes or HH:MM:SS, as 90 or 1:30:00")
    return -(-total // 60)


def resources_from(values: flags.FlagValues) -> Resources:
    """Return the resources that the flags of `define_resources` request.

    Raises:
        UserError: an invalid time, or a warning that leaves no time to train.
    """
    names = {field.name for field in dataclasses.fields(Resources)} - {"time", "setup"}
    chosen: dict[str, Any] = {name: values[name].value for name in names}
    time = minutes(values.time)
    if values.warning >= time * 60:
        raise UserError(
            f"--warning={values.warning} seconds before --time={values.time}: no time to train is "
            "left; request more time or a shorter warning"
        )
    return Resources(**chosen, time=time, setup=tuple(values.setup))
