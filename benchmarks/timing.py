"""Timing side by side: blocks of calls in turn (A B A B ...), medians and ratios of neighbors.

On a shared machine speeds drift by the minute; what two things took in neighboring blocks can be
compared, single numbers from different times cannot.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

# Benchmarks run from a checkout, whether it is installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def arguments(text: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=9, help="blocks of calls of each")
    parser.add_argument("--calls", type=int, default=20, help="calls in a block")
    parser.add_argument("--cores", default="", help="processors to stay on, as 0 or 0,1")
    parser.add_argument("--json", default="", help="file to write the numbers to")
    return parser


def pin(cores: str) -> None:
    """Keep this process on some processors; before jax starts its threads."""
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def alternate(
    contestants: dict[str, Callable[[], object]], blocks: int, calls: int
) -> dict[str, dict[str, list[float]]]:
    """Time blocks of calls in turn; return seconds a call, wall and CPU, of each block.

    A contestant has to wait for its own result. A first block of each is not counted. Every other
    round runs backwards (A B B A), so that none always follows the same one.
    """
    times: dict[str, dict[str, list[float]]] = {
        name: {"wall": [], "cpu": []} for name in contestants
    }
    for block in range(blocks + 1):
        order = list(contestants.items())
        for name, call in order[:: -1 if block % 2 else 1]:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(calls if block else max(1, calls // 4)):
                call()
            if block:
                times[name]["wall"].append((time.perf_counter() - wall) / calls)
                times[name]["cpu"].append((time.process_time() - cpu) / calls)
    return times


def ratio(a: list[float], b: list[float]) -> dict[str, float]:
    """Return the median, least and largest ratio of neighboring blocks."""
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def show(rows: list[dict[str, object]]) -> None:
    """Print rows as a table."""
    columns = list(rows[0])
    cells = [[_cell(row[c]) for c in columns] for row in rows]
    widths = [max(len(c), *(len(row[i]) for row in cells)) for i, c in enumerate(columns)]
    for line in [columns, *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def write(path: str | Path, rows: list[dict[str, object]], device: str = "") -> None:
    """Write rows with what is needed to judge them: command, date, versions, devices.

    `device` saves a process that has not asked for its devices from doing so.
    """
    if not path:
        return
    if not device:
        import jax

        device = jax.devices()[0].device_kind

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "none"

    script = Path(sys.argv[0]).name
    record = {
        "command": f"python benchmarks/{script} " + " ".join(sys.argv[1:]),
        "date": datetime.date.today().isoformat(),
        "versions": {name: version(name) for name in ("jax", "flax", "optax", "torch")},
        "device": device,
        "machine": f"{os.cpu_count()}-core {platform.machine()}",
        "rows": rows,
    }
    Path(path).write_text(json.dumps(record, indent=2) + "\n")
