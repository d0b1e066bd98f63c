"""Connecting the processes of a run with each other, and ending where one of them is lost."""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cnnlab.errors import LostProcess, UserError, first_line
from cnnlab.launch import distributed, kv_store, process_environment
from cnnlab.utils.console import LOG, console

# Processes that fail with the same error reach the exit barrier within this time.
LEAVE_SECONDS = 3
# Words in the errors of the coordinator, Gloo and NCCL when a process is lost.
GONE = ("unavailable", "heartbeat", "connection", "gloo", "nccl", "aborted", "coordination")


def connect(
    coordinator: str = "",
    processes: int = 0,
    process: int = -1,
    *,
    initialization_timeout: int = 300,
    heartbeat_timeout: int = 10,
) -> None:
    """Initialize `jax.distributed`, before the first use of devices.

    Without arguments, coordinator and rank come from the environment of Slurm's srun, mpirun or a
    TPU pod. A process that was started alone does nothing.

    Args:
        coordinator: HOST:PORT at which process 0 listens.
        processes: number of processes; 1: a single-process run whatever the launcher says.
        process: rank of this process, from 0.
        initialization_timeout: seconds to wait for all processes.
        heartbeat_timeout: seconds without a heartbeat after which a process counts as lost.

    Raises:
        UserError: contradictory arguments, or a process that does not connect in time.
    """
    place = _place(coordinator, processes, process)
    options: dict[str, Any] = {}
    if place is not None:
        process_environment.check_address(place)
        gpus = process_environment.gpus(os.environ) if place.here > 1 else 0
        options = {
            "coordinator_address": place.coordinator,
            "num_processes": place.processes,
            "process_id": place.process,
            "local_device_ids": process_environment.local_devices(place, os.environ, gpus),
            "cluster_detection_method": "deactivate",
        }
    elif processes == 1 or not process_environment.tpu_pod(os.environ):
        return
    import jax

    # It would handle SIGTERM itself, and Orbax reports steps to it: see `stop_agreement`.
    jax.config.update("jax_enable_preemption_service", False)
    _wait(
        lambda: jax.distributed.initialize(
            # At its own timeout jax aborts the process without a helpful message.
            initialization_timeout=initialization_timeout + 60,
            heartbeat_timeout_seconds=heartbeat_timeout,
            shutdown_timeout_seconds=heartbeat_timeout,
            **options,
        ),
        initialization_timeout,
        place,
    )
    console.quiet = not distributed.is_first()
    LOG.info(
        "%d processes; if one dies, all end, and the same command resumes from the last checkpoint",
        kv_store.process_count(),
    )


def connect_devices() -> None:
    """Let the devices of several processes meet, without the line that Gloo prints of it."""
    import jax
    import jax.numpy as jnp
    from jax.experimental.multihost_utils import process_allgather
    from jax.sharding import NamedSharding, PartitionSpec

    if kv_store.process_count() == 1 or jax.default_backend() != "cpu":
        return
    sys.stdout.flush()
    every = NamedSharding(jax.make_mesh((jax.device_count(),), ("d",)), PartitionSpec("d"))
    stdout, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        # All devices, as a step does, and one of each process, as gathering does.
        ones = jax.make_array_from_callback((jax.device_count(),), every, lambda _: np.ones(1))
        jax.block_until_ready(jax.jit(jnp.sum)(ones))
        process_allgather(np.ones(1))
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)


def _wait(
    connecting: Callable[[], None], seconds: int, place: process_environment.Place | None
) -> None:
    failed: list[Exception] = []

    def run() -> None:
        try:
            connecting()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except BaseException:
        _leave_at_once()
        raise
    if not thread.is_alive() and not failed:
        return
    _leave_at_once()
    who = f"process {place.process} of {place.processes}" if place else "a process of a TPU pod"
    where = f" at {place.coordinator}" if place else ""
    why = first_line(failed[0]) if failed else f"not all connected within {seconds} s"
    raise LostProcess(
        f"{who} did not find the others{where}: {why}; check that all were started and that "
        "this machine can connect to that address"
    )


def _leave_at_once() -> None:
    """Exit without jax's shutdown barrier, which waits for the other processes."""

    def leave() -> None:
        sys.stdout.flush()
        os._exit(1)

    atexit.register(leave)


def _place(coordinator: str, processes: int, process: int) -> process_environment.Place | None:
    if processes == 1:
        return None
    if processes == 0 and process < 0:
        place = process_environment.find(os.environ, os.getppid(), coordinator)
        if place or not coordinator:
            return place
    given = {"--coordinator": coordinator, "--processes": processes > 0, "--process": process >= 0}
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise UserError(f"{' and '.join(missing)} missing: without a launcher all three are needed")
    if process >= processes:
        raise UserError(f"--process={process}: needs a number from 0 to {processes - 1}")
    return process_environment.Place(coordinator, processes, process)


@contextmanager
def explain_lost_process() -> Iterator[None]:
    """Raise `LostProcess`, one line, where an error within this context means that a peer is lost.

    A process that fails alone exits at once instead of waiting for the others.
    """
    try:
        yield
    except BaseException as error:
        if kv_store.process_count() > 1 and not kv_store.all_arrive(LEAVE_SECONDS):
            _leave_at_once()
        # Gloo sometimes raises ValueError.
        raised = isinstance(error, RuntimeError | ValueError) and not isinstance(error, UserError)
        gone = raised and any(word in str(error).lower() for word in GONE)
        if kv_store.process_count() == 1 or not gone:
            raise
        raise LostProcess(
            f"process {kv_store.process_index()} lost another process of the run "
            f"({first_line(error)}); "
            "start the same command again to resume from the last checkpoint"
        ) from error
