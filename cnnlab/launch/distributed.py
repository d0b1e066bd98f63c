"""The processes of one run: how they find each other, agree, and leave files to the first.

Every process runs the same program. What only one may do (writing, printing, deciding) is given
to `first`; what each does for itself and may fail in goes through `together`. All processes have
to call these functions in the same order.
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
# Of `gather_rows`: the devices hold so much of every process at a time.
CHUNK_BYTES = 2**25
# All that fail alike come to the end of it within this time.
LEAVE_SECONDS = 3
# In what jax raises when a process is gone: of its coordinator, of Gloo and of NCCL.
GONE = ("unavailable", "heartbeat", "connection", "gloo", "nccl", "aborted", "coordination")


def connect(
    coordinator: str = "",
    processes: int = 0,
    process: int = -1,
    *,
    initialization_timeout: int = 300,
    heartbeat_timeout: int = 10,
) -> None:
    """Join the other processes of this run, before jax is asked for devices.

    Without arguments they are found by what Slurm's srun, mpirun or a TPU pod tell. A process
    that was started alone does nothing.

    Args:
        coordinator: HOST:PORT at which process 0 listens.
        processes: how many there are; 1 for a process that is alone whatever its launcher says.
        process: number of this one, from 0.
        initialization_timeout: seconds to wait for all to come.
        heartbeat_timeout: seconds after which a process that says nothing is given up.

    Raises:
        UserError: for arguments that do not go together, or if a process does not come.
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

    # It would take SIGTERM for itself, and Orbax tells it steps where the loop counts asks.
    jax.config.update("jax_enable_preemption_service", False)
    _wait(
        lambda: jax.distributed.initialize(
            # jax ends the process when the time is over, without a word that helps.
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
        "%d processes; if one of them dies all end, and the same command goes on from the last "
        "checkpoint",
        kv_store.count(),
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
    why = _line(failed[0]) if failed else f"not all came within {seconds} s"
    raise LostProcess(
        f"{who} did not find the others{where}: {why}; see whether all were started, and whether "
        "this machine may connect to that address"
    )


def _leave_at_once() -> None:
    """Let the interpreter end without jax, which would wait for the other processes."""

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
        raise UserError(f"{' and '.join(missing)} missing: processes without a launcher need all")
    if process >= processes:
        raise UserError(f"--process={process}: needs a number from 0 to {processes - 1}")
    return process_environment.Place(coordinator, processes, process)


def is_first() -> bool:
    """Whether this is the process that writes, prints and decides."""
    return kv_store.index() == 0


def first(function: Callable[[], Any]) -> Any:
    """Let process 0 call a function; return its JSON-able value in every process.

    Raises:
        UserError: in every process, if it fails in process 0.
    """
    if kv_store.count() == 1:
        return function()
    key = kv_store.fresh("first")
    if is_first():
        try:
            value = function()
        except BaseException as error:
            kv_store.tell(key, {"error": _line(error)})
            raise
        kv_store.tell(key, {"value": value})
    answer = kv_store.hear(key)
    if "error" in answer:
        raise UserError(f"process 0: {answer['error']}")
    return answer["value"]


def together(
    function: Callable[[], T], failure: type[UserError] = UserError, *, name: str = "together"
) -> T:
    """Call a function in every process; return this one's value if it failed in none.

    Args:
        function: needs nothing of the other processes.
        failure: what to raise, with one argument.
        name: of this place in the program.

    Raises:
        failure: in every process in which it did not fail, if it failed in another.
    """
    if kv_store.count() == 1:
        return function()
    key = kv_store.fresh(name)
    try:
        value = function()
    except BaseException as error:
        kv_store.tell(f"{key}/{kv_store.index()}", _line(error))
        raise
    kv_store.tell(f"{key}/{kv_store.index()}", "")
    for process in range(kv_store.count()):
        failed = kv_store.hear(f"{key}/{process}")
        if failed:
            raise failure(f"process {process}: {failed}")
    return value


@contextmanager
def optional(
    what: str, missing: dict[str, str] | None = None, *, shared: bool = False
) -> Iterator[None]:
    """Within this context an exception costs `what` alone: it becomes a warning that names it.

    Args:
        what: is missing then.
        missing: gets the reason under `what`.
        shared: the processes compute it together; where there are several, the exception is
            raised, for the others would wait for this one.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, LostProcess) or (shared and kv_store.count() > 1):
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        reason = f"{kind}{_line(error)}"
        LOG.warning("%s is missing: %s", what, reason)
        if missing is not None:
            missing[what] = reason


def first_optional(
    function: Callable[[], T], what: str, missing: dict[str, str] | None, *, default: T
) -> T:
    """Let process 0 call a function within `optional`; return the default if it fails."""

    def guarded() -> T:
        with optional(what, missing):
            return function()
        return default

    return first(guarded)


def barrier(name: str) -> None:
    """Wait until every process has come here."""
    if kv_store.count() > 1:
        together(lambda: None, name=name)


def gather_rows(tree: PyTree) -> PyTree:
    """Return every process's rows of host arrays, in the order of the processes.

    Args:
        tree: arrays [n, ...], of one dtype and number of rows in a process; the number may
            differ from one process to another.
    """
    if kv_store.count() == 1:
        return tree
    import jax
    from jax.experimental.multihost_utils import process_allgather

    def gather(rows: np.ndarray) -> np.ndarray:
        counts = process_allgather(np.array(len(rows), np.int32))
        # As bytes: jax would narrow what is of 64 bits.
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
def explained() -> Iterator[None]:
    """Within this context, say in a line what it means that another process is gone.

    A process that fails alone ends at once, where it would wait for the others to end too.
    """
    try:
        yield
    except BaseException as error:
        if kv_store.count() > 1 and not kv_store.all_leave(LEAVE_SECONDS):
            _leave_at_once()
        # Gloo's are a ValueError now and then.
        raised = isinstance(error, RuntimeError | ValueError) and not isinstance(error, UserError)
        gone = raised and any(word in str(error).lower() for word in GONE)
        if kv_store.count() == 1 or not gone:
            raise
        raise LostProcess(
            f"process {kv_store.index()} lost another process of the run ({_line(error)}); started "
            "again with the same command, the run goes on from the last checkpoint"
        ) from error


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:500]
