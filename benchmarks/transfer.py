"""Pretrain, then fine-tune, probe and train from scratch with few labels, over several seeds.

    python benchmarks/transfer.py --seeds=5 --workdir=runs/transfer \
        --json=results/seeds/transfer_shapes.json

Each seed is a pretraining (WORKDIR/pretrain/seed_N) and, on its weights, a run of each variant of
the config, with few labels that the seed draws: the same for all variants. A run that is finished
is not trained again. The baselines use the same few labels.
With --json, the rows of `results/*.jsonl` that name this file as their source follow it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import accuracy_rows

ROOT = Path(__file__).resolve().parents[1]
# Those that start from the pretrained weights, and the others.
TRANSFERRED, OTHERS = ("finetune", "probe"), ("scratch", "random_probe")


def train(config: str, workdir: Path, seed: int, *overrides: str) -> dict:
    """Train, or find trained, one run; return its result.json."""
    command = [sys.executable, str(ROOT / "launch.py"), f"--config={config}"]
    command += [f"--workdir={workdir}", f"--config.seed={seed}", *overrides]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return json.loads((workdir / "result.json").read_text())


def spread(values: list[float]) -> dict:
    """Return mean, standard deviation (n - 1) and values."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "std": deviation, "values": values}


def test_accuracies(result: dict) -> dict[str, float]:
    """Return the test accuracy of the last state and of each baseline."""
    last = next(row for name, row in result["results"].items() if name.startswith("last"))
    classical = result["floors"].items()
    others = {f"baseline: {name}": row["test/accuracy"] for name, row in classical}
    return {"last": last["test/accuracy"], **others}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="configs/shapes_transfer.py")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--json", default="")
    options, overrides = parser.parse_known_args()
    workdir = Path(options.workdir)
    found: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        weights = workdir / "pretrain" / f"seed_{seed}"
        result = train(options.config, weights, seed)
        found.setdefault("pretraining, its own classes", []).append(test_accuracies(result)["last"])
        for variant in (*TRANSFERRED, *OTHERS):
            start = [f"--config.init_from.path={weights}"] if variant in TRANSFERRED else []
            run = workdir / variant / f"seed_{seed}"
            result = train(f"{options.config}:{variant}", run, seed, *start, *overrides)
            accuracies = test_accuracies(result)
            found.setdefault(variant, []).append(accuracies.pop("last"))
        for name, accuracy in accuracies.items():
            found.setdefault(name, []).append(accuracy)
    # What the weights are worth, with the draw of the labels cancelled out.
    for with_weights, without in zip(TRANSFERRED, OTHERS, strict=True):
        pairs = zip(found[with_weights], found[without], strict=True)
        found[f"{with_weights} - {without}"] = [a - b for a, b in pairs]
    summary = {name: spread(values) for name, values in found.items()}
    for name, row in summary.items():
        print(f"{name:30} {row['mean']:7.2%} ± {row['std']:.2%} over {options.seeds} seeds")
    if options.json:
        written = {
            "command": "python benchmarks/transfer.py " + " ".join(sys.argv[1:]),
            "protocol": "test accuracy of the last step, no selection",
            "seeds": options.seeds,
            "results": summary,
        }
        Path(options.json).write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        accuracy_rows.refresh()


if __name__ == "__main__":
    main()
