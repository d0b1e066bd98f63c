"""Whether two runs are equal, bit for bit: the records of `metrics.jsonl` and the parameters.

    python benchmarks/compare_runs.py BEFORE AFTER

Times are left out. Ends with status 1, and the first difference of each kind, if the runs differ.
"""

import json
import sys
from pathlib import Path

import numpy as np
import timing  # noqa: F401  (finds the package of this checkout)

from cnnlab.training.checkpoint import Checkpoints


def records(folder: Path) -> list[dict[str, float]]:
    """Return the records of a run without its times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if not k.startswith("time")} for row in rows]


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return parameters and statistics of a run's last checkpoint by path."""
    settings = json.loads((folder / "config.json").read_text())["checkpoint"]
    checkpoints = Checkpoints(
        folder / "checkpoints", metric=settings["best"], mode=settings["mode"], read_only=True
    )
    try:
        return checkpoints.read(checkpoints.steps()[-1], "params", "model_state")
    finally:
        checkpoints.close()


def differences(before: Path, after: Path) -> list[str]:
    """Return a line for each kind of difference."""
    found = []
    old, new = records(before), records(after)
    shared = {k for row in old for k in row} & {k for row in new for k in row}
    for number, (a, b) in enumerate(zip(old, new, strict=False)):
        unequal = [k for k in shared if a.get(k) != b.get(k)]
        if unequal:
            found.append(f"record {number}: {unequal[0]}: {a.get(unequal[0])} {b.get(unequal[0])}")
            break
    if len(old) != len(new):
        found.append(f"{len(old)} and {len(new)} records")
    x, y = arrays(before), arrays(after)
    if x.keys() != y.keys():
        found.append(f"arrays of one run alone: {sorted(x.keys() ^ y.keys())[:3]}")
    unequal = [k for k in x.keys() & y.keys() if x[k].tobytes() != y[k].tobytes()]
    if unequal:
        found.append(f"{len(unequal)} of {len(x)} arrays differ, such as {sorted(unequal)[0]}")
    return found


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    before, after = map(Path, sys.argv[1:])
    differ = differences(before, after)
    equal = f"{len(records(after))} records and {len(arrays(after))} arrays equal"
    print(f"{after}: {'; '.join(differ) or equal}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
