"""The front door: `python launch.py --help`."""

import sys

from cnnlab.utils.signals import exit_on_interrupt

if __name__ == "__main__":
    exit_on_interrupt()
    from cnnlab.commands import main

    sys.exit(main(sys.argv[1:]))
