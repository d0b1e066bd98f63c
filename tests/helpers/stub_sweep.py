"""Sweeps of stub trials, and a program that works on one: `stub_sweep.py FOLDER PARALLEL`."""

import sys
from pathlib import Path
from typing import Any

from cnnlab.sweeps.folder import SweepFolder
from cnnlab.sweeps.settings import Settings
from cnnlab.sweeps.space import as_space
from cnnlab.sweeps.workers import FixedSource, work

STUB = (sys.executable, "-S", str(Path(__file__).with_name("stub_trial.py")))


def settings(points: list[dict[str, Any]], **changes: Any) -> Settings:
    """Return the settings of a sweep over these points."""
    given = {"config": "c.py", "overrides": {}, "base": {"seed": 0, "steps": 3}, "sweep": "s.py"}
    return Settings(**{**given, "space": as_space(points), "points": points, **changes})


def make(path: Path, points: list[dict[str, Any]], **changes: Any) -> SweepFolder:
    """Return the folder of a sweep over these points."""
    return SweepFolder.create(path, settings(points, **changes))


if __name__ == "__main__":
    folder = SweepFolder.open(Path(sys.argv[1]))
    print(work(folder, FixedSource(folder), int(sys.argv[2]), program=STUB).signal)
