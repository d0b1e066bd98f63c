"""What a sweep costs beside its trials: 1,000 of them that do nothing, one after another.

    python benchmarks/sweep_overhead.py --json=benchmarks/results/sweep_overhead.json

Trials are a shell script that writes the files of a run that is done. Wall time is from the end of
the trial before to its own, the script's included; CPU time is this process's, without it. Medians
of the first and the last hundred tell whether it grows with the trials there are. --searches has
fixed (a grid) and Optuna's random and tpe.
"""

import itertools
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from timing import arguments, pin, show, write

ENTRY = "optimizer.learning_rate"
METRIC = "validation/accuracy"
STUB = """
for argument; do
    case $argument in --workdir=*) folder=${argument#*=};; esac
done
mkdir -p "$folder"
echo '{}' > "$folder/config.json"
echo '{"step": 1, "validation/accuracy": 0.5}' > "$folder/metrics.jsonl"
echo '{}' > "$folder/result.json"
"""


def sweep(path: Path, search: str, trials: int):
    """Make a sweep's folder over a rate: a grid of as many, or a search."""
    from cnnlab import config as cfg
    from cnnlab.sweeps import space
    from cnnlab.sweeps.folder import SweepFolder
    from cnnlab.sweeps.settings import Settings
    from cnnlab.training.run_folder import flatten

    rates = [1e-3 * (1 + i) for i in range(trials)]
    fixed = search == "fixed"
    tried = (
        space.grid({ENTRY: rates})
        if fixed
        else space.draws({ENTRY: space.uniform(0.0, 1.0)}, count=trials)
    )
    settings = Settings(
        config="configs/digits_lenet5.py",
        overrides={},
        base=flatten(cfg.base().to_dict()),
        sweep="",
        space=tried,
        points=tried.points() if fixed else [],
        metric=METRIC,
        search="" if fixed else search,
        trials=0 if fixed else trials,
    )
    return SweepFolder.create(path, settings)


def run(search: str, trials: int, folder: Path) -> list[tuple[float, float]]:
    """Run a sweep; return the wall and CPU seconds at its start and at the end of each trial."""
    from rich.console import Console

    from cnnlab.sweeps import workers
    from cnnlab.sweeps.adaptive import AdaptiveSource
    from cnnlab.sweeps.live import Display

    swept = sweep(folder / search, search, trials)
    stub = folder / "stub.sh"
    stub.write_text(STUB)
    source: Any = workers.FixedSource(swept) if search == "fixed" else AdaptiveSource(swept)
    marks = []
    original = source.finish

    def finish(trial, state, value):
        original(trial, state, value)
        assert state == "finished", swept.reason(trial)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        marks.append((time.perf_counter(), usage.ru_utime + usage.ru_stime))

    source.finish = finish
    usage = resource.getrusage(resource.RUSAGE_SELF)
    start = (time.perf_counter(), usage.ru_utime + usage.ru_stime)
    with Path(os.devnull).open("w") as nowhere:
        display = Display(swept, console=Console(file=nowhere))
        workers.work(swept, source, 1, display=display, program=("sh", str(stub)))
    return [start, *marks]


def alone(folder: Path, times: int = 50) -> float:
    """Return the median seconds that a trial's program takes by itself, started as a trial is."""
    from cnnlab.sweeps.trial import CHILD

    stub = folder / "stub.sh"
    stub.write_text(STUB)
    command = [*CHILD, str(os.getpid()), "", "sh", str(stub), f"--workdir={folder / 'alone'}"]
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="in a sweep")
    parser.add_argument("--searches", default="fixed,random,tpe", help="how trials are chosen")
    parser.add_argument("--part", type=int, default=100, help="trials at either end to compare")
    options = parser.parse_args()
    pin(options.cores)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = alone(folder)
        for search in options.searches.split(","):
            marks = run(search, options.trials, folder)
            taken = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(marks)]
            row: dict[str, object] = {"search": search, "trials": len(taken)}
            for label, these in (
                ("first", taken[: options.part]),
                ("last", taken[-options.part :]),
            ):
                wall, cpu = (1e3 * statistics.median(x) for x in zip(*these, strict=True))
                row |= {f"{label}, ms": wall, f"{label}, CPU ms": cpu}
            rows.append(row | {"program alone, ms": 1e3 * program})
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
