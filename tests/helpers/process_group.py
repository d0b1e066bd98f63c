"""Several processes on this machine, each with its share of simulated devices, running a script."""

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

DEVICES = 4
HERE = Path(__file__).resolve().parent


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def start(arguments, processes, devices=DEVICES):
    """Start `python arguments... HOST:PORT processes process` for every process."""
    flags = re.sub(r"--xla_force_host\S+", "", os.environ.get("XLA_FLAGS", ""))
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices // processes}",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[1], HERE))),
    }
    coordinator = f"localhost:{free_port()}"
    return [
        subprocess.Popen(
            [sys.executable, *map(str, arguments), coordinator, str(processes), str(process)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(processes)
    ]


def finish(group, seconds=300):
    """Wait for all; return the exit status and what was printed, of each."""
    printed = [process.communicate(timeout=seconds)[0] for process in group]
    return list(zip([process.returncode for process in group], printed, strict=True))


class Store:
    """The key-value store of a coordinator."""

    def __init__(self):
        self.values = {}

    def key_value_set(self, key, value):
        if key in self.values:
            raise RuntimeError("ALREADY_EXISTS: key")
        self.values[key] = value

    def key_value_try_get(self, key):
        if key not in self.values:
            raise RuntimeError("NOT_FOUND: key")
        return self.values[key]

    def blocking_key_value_get(self, key, timeout=0):
        if "gone" in key:
            raise RuntimeError("UNAVAILABLE: Socket closed")
        if key not in self.values:
            threading.Event().wait(0.001)
            raise RuntimeError("DEADLINE_EXCEEDED: key")
        return self.values[key]

    def wait_at_barrier(self, name, timeout):
        raise RuntimeError("DEADLINE_EXCEEDED: barrier")
