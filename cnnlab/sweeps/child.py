"""Sets CPU affinity and parent-death signal, then executes a trial's command.

usage: python child.py PARENT CORES COMMAND...

Run as a program of its own, because a process with threads cannot safely run Python between fork
and exec. PARENT is the sweep's process id, CORES the numbers of the cores, with commas, or empty.
When the sweep is killed, on Linux the trial gets a SIGTERM: it saves, stops and frees its lock.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Bind this process and replace it by the command."""
    parent, cores, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):
            # Killed before it could be asked for the signal.
            sys.exit(128 + signal.SIGTERM)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
