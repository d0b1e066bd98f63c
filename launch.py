"""The front door: `python launch.py --help`."""

import sys

from cnnlab.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
