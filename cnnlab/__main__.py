"""The program: `python -m cnnlab`, the console command `cnnlab`, and launch.py."""

import sys

from cnnlab.utils.signals import exit_on_interrupt


def main() -> int:
    """Run the command that the command line names; return the exit status."""
    exit_on_interrupt()
    from cnnlab import commands

    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
