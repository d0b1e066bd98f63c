"""Ctrl-C before there is anything to save."""

import subprocess
import sys

import pytest

from cnnlab.utils.signals import INTERRUPTED

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
