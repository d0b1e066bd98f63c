"""Multi-process runs: initialization, barriers, broadcast from process 0, all-or-none errors.

Every process runs the same program. What one process alone may do (writing, printing, deciding)
goes through `on_first_process`; what each does for itself and may fail goes through `all_or_none`.
All processes must call these functions in the same order.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import LostProcess, UserError
from cnnlab.launch import kv_store, process_environment
from cnnlab.utils.console import LOG, console

T = TypeVar("T")
# `gather_rows` sends at most this much of each process at a time.
CHUNK_BYTES = 2**25
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
    console.quiet = not is_first()
    LOG.info(
        "%d processes; if one dies, all end, and the same command resumes from the last checkpoint",
        kv_store.process_count(),
    )


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
    why = _line(failed[0]) if failed else f"not all connected within {seconds} s"
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


def is_first() -> bool:
    """Return whether this is process 0, which writes, prints and decides."""
    return kv_store.process_index() == 0


def on_first_process(function: Callable[[], Any]) -> Any:
    """Call a function in process 0; return its JSON-serializable value in every process.

    Raises:
        UserError: in every other process, if it fails in process 0.
    """
    if kv_store.process_count() == 1:
        return function()
    key = kv_store.unique_key("first")
    if is_first():
        try:
            value = function()
        except BaseException as error:
            kv_store.put(key, {"error": _line(error)})
            raise
        kv_store.put(key, {"value": value})
    answer = kv_store.wait(key)
    if "error" in answer:
        raise UserError(f"process 0: {answer['error']}")
    return answer["value"]


def all_or_none(
    function: Callable[[], T], failure: type[UserError] = UserError, *, name: str = "together"
) -> T:
    """Call a function in every process; return its value if it failed in none.

    Args:
        function: must not wait for other processes.
        failure: exception to raise where another process failed.
        name: of the barrier, part of its key.

    Raises:
        failure: if the function failed in another process only.
    """
    if kv_store.process_count() == 1:
        return function()
    key = kv_store.unique_key(name)
    try:
        value = function()
    except BaseException as error:
        kv_store.put(f"{key}/{kv_store.process_index()}", _line(error))
        raise
    kv_store.put(f"{key}/{kv_store.process_index()}", "")
    for process in range(kv_store.process_count()):
        failed = kv_store.wait(f"{key}/{process}")
        if failed:
            raise failure(f"process {process}: {failed}")
    return value


@contextmanager
def optional(
    what: str, missing: dict[str, str] | None = None, *, shared: bool = False
) -> Iterator[None]:
    """Log an exception within this context as a warning that `what` is missing.

    Args:
        what: name of the optional result.
        missing: gets the reason under `what`.
        shared: all processes compute it in collectives; with several processes the exception is
            raised, because the others would wait for this one.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, LostProcess) or (shared and kv_store.process_count() > 1):
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        reason = f"{kind}{_line(error)}"
        LOG.warning("%s is missing: %s", what, reason)
        if missing is not None:
            missing[what] = reason


def optional_on_first_process(
    function: Callable[[], T], what: str, missing: dict[str, str] | None, *, default: T
) -> T:
    """Call a function in process 0 within `optional`; return the default if it fails."""

    def guarded() -> T:
        with optional(what, missing):
            return function()
        return default

    return on_first_process(guarded)


def barrier(name: str) -> None:
    """Wait until every process has reached this barrier."""
    if kv_store.process_count() > 1:
        all_or_none(lambda: None, name=name)


def gather_rows(tree: PyTree) -> PyTree:
    """All-gather host arrays along their first axis, in the order of the ranks.

    Args:
        tree: arrays [n, ...]; n is the same for all arrays of a process and may differ between
            processes.
    """
    if kv_store.process_count() == 1:
        return tree
    import jax
    from jax.experimental.multihost_utils import process_allgather

    def gather(rows: np.ndarray) -> np.ndarray:
        counts = process_allgather(np.array(len(rows), np.int32))
        # As bytes: jax would narrow 64-bit types.
        numbers = int(np.prod(rows.shape[1:], dtype=int))
        plain = np.ascontiguousarray(rows).reshape(len(rows), numbers).view(np.uint8)
        width = plain.shape[1]
        size = max(1, min(int(counts.max(initial=0)), CHUNK_BYTES // max(1, width)))
        parts: list[list[np.ndarray]] = [[] for _ in counts]
        for start in range(0, int(counts.max(initial=0)), size):
            chunk = np.zeros((size, width), np.uint8)
            mine = plain[start : start + size]
            chunk[: len(mine)] = mine
            for process, found in enumerate(process_allgather(chunk)):
                parts[process].append(found[: max(0, counts[process] - start)])
        joined = np.concatenate([p for part in parts for p in part] or [plain])
        return np.ascontiguousarray(joined).view(rows.dtype).reshape(-1, *rows.shape[1:])

    return jax.tree.map(gather, tree)


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
            f"process {kv_store.process_index()} lost another process of the run ({_line(error)}); "
            "start the same command again to resume from the last checkpoint"
        ) from error


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:500]
