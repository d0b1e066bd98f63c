"""Command line entry point: `python launch.py --help`."""

import sys

from cnnlab.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
