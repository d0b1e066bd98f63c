"""Preemption: all processes stop after the same step, whichever of them gets the signal.

`jax.experimental.multihost_utils.reached_preemption_sync_point` handles SIGTERM alone and counts
training steps, as Orbax reports them; a run must also react to a signal within an evaluation.
"""

import threading
from contextlib import suppress

from cnnlab.launch import kv_store

# Between two polls of the store.
SECONDS = 0.25


class Agreement:
    """Agreement of all processes on the poll at which they stop.

    Each process publishes how often it has polled. All stop at the first poll that none of them
    has reached; those that are behind continue until then.
    """

    def __init__(self) -> None:
        """Start watching; every process must create it at the same place of the program."""
        self.reason = ""
        self._key = kv_store.unique_key("stop")
        self._wanted = ""
        self._polls, self._from = 0, 0
        self._published = False
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def want(self, reason: str) -> None:
        """Ask all processes to stop; safe to call from a signal handler."""
        self._wanted = self._wanted or f"{reason} (process {kv_store.process_index()})"

    def reached(self) -> bool:
        """Return whether to stop now; every process must call it equally often."""
        # Held while the processes agree: none may pass the poll they choose.
        with self._lock:
            self._polls += 1
            return bool(self._from) and self._polls >= self._from

    def close(self) -> None:
        """Stop watching; publish the count, so that processes still agreeing do not wait."""
        self._closed.set()
        self._thread.join()
        if not self._published:
            kv_store.put(f"{self._key}/{kv_store.process_index()}", self._polls)

    def _watch(self) -> None:
        # The training thread reports a lost connection.
        with suppress(RuntimeError):
            self._agree()

    def _agree(self) -> None:
        while not self.reason:
            if self._closed.wait(SECONDS):
                return
            if self._wanted:
                kv_store.put_if_absent(f"{self._key}/reason", self._wanted)
            self.reason = kv_store.try_get(f"{self._key}/reason") or ""
        with self._lock:
            self._published = True
            kv_store.put(f"{self._key}/{kv_store.process_index()}", self._polls)
            polls = [kv_store.wait(f"{self._key}/{p}") for p in range(kv_store.process_count())]
            self._from = max(polls) + 1
