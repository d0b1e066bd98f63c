"""Key-value store shared by the processes of a run; the coordinator, process 0, keeps it.

It is the store of `jax.distributed`, which needs no devices. Each key is written once.
"""

import itertools
import json
from typing import Any

# Numbers the keys; all processes count alike because they call the same functions in one order.
_calls = itertools.count()
# Python handles no signal during the call, so each call waits no longer than this.
PATIENCE_MS = 500


def connection() -> Any:
    """Return jax's state of the connection; `client` is None in a single-process run."""
    # jax has no public name for its key-value store; Orbax uses this one too.
    from jax._src import distributed

    return distributed.global_state


def process_count() -> int:
    """Return the number of processes of the run."""
    state = connection()
    return 1 if state.client is None else state.num_processes


def process_index() -> int:
    """Return the rank of this process."""
    state = connection()
    return 0 if state.client is None else state.process_id


def put(key: str, value: Any) -> None:
    """Store a JSON-serializable value under a new key.

    Raises:
        RuntimeError: the key exists, or the connection is lost.
    """
    connection().client.key_value_set(key, json.dumps(value, default=float))


def wait(key: str) -> Any:
    """Return the value of a key; block until it is stored.

    Raises:
        RuntimeError: the connection is lost.
    """
    client = connection().client
    while True:
        try:
            return json.loads(client.blocking_key_value_get(key, PATIENCE_MS))
        except RuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def put_if_absent(key: str, value: Any) -> None:
    """Store a value unless the key exists."""
    try:
        put(key, value)
    except RuntimeError as error:
        if "ALREADY_EXISTS" not in str(error):
            raise


def try_get(key: str) -> Any:
    """Return the value of a key, None if there is none yet."""
    try:
        return json.loads(connection().client.key_value_try_get(key))
    except RuntimeError as error:
        if "NOT_FOUND" not in str(error):
            raise
        return None


def unique_key(what: str) -> str:
    """Return a new key, the same in every process."""
    return f"cnnlab/{what}/{next(_calls)}"


def all_arrive(seconds: int) -> bool:
    """Wait at a barrier; return whether all processes arrive within `seconds`."""
    try:
        connection().client.wait_at_barrier(unique_key("leave"), seconds * 1000)
    except RuntimeError:
        return False
    return True
