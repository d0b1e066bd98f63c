"""From a command to its first step: seconds and peak memory, against PyTorch's eager first step.

    python benchmarks/first_call.py --json=benchmarks/results/first_call_cpu.json
    python benchmarks/first_call.py --other=../before       # a second checkout, in turn with this

Every number is of a fresh process without compiled programs at hand, from its start to the record
of its first step: `launch.py train` with images from a file, and a script with torch, the same
network (channels last) and batch, SGD with momentum. The seconds are those of a processor, on one
core unless --cores says otherwise; medians of --blocks runs in turn.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timing import arguments, pin, show, write

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """A config, its peer in `torch_models`, and its images [b, h, w, c]."""

    name: str
    config: str
    peer: str
    shape: tuple[int, int, int, int]
    classes: int
    entries: tuple[str, ...] = ()


CASES = (
    Case("LeNet-5", "digits_lenet5.py", "lenet5", (128, 32, 32, 1), 10),
    Case("ResNet-20", "cifar10_resnet.py:resnet20_50k", "resnet20", (128, 32, 32, 3), 10),
    Case(
        "ResNet-50",
        "imagenet_resnet.py",
        "resnet50",
        (16, 128, 128, 3),
        1000,
        (
            "data.train.preprocess.random_resize.shorter=(128,160)",
            "data.train.preprocess.random_crop.size=128",
            "data.eval.preprocess.center_crop.size=128",
            "data.eval.preprocess.resize.size=144",
        ),
    ),
)


def save_images(case: Case, path: Path) -> None:
    """Write random images for a config, larger than its crops."""
    rng = np.random.default_rng(0)
    count, size, channels = 2 * case.shape[0], case.shape[1], case.shape[3]
    size += size // 8 if size > 32 else 0
    arrays = {}
    for split in ("train", "validation", "test"):
        images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
        arrays |= {f"{split}_image": images, f"{split}_label": np.arange(count) % case.classes}
    np.savez(path, **arrays)


def ours(checkout: Path, case: Case, images: Path, folder: Path) -> list[str]:
    """Return the command that trains."""
    entries = {"batch_size": case.shape[0], "evaluate.batch_size": case.shape[0], "log_every": 1}
    entries["data.source"] = f"npz:{images}"
    command = [sys.executable, "launch.py", f"--config={checkout}/configs/{case.config}"]
    command += [f"--config.{key}={value}" for key, value in entries.items()]
    return [*command, *(f"--config.{entry}" for entry in case.entries), f"--workdir={folder}"]


def measure(command: list[str], folder: Path, checkout: Path) -> dict[str, float]:
    """Run until the first record in `folder`, then stop; return seconds and MB."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    process = subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    record, ended = folder / "metrics.jsonl", False
    while not (record.exists() and record.stat().st_size) and not ended:
        time.sleep(0.01)
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    process.kill()
    _, _, used = os.wait4(process.pid, 0)
    if not (record.exists() and record.stat().st_size):
        sys.exit(process.stderr.read().decode()[-2000:] if process.stderr else "failed")
    return {"s": used.ru_utime + used.ru_stime, "MB": used.ru_maxrss / 1024}


def peer(case: Case, images: Path, folder: Path) -> None:
    """Take the first step in PyTorch, and record it."""
    import torch
    import torch_models

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = getattr(torch_models, case.peer)(case.classes).to(memory_format=torch.channels_last)
    rows, size = case.shape[0], case.shape[1]
    loaded = np.load(images)
    x = loaded["train_image"][:rows, :size, :size].astype(np.float32) / 255
    x = torch.from_numpy(x.transpose(0, 3, 1, 2)).to(memory_format=torch.channels_last)
    y = torch.from_numpy(loaded["train_label"][:rows])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loss = torch.nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    folder.mkdir()
    (folder / "metrics.jsonl").write_text(f"{loss.item()}\n")


def first_call(case: Case, blocks: int, other: str) -> dict[str, object]:
    """Return a row: seconds and memory of this checkout, the other one and PyTorch."""
    checkouts = {"cnnlab": ROOT} | ({"other": Path(other).resolve()} if other else {})
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(blocks):
        with tempfile.TemporaryDirectory() as place:
            images = Path(place) / "images.npz"
            save_images(case, images)
            commands = {
                name: ours(checkout, case, images, Path(place) / name)
                for name, checkout in checkouts.items()
            }
            commands["PyTorch"] = [sys.executable, __file__, f"--peer={case.name}", f"--in={place}"]
            for name, command in commands.items():
                checkout = checkouts.get(name, ROOT)
                found.setdefault(name, []).append(measure(command, Path(place) / name, checkout))
    row: dict[str, object] = {"model": case.name}
    for unit in ("s", "MB"):
        medians = {
            name: statistics.median(run[unit] for run in runs) for name, runs in found.items()
        }
        row |= {f"{name}, {unit}": value for name, value in medians.items()}
        for name, value in medians.items():
            if name != "cnnlab":
                row[f"of {name}'s {unit}"] = medians["cnnlab"] / value
    return row


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0", blocks=3)
    parser.add_argument("--only", default="", help="models whose name matches this pattern")
    parser.add_argument("--other", default="", help="another checkout to run in turn")
    parser.add_argument("--peer", default="", help="PyTorch's first step of this model, here")
    parser.add_argument("--in", dest="place", default="", help="folder of its images, with --peer")
    options = parser.parse_args()
    if options.peer:
        place = Path(options.place)
        case = next(c for c in CASES if c.name == options.peer)
        peer(case, place / "images.npz", place / "PyTorch")
        return
    pin(options.cores)
    rows = []
    for case in (c for c in CASES if re.search(options.only, c.name)):
        rows.append(first_call(case, options.blocks, options.other))
        print(case.name, "done", file=sys.stderr, flush=True)
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
