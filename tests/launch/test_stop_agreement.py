"""Processes stop at the same question, however far ahead one of them is."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from process_group import Store

from cnnlab.launch import kv_store, stop_agreement
from cnnlab.training.interruption import interruption


@pytest.fixture
def store(monkeypatch):
    """Make this process the second of two; return what the first would write to."""
    state = SimpleNamespace(client=Store(), num_processes=2, process_id=1)
    monkeypatch.setattr(kv_store, "connection", lambda: state)
    monkeypatch.setattr(stop_agreement, "SECONDS", 0.001)
    return state.client.values


def wait_for(store, key):
    while key not in store:
        time.sleep(0.001)
    return json.loads(store[key])


def test_process_that_is_behind_goes_on_to_where_the_other_is(store):
    made = stop_agreement.Agreement()
    assert not any(made.reached() for _ in range(3))
    store[f"{made._key}/reason"] = '"SIGTERM (process 0)"'
    assert wait_for(store, f"{made._key}/1") == 3
    store[f"{made._key}/0"] = "7"
    # The fourth waits until it is known how far the other is.
    assert [made.reached() for _ in range(6)] == [False] * 4 + [True] * 2
    assert made.reason == "SIGTERM (process 0)"
    made.close()


def test_process_that_is_ahead_stops_at_its_next_question(store):
    with interruption() as flag:
        assert not flag()
        os.kill(os.getpid(), signal.SIGUSR2)
        key = flag._agreement._key
        assert wait_for(store, f"{key}/reason") == "SIGUSR2 (process 1)"
        assert wait_for(store, f"{key}/1") == 1
        assert not flag
        store[f"{key}/0"] = "0"
        assert flag() and flag.name == "SIGUSR2 (process 1)"


def test_who_is_done_does_not_keep_the_others_waiting(store):
    made = stop_agreement.Agreement()
    assert not made.reached()
    made.close()
    assert json.loads(store[f"{made._key}/1"]) == 1


def test_lost_connection_is_left_to_the_thread_that_trains(store, monkeypatch):
    def lost(_):
        raise RuntimeError("UNAVAILABLE: Socket closed")

    monkeypatch.setattr(kv_store, "try_get", lost)
    made = stop_agreement.Agreement()
    made._thread.join()
    assert not made.reached()
    made.close()
