"""A board on which the processes of a run leave notes for each other, kept by process 0.

It is the key-value store of `jax.distributed`, which works before the devices do and beside them.
Every key is written once.
"""

import itertools
import json
from typing import Any

# Numbers what the processes agree on; all count alike, as they call the same functions.
_calls = itertools.count()
# Python hears no signal while it waits for an answer, hence it waits this long at a time.
PATIENCE_MS = 500


def connection() -> Any:
    """Return what jax keeps of the connection; its `client` is None in a process that is alone."""
    # Of the key-value store behind it jax has no public name; Orbax uses this one too.
    from jax._src import distributed

    return distributed.global_state


def count() -> int:
    """Return the number of processes of this run."""
    state = connection()
    return 1 if state.client is None else state.num_processes


def index() -> int:
    """Return the number of this process."""
    state = connection()
    return 0 if state.client is None else state.process_id


def tell(key: str, value: Any) -> None:
    """Let the others know a JSON-able value under a key that is used once."""
    connection().client.key_value_set(key, json.dumps(value, default=float))


def hear(key: str) -> Any:
    """Wait for what a process tells under a key, however long it takes while that one lives."""
    client = connection().client
    while True:
        try:
            return json.loads(client.blocking_key_value_get(key, PATIENCE_MS))
        except RuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def suggest(key: str, value: Any) -> None:
    """Let the others know a value, unless one of them has done so under this key."""
    try:
        tell(key, value)
    except RuntimeError as error:
        if "ALREADY_EXISTS" not in str(error):
            raise


def look(key: str) -> Any:
    """Return what is told under a key by now, None if nothing is."""
    try:
        return json.loads(connection().client.key_value_try_get(key))
    except RuntimeError as error:
        if "NOT_FOUND" not in str(error):
            raise
        return None


def fresh(what: str) -> str:
    """Return a key that was not used before, the same in every process."""
    return f"cnnlab/{what}/{next(_calls)}"


def all_leave(seconds: int) -> bool:
    """Return whether every process comes here within some seconds."""
    try:
        connection().client.wait_at_barrier(fresh("leave"), seconds * 1000)
    except RuntimeError:
        return False
    return True
