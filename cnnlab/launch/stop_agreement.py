"""How the processes of a run agree to stop after the same step, whichever is told to.

`jax.experimental.multihost_utils.reached_preemption_sync_point` would do this for SIGTERM and for
steps alone: Orbax reports its steps to it, while a run has to hear a signal within an evaluation
too.
"""

import threading
from contextlib import suppress

from cnnlab.launch import kv_store

# Between two looks at whether a process wants to stop.
SECONDS = 0.25


class Agreement:
    """Asked alike by every process, says yes to all of them from the same time on.

    Each process tells how often it has asked; the answer is yes from the next time on that none
    of them has come to. Until then those that are behind go on.
    """

    def __init__(self) -> None:
        """Begin to watch; every process has to make it at the same place of the program."""
        self.reason = ""
        self._key = kv_store.fresh("stop")
        self._wanted = ""
        self._asked, self._from = 0, 0
        self._told = False
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def want(self, reason: str) -> None:
        """Ask all to stop; may be called by a signal's handler."""
        self._wanted = self._wanted or f"{reason} (process {kv_store.index()})"

    def reached(self) -> bool:
        """Whether to stop now; to be asked equally often by every process."""
        # Held while the processes count: none must pass the time that they agree on.
        with self._lock:
            self._asked += 1
            return bool(self._from) and self._asked >= self._from

    def close(self) -> None:
        """Stop watching; who still counts need not wait for this process."""
        self._closed.set()
        self._thread.join()
        if not self._told:
            kv_store.tell(f"{self._key}/{kv_store.index()}", self._asked)

    def _watch(self) -> None:
        # What a lost connection means, the thread that trains finds out and tells.
        with suppress(RuntimeError):
            self._agree()

    def _agree(self) -> None:
        while not self.reason:
            if self._closed.wait(SECONDS):
                return
            if self._wanted:
                kv_store.suggest(f"{self._key}/reason", self._wanted)
            self.reason = kv_store.look(f"{self._key}/reason") or ""
        with self._lock:
            self._told = True
            kv_store.tell(f"{self._key}/{kv_store.index()}", self._asked)
            asked = [kv_store.hear(f"{self._key}/{p}") for p in range(kv_store.count())]
            self._from = max(asked) + 1
