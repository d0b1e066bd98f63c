"""The key-value store of a run: each key is written once, and waited for."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from process_group import Store

from cnnlab.launch import kv_store


@pytest.fixture
def two(monkeypatch):
    """Make this process the second of two; return the store."""
    state = SimpleNamespace(client=Store(), num_processes=2, process_id=1)
    monkeypatch.setattr(kv_store, "connection", lambda: state)
    return state.client


def test_a_key_is_written_once_and_waited_for(two):
    kv_store.put_if_absent("key", 1)
    kv_store.put_if_absent("key", 2)
    assert kv_store.try_get("key") == kv_store.wait("key") == 1
    assert kv_store.try_get("nothing") is None
    timer = threading.Timer(0.01, kv_store.put, ("late", {"a": np.float32(2)}))
    timer.start()
    assert kv_store.wait("late") == {"a": 2.0}
    for failing in (kv_store.wait, kv_store.try_get):
        two.key_value_try_get = two.blocking_key_value_get
        with pytest.raises(RuntimeError, match="UNAVAILABLE"):
            failing(*("gone",))
    two.key_value_set = two.wait_at_barrier
    with pytest.raises(RuntimeError, match="DEADLINE"):
        kv_store.put_if_absent("key", 3)
