"""Train a config over several seeds and report the mean and spread of its results.

    python benchmarks/seeds.py --config=configs/digits_lenet5.py --seeds=5 --workdir=runs/seeds \
        --json=results/seeds/digits_lenet5.json [--config.KEY=VALUE ...]

Each seed is a run of its own in WORKDIR/seed_N; a run that is finished is not trained again.
Several --config, as the folds of a cross-validation, are trained each with every seed, in
WORKDIR/VARIANT/seed_N; mean and spread are over all runs.
With --json, the rows of `results/*.jsonl` that name this file as their source follow it.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import accuracy_rows

ROOT = Path(__file__).resolve().parents[1]


def summarize(results: list[dict]) -> dict:
    """Return mean, standard deviation (n - 1) and values of every metric of the last state."""
    rows = [
        {
            **next(values for name, values in result["results"].items() if name.startswith("last")),
            **representation(result),
        }
        for result in results
    ]
    return {
        metric: {
            "mean": statistics.mean(row[metric] for row in rows),
            "std": statistics.stdev(row[metric] for row in rows) if len(rows) > 1 else 0.0,
            "values": [row[metric] for row in rows],
        }
        for metric in rows[0]
    }


def representation(result: dict) -> dict[str, float]:
    """Return the numbers of every encoder and protocol, of the trained one at its last step."""
    values = {}
    for row in result.get("representation", []):
        encoder = row["encoder"].partition(" (step")[0]
        if "(best" in encoder:
            continue
        for name, value in row["values"].items():
            where = f"{row['split']}/{row['protocol']}_{name}"
            values[f"{where} of {encoder}, {row['endpoint']}"] = value
    return values


def curve(runs: list[Path], metric: str = "test/accuracy") -> list[list[float]]:
    """Return step, mean and standard deviation of a metric over runs, where all evaluated it."""
    found = []
    for run in runs:
        lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
        found.append({line["step"]: line[metric] for line in lines if metric in line})
    steps = sorted(set.intersection(*map(set, found)))
    values = {step: [row[step] for row in found] for step in steps}
    return [
        [step, statistics.mean(v), statistics.stdev(v) if len(v) > 1 else 0.0]
        for step, v in values.items()
    ]


def origin(run: Path) -> dict[str, str]:
    """Return hardware, commit and day of a run that has just ended."""
    environment = json.loads((run / "environment.json").read_text())
    kind, count = environment["device_kind"], len(environment["devices"])
    hardware = f"{os.cpu_count()} cores of {processor()}" if kind == "cpu" else f"{count} {kind}"
    ended = datetime.date.fromtimestamp((run / "result.json").stat().st_mtime)
    return {
        "hardware": hardware,
        "commit": environment["commit"][:10] + (" and changes" if environment["dirty"] else ""),
        "date": ended.isoformat(),
    }


def processor() -> str:
    """Return the processor's name where Linux says it."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text() if info.exists() else "", re.M)
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", required=True, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--json", default="")
    options, overrides = parser.parse_known_args()
    results, runs = [], []
    for config, seed in itertools.product(options.config, range(options.seeds)):
        variant = config.partition(":")[2] if len(options.config) > 1 else ""
        run = Path(options.workdir) / variant / f"seed_{seed}"
        command = [sys.executable, str(ROOT / "launch.py"), f"--config={config}"]
        command += [f"--workdir={run}", f"--config.seed={seed}", *overrides]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        results.append(json.loads((run / "result.json").read_text()))
        runs.append(run)
    summary = summarize(results)
    for metric, values in summary.items():
        low, high = min(values["values"]), max(values["values"])
        spread = f"{values['std']:.4f} [{low:.4f}, {high:.4f}]"
        print(f"{metric:56} {values['mean']:.4f} ± {spread} over {len(results)} runs")
    for name, values in results[0]["floors"].items():
        for metric, value in values.items():
            print(f"{metric:56} {value:.4f} baseline: {name}")
    seconds = statistics.median(result["seconds"] for result in results)
    print(f"{'seconds a run':56} {seconds:.0f} (median)")
    folds = f"{len(options.config)} folds, " if len(options.config) > 1 else ""
    if options.json:
        written = {
            "command": shlex.join(["python", "benchmarks/seeds.py", *sys.argv[1:]]),
            "protocol": f"last step, {folds}no selection on test",
            "seeds": options.seeds,
            "results": summary,
            "floors": results[0]["floors"],
            "seconds": seconds,
            "steps": results[0]["steps"],
            "curve": curve(runs),
            **origin(runs[-1]),
        }
        Path(options.json).write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        accuracy_rows.refresh()


if __name__ == "__main__":
    main()
