"""Multi-process runs: barriers, broadcast from process 0, all-or-none errors.

`process_group` connects the processes, which all run the same program. What one process alone may
do (writing, printing, deciding) goes through `on_first_process`; what each does for itself and may
fail goes through `all_or_none`. All processes must call these functions in the same order.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import LostProcess, UserError, first_line
from cnnlab.launch import kv_store
from cnnlab.utils.console import LOG

T = TypeVar("T")
# `gather_rows` sends at most this much of each process at a time.
CHUNK_BYTES = 2**25


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
            kv_store.put(key, {"error": first_line(error)})
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
        kv_store.put(f"{key}/{kv_store.process_index()}", first_line(error))
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
        reason = f"{kind}{first_line(error)}"
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
