"""Rank, number of processes and coordinator, from the launcher's environment variables.

In this order: Slurm's `srun`, Open MPI's `mpirun` (and others built on PMIx), MPICH's `mpirun`
(Hydra). JAX detects TPU pods itself.
"""

import dataclasses
import importlib.util
import re
import socket
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.utils.registry import whole

# Below the ephemeral ports; two runs on a machine rarely choose the same one.
PORTS = range(20000, 32000)
# Name of the launcher -> variables of (processes, process, processes here, process among them).
MPI = {
    "Open MPI": (
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    "MPICH": ("PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
}
# Slurm sets one of these when it binds GPUs to processes.
BOUND = ("SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK", "SLURM_GPU_BIND")


@dataclasses.dataclass(frozen=True)
class Place:
    """Rank of a process in its run.

    Attributes:
        coordinator: HOST:PORT at which process 0 listens.
        processes: number of processes of the run.
        process: rank of this one.
        here: number of processes of the run on this machine.
        local: local rank of this one among them.
    """

    coordinator: str
    processes: int
    process: int
    here: int = 1
    local: int = 0


def find(environment: Mapping[str, str], parent: int, coordinator: str = "") -> Place | None:
    """Return this process's place, or None if it was started alone.

    Args:
        environment: variables of the process.
        parent: process id of the parent.
        coordinator: HOST:PORT, in place of the launcher's.

    Raises:
        UserError: several processes, but the address of process 0 is unknown.
    """
    # Without srun, a job has a number of tasks but one process.
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        place = _slurm(environment)
        return dataclasses.replace(place, coordinator=coordinator or place.coordinator)
    for launcher, (size, rank, here, local) in MPI.items():
        if int(environment.get(size, "1")) > 1 and rank in environment:
            place = Place(
                coordinator or environment.get("JAX_COORDINATOR_ADDRESS", ""),
                int(environment[size]),
                int(environment[rank]),
                int(environment.get(here, "1")),
                int(environment.get(local, "0")),
            )
            if place.coordinator:
                return place
            return dataclasses.replace(
                place, coordinator=_mpi(environment, place, launcher, parent)
            )
    return None


def _slurm(environment: Mapping[str, str]) -> Place:
    process = int(environment["SLURM_PROCID"])
    # "node[003-007,9],other": the first number of every bracket, then the first name.
    nodes = re.sub(r"\[(\w+)[^\]]*\]", r"\1", environment["SLURM_STEP_NODELIST"])
    # "2(x3),1": tasks of each node.
    counts: list[int] = []
    for count, times in re.findall(
        r"(\d+)(?:\(x(\d+)\))?", environment.get("SLURM_STEP_TASKS_PER_NODE", "1")
    ):
        counts += [int(count)] * int(times or 1)
    node = int(environment.get("SLURM_NODEID", "0"))
    step = f"{environment['SLURM_JOB_ID']}.{environment.get('SLURM_STEP_ID', '0')}"
    return Place(
        f"{nodes.partition(',')[0]}:{_port(step)}",
        int(environment["SLURM_STEP_NUM_TASKS"]),
        process,
        counts[node] if node < len(counts) else 1,
        int(environment.get("SLURM_LOCALID", "0")),
    )


def _mpi(environment: Mapping[str, str], place: Place, launcher: str, parent: int) -> str:
    # The same in all processes of one mpirun, and in no others.
    run = environment.get("PMIX_NAMESPACE") or environment.get("OMPI_MCA_ess_base_jobid")
    if place.here == place.processes:
        return f"localhost:{_port(run or str(parent))}"
    uri = environment.get("OMPI_MCA_orte_hnp_uri", "")
    # "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911", of the machine where mpirun runs.
    found = re.search(r"tcp://([\w.]+)", uri)
    if found and run:
        return f"{found[1]}:{_port(run)}"
    raise UserError(
        f"{launcher} started {place.processes} processes on several machines but gives no address "
        "of process 0: add --coordinator=HOST:PORT with its host name and a free port"
    )


def _port(name: str) -> int:
    return PORTS[zlib.crc32(name.encode()) % len(PORTS)]


def local_devices(place: Place, environment: Mapping[str, str], devices: int) -> list[int] | None:
    """Return the indices of the GPUs that the process uses, or None for all visible ones.

    A process that is alone on its machine uses all. Several divide them, unless the launcher has
    bound GPUs to each.
    """
    if place.here == 1 or devices < place.here or any(name in environment for name in BOUND):
        return None
    part = devices // place.here
    return list(range(place.local * part, (place.local + 1) * part))


def check_address(place: Place) -> None:
    """Raise a `UserError` for an invalid address, or one at which process 0 cannot listen."""
    host, colon, port = place.coordinator.rpartition(":")
    if not (host and colon and 0 < (whole(port) or 0) < 2**16):
        raise UserError(f"--coordinator={place.coordinator}: needs HOST:PORT, as in node1:29500")
    try:
        socket.getaddrinfo(host.strip("[]"), int(port))
    except OSError:
        raise UserError(
            f"--coordinator={place.coordinator}: this machine cannot find the host '{host}'"
        ) from None
    if place.process > 0:
        return
    with socket.socket() as probe:
        # As servers do: a recently closed port counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
        except OSError as error:
            raise UserError(
                f"--coordinator={place.coordinator}: process 0 cannot listen there "
                f"({error.strerror}); choose another port"
            ) from None


def tpu_pod(environment: Mapping[str, str]) -> bool:
    """Return whether this machine is part of a TPU pod, without initializing jax."""
    if environment.get("JAX_PLATFORMS", "tpu") != "tpu" or not importlib.util.find_spec("libtpu"):
        return False
    return Path("/dev/accel0").exists() or "," in environment.get("TPU_WORKER_HOSTNAMES", "")


def gpus(environment: Mapping[str, str]) -> int:
    """Return the number of GPUs visible to this process, without initializing jax."""
    if environment.get("JAX_PLATFORMS", "") == "cpu":
        return 0
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip()])
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    return listing.stdout.count("GPU ")
