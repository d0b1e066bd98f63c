"""Ctrl-C before there is anything to save, and a terminal that is closed."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from cnnlab.utils.signals import INTERRUPTED, handled

SWALLOWED = {
    "by an import that catches everything": """
try:
    raise_signal(SIGINT)
except BaseException:
    pass
""",
    "in a destructor": """
class Gone:
    def __del__(self):
        raise_signal(SIGINT)
Gone()
""",
}


@pytest.mark.parametrize("code", SWALLOWED.values(), ids=SWALLOWED)
def test_an_interrupt_ends_the_program_where_python_would_lose_it(code):
    start = (
        "from signal import SIGINT, default_int_handler, raise_signal, signal\n"
        # Ignored in the background of a shell.
        "signal(SIGINT, default_int_handler)\n"
        "from cnnlab.utils.signals import exit_on_interrupt\n"
        "exit_on_interrupt()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, f"{INTERRUPTED}\n")


def test_under_nohup_a_closed_terminal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled(lambda *_: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


CLOSED = """
import fcntl, os, signal, sys, termios, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # The tests may run under nohup.
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from cnnlab.utils.signals import handled
heard = []
with handled(lambda number, _: heard.append(number)):
    print("ready", flush=True)
    while not heard:
        time.sleep(0.01)  # A signal just before signal.pause() would be waited for without end.
    print("saving", flush=True)
    print("saved", file=sys.stderr, flush=True)
    os.mkdir(sys.argv[1])
"""


def test_a_closed_terminal_is_heard_and_not_written_to(tmp_path):
    terminal, its = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", CLOSED, str(tmp_path / "saved")],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    said = b""
    while not said.endswith(b"\n"):  # Closed before, the rest of the line would fail to be written.
        said += os.read(terminal, 100)
    os.close(terminal)
    assert child.wait() == 0
    assert (tmp_path / "saved").is_dir()
