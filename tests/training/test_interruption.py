"""Signals: the first is noted, and outside the context nothing has changed."""

import os
import signal

from cnnlab.training.interruption import interruption


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
