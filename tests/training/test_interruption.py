"""Signals: the first is noted, and outside the context nothing has changed."""

import os
import signal

import pytest

from cnnlab.training.interruption import Interrupted, interruption


def test_signal_is_noted_and_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with interruption() as flag:
        assert not flag
        os.kill(os.getpid(), signal.SIGTERM)
        assert flag()
        assert flag.name == "SIGTERM"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_warning_of_a_time_limit_asks_to_stop_too():
    with interruption() as flag:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert flag() and flag.name == "SIGUSR2"


def test_second_interrupt_leaves_at_once(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with interruption():
        os.kill(os.getpid(), signal.SIGINT)
        assert left == []
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [130]


def test_terminate_after_an_interrupt_still_saves(monkeypatch):
    monkeypatch.setattr(os, "_exit", lambda _: (_ for _ in ()).throw(AssertionError))
    with interruption() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert flag.name == "SIGTERM"


@pytest.mark.parametrize(
    ("name", "status"),
    [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR2 (process 1)", 128 + signal.SIGUSR2)],
)
def test_the_status_is_that_by_which_shells_know_the_signal(name, status):
    stop = Interrupted(name, "saved at step 3 of 9")
    assert stop.status == status
    assert str(stop) == f"{name}: saved at step 3 of 9"
