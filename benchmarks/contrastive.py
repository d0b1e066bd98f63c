"""Triplet losses and NT-Xent against the same in PyTorch: time and memory by batch size.

    python benchmarks/contrastive.py --json=benchmarks/results/contrastive_cpu.json

Forward and backward pass from embeddings [rows, 128] with four examples a class; for NT-Xent rows
are views, two an image. Ours plain and `chunk` rows at a time; theirs of pytorch-metric-learning
and, for NT-Xent, also of lightly. Values are compared before anything is timed, except for
semi-hard mining: their miner takes all semi-hard negatives within the margin, ours the nearest one.

Memory: ours is what XLA reserves for intermediate values; theirs the growth of the peak of resident
memory during the first call at that size, in a process of its own, which may take `limit` GB and a
minute. What needs more has no row, nor have larger batches. CPU time, on one core unless
--cores says otherwise. Needs torch, pytorch-metric-learning and lightly (make test-parity).
"""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import alternate, arguments, pin, ratio, show, write

WIDTH, PER_CLASS, MARGIN, TEMPERATURE = 128, 4, 0.2, 0.5
LOSSES = ("batch_all", "semi_hard", "batch_hard", "nt_xent")
PEERS = {"nt_xent": ("lightly", "pytorch-metric-learning")}


def embeddings(rows):
    """Return rows on the unit sphere, those of a class in one region, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows) // PER_CLASS
    x = rng.normal(size=(rows, WIDTH)) + rng.normal(size=(labels[-1] + 1, WIDTH))[labels]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


def ours(loss, rows, chunk):
    """Return a function that computes value and gradient, and the bytes it needs."""
    import jax
    import jax.numpy as jnp

    from cnnlab.losses.nt_xent import nt_xent
    from cnnlab.losses.triplet import triplet

    x, labels = (jnp.asarray(a) for a in embeddings(rows))

    def value(x):
        if loss == "nt_xent":
            first, second = x[: rows // 2], x[rows // 2 :]
            return jnp.mean(nt_xent(first, second, temperature=TEMPERATURE, chunk=chunk)[0])
        return triplet(x, labels, mining=loss, margin=MARGIN, chunk=chunk)[0]

    compiled = jax.jit(jax.value_and_grad(value)).lower(x).compile()

    def call():
        return jax.block_until_ready(compiled(x))[0]

    return call, compiled.memory_analysis().temp_size_in_bytes


def theirs(loss, rows, library):
    """Return a function that computes value and gradient in PyTorch."""
    import torch

    x, labels = (torch.from_numpy(a) for a in embeddings(rows))
    x.requires_grad = True
    value = lightly_loss(rows) if library == "lightly" else metric_learning_loss(loss, labels)

    def call():
        x.grad = None
        result = value(x)
        result.backward()
        return result.item()

    return call


def lightly_loss(rows):
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
    from parity.peers import declare

    declare()
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    return lambda x: loss(x[: rows // 2], x[rows // 2 :])


def metric_learning_loss(loss, labels):
    import torch
    from pytorch_metric_learning import losses, miners
    from pytorch_metric_learning.distances import LpDistance

    if loss == "nt_xent":
        images = torch.arange(len(labels) // 2).repeat(2)
        entropy = losses.NTXentLoss(TEMPERATURE)
        return lambda x: entropy(x, images)
    distance = LpDistance(normalize_embeddings=False, power=2)
    triplets = losses.TripletMarginLoss(MARGIN, distance=distance)
    if loss == "batch_all":
        return lambda x: triplets(x, labels)
    if loss == "batch_hard":
        miner = miners.BatchHardMiner(distance=distance)
    else:
        miner = miners.TripletMarginMiner(MARGIN, "semihard", distance=distance)
    return lambda x: triplets(x, labels, miner(x, labels))


def status(name):
    """Return a number of bytes that Linux keeps about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def print_peak(loss, rows, library, limit):
    """Print by how many bytes the peak of resident memory grows; end with an error above limit."""
    import torch

    torch.set_num_threads(1)
    theirs(loss, 16, library)()
    call = theirs(loss, rows, library)
    most = status("VmSize") + int(limit * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Starts the peak, VmHWM, anew.
    call()
    print(status("VmHWM") - before)


def peak(loss, rows, library, limit):
    """Return what `print_peak` prints in a process of its own; None where it needs too much."""
    case = f"{loss},{rows},{library},{limit}"
    command = [sys.executable, __file__, "--peak", case]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return int(run.stdout)


def compare(loss, rows, libraries, options):
    """Return a table's rows for one loss and size, and the libraries that managed it."""
    calls, memory = {}, {}
    for name, chunk in (("cnnlab", 0), (f"cnnlab, chunk {options.chunk}", options.chunk)):
        if chunk < rows:
            calls[name], memory[name] = ours(loss, rows, chunk)
    for library in libraries:
        used = peak(loss, rows, library, options.limit)
        if used is not None:
            calls[library], memory[library] = theirs(loss, rows, library), used
    values, seconds = {}, {}
    for name, call in calls.items():
        start = time.process_time()
        values[name] = float(call())
        seconds[name] = time.process_time() - start
    for name, value in values.items():
        if loss != "semi_hard" and not np.isclose(value, values["cnnlab"], rtol=1e-4):
            raise SystemExit(f"{loss}, {rows} rows: {name} has {value}, not {values['cnnlab']}")
    repeats = max(1, min(options.calls, int(0.2 / max(seconds.values()))))
    times = alternate(calls, options.blocks, repeats)
    table = []
    for name, measured in times.items():
        found = ratio(measured["cpu"], times["cnnlab"]["cpu"])
        table.append(
            {
                "loss": loss,
                "rows": rows,
                "by": name,
                "ms": statistics.median(measured["cpu"]) * 1e3,
                "over cnnlab": found["median"],
                "from": found["min"],
                "to": found["max"],
                "MB": memory[name] / 1e6,
                "matrices": memory[name] / (4 * rows**2),
            }
        )
    return table, [library for library in libraries if library in calls]


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0", blocks=3)
    parser.add_argument("--rows", default="128,512,1024,2048,4096,8192", help="batch sizes")
    parser.add_argument("--chunk", type=int, default=256, help="rows at a time")
    parser.add_argument("--limit", type=float, default=8.0, help="GB that PyTorch may take")
    parser.add_argument("--peak", default="", help="used by itself")
    options = parser.parse_args()
    if options.peak:
        loss, rows, library, limit = options.peak.split(",")
        return print_peak(loss, int(rows), library, float(limit))
    pin(options.cores)
    import torch

    torch.set_num_threads(len(options.cores.split(",")))
    from cnnlab.utils.malloc import keep_freed_memory

    keep_freed_memory()  # as launch.py does; in one process it helps both
    table = []
    for loss in LOSSES:
        libraries = PEERS.get(loss, ("pytorch-metric-learning",))
        for rows in (int(text) for text in options.rows.split(",")):
            found, libraries = compare(loss, rows, libraries, options)
            table += found
            print(f"{loss}, {rows} rows: done", file=sys.stderr, flush=True)
    show(table)
    write(options.json, table)


if __name__ == "__main__":
    main()
