"""What `connect` refuses and asks of jax, and how a lost process is explained; see test_group."""

import contextlib
import os
import threading
from types import SimpleNamespace

import jax
import pytest
from jax.experimental import multihost_utils
from process_group import Store

from cnnlab.errors import LostProcess, UserError
from cnnlab.launch import kv_store, process_group
from cnnlab.utils.console import console


@pytest.fixture
def two(monkeypatch):
    """Make this process the second of two; return the store."""
    state = SimpleNamespace(client=Store(), num_processes=2, process_id=1)
    monkeypatch.setattr(kv_store, "connection", lambda: state)
    return state.client


@pytest.fixture
def asked(monkeypatch):
    """Return what jax is asked to connect with, and keep the interpreter's end as it is."""
    found = {}
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *a, **keywords: found.update(keywords)
    )
    monkeypatch.setattr(console, "quiet", False)
    monkeypatch.setattr(
        process_group.atexit, "register", lambda function: found.update(left=function)
    )
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield found
    jax.config.update("jax_enable_preemption_service", True)


def test_alone_nothing_is_connected(asked):
    process_group.connect()
    process_group.connect(processes=1)
    assert not asked
    with pytest.raises(RuntimeError, match="of gloo"), process_group.explain_lost_process():
        raise RuntimeError("of gloo")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"coordinator": "n1:7"}, "--processes and --process missing"),
        ({"processes": 2, "process": 0}, "--coordinator missing"),
        ({"coordinator": "n1:7", "processes": 2}, "--process missing"),
        ({"coordinator": "n1:7", "processes": 2, "process": 2}, "needs a number from 0 to 1"),
    ],
)
def test_arguments_that_do_not_go_together(asked, given, message):
    with pytest.raises(UserError, match=message):
        process_group.connect(**given)
    assert not asked


def test_what_jax_is_asked(asked, monkeypatch):
    process_group.connect("localhost:7", 2, 1, initialization_timeout=5, heartbeat_timeout=4)
    assert asked["coordinator_address"] == "localhost:7"
    assert (asked["num_processes"], asked["process_id"], asked["local_device_ids"]) == (2, 1, None)
    assert asked["heartbeat_timeout_seconds"] == asked["shutdown_timeout_seconds"] == 4
    assert asked["initialization_timeout"] > 5
    asked.clear()
    monkeypatch.setattr(process_group.process_environment, "tpu_pod", lambda _: True)
    process_group.connect()
    assert "coordinator_address" not in asked and asked["heartbeat_timeout_seconds"] == 10


def test_what_jax_cannot_do_is_said_in_one_line(asked, monkeypatch):
    def late(**_):
        raise RuntimeError("called before\nany computation")

    monkeypatch.setattr(jax.distributed, "initialize", late)
    with pytest.raises(UserError, match=r"process 1 of 2 did not find .*: called before; check"):
        process_group.connect("localhost:7", 2, 1)
    assert asked["left"]


def test_ctrl_c_while_the_others_are_waited_for(asked, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process_group.connect("localhost:7", 2, 1)
    assert asked["left"]


def test_leaving_does_not_wait_for_jax(asked, monkeypatch):
    left = []
    monkeypatch.setattr(process_group.os, "_exit", left.append)
    process_group._leave_at_once()
    asked["left"]()
    assert left == [1]


def test_lost_process_is_explained_and_a_failure_of_ones_own_is_not(two, asked):
    for kind in (RuntimeError, ValueError):
        with (
            pytest.raises(LostProcess, match=r"process 1 lost another process .*last checkpoint"),
            process_group.explain_lost_process(),
        ):
            raise kind("UNKNOWN: Gloo AllGather failed: Connection closed by peer")
        assert asked.pop("left")
    with pytest.raises(ValueError, match="of my own"), process_group.explain_lost_process():
        raise ValueError("of my own")
    assert asked["left"]


@pytest.mark.parametrize("failed", [False, True])
def test_what_is_printed_while_devices_connect_is_hidden_and_nothing_else(
    two, failed, monkeypatch, capfd
):
    def gather(rows):
        os.write(1, b"[Gloo] Rank 0 is connected\n")
        if failed:
            raise RuntimeError("of gloo")

    monkeypatch.setattr(multihost_utils, "process_allgather", gather)
    with pytest.raises(RuntimeError) if failed else contextlib.nullcontext():
        process_group.connect_devices()
    os.write(1, b"results\n")
    assert capfd.readouterr().out == "results\n"
