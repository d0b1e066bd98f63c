"""Each layer against PyTorch's, forward and with its gradients, in one run.

    python benchmarks/layers_vs_torch.py --json=benchmarks/results/layers_vs_torch_cpu.json
    python benchmarks/layers_vs_torch.py --only=depthwise --blocks=5

Time over PyTorch's, medians of neighboring blocks (below 1: cnnlab is faster). `XLA` is what XLA's
own operation takes, with its gradients; it is timed in fewer blocks where it is many times slower,
and not at all with --no_native. Before a row is timed, values and gradients of both are compared
with PyTorch's. Needs torch (requirements-parity.txt). CPU time on one core unless --cores says
otherwise; on a GPU, if both libraries see one, wall time.

The process starts itself again with settings of glibc under which freed memory stays with it
(unless --allocator=default): else page faults, which depend on what ran before, are up to three
quarters of PyTorch's time and hide what is compared.
"""

import os
import re
import statistics
import sys
import time

import numpy as np
from timing import alternate, arguments, pin, ratio, show, write

# Blocks of calls that take longer than this, in seconds, are few.
SLOW = 2.0
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


def contestants(row, arrays, functions, *, channels_last=False):
    """Return for each name two calls, forward and with gradients, each waiting for its result."""
    import jax
    import jax.numpy as jnp

    placed = jax.device_put([jnp.asarray(a) for a in arrays])
    shape = jax.eval_shape(row.ours, *placed).shape
    dy = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    calls = {"PyTorch": peer(row, arrays, dy, channels_last=channels_last)}
    cotangent = jax.device_put(dy)
    for name, function in functions.items():

        def both(arrays, dy, function=function):
            y, pullback = jax.vjp(function, *arrays)
            return y, *pullback(dy)

        forward = jax.jit(lambda arrays, function=function: function(*arrays))
        backward = jax.jit(both)
        calls[name] = (
            lambda forward=forward: jax.block_until_ready(forward(placed)),
            lambda backward=backward: jax.block_until_ready(backward(placed, cotangent)),
        )
    return calls


def peer(row, arrays, dy, *, channels_last=False):
    """Return the same for PyTorch; results are tensors in its layout."""
    import torch

    device = "cuda" if on_gpu() else "cpu"

    def tensor(a, order):
        found = torch.from_numpy(np.ascontiguousarray(a.transpose(order))).to(device)
        if channels_last and found.ndim == 4:
            found = found.to(memory_format=torch.channels_last)
        return found

    leaves = [
        tensor(a, order).requires_grad_() for a, order in zip(arrays, row.layouts, strict=True)
    ]
    cotangent = tensor(dy, row.out)

    def wait(result):
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    def forward():
        with torch.no_grad():
            return wait(row.theirs(*leaves))

    def both():
        for leaf in leaves:
            leaf.grad = None
        y = row.theirs(*leaves)
        y.backward(cotangent)
        return wait((y, *(leaf.grad for leaf in leaves)))

    return forward, both


def check(row, calls) -> None:
    """Stop unless values and gradients are PyTorch's, to rounding."""
    orders = (row.out, *row.layouts)
    expected = [
        t.detach().cpu().numpy().transpose(np.argsort(order))
        for t, order in zip(calls["PyTorch"][1](), orders, strict=True)
    ]
    for name in calls:
        if name == "PyTorch":
            continue
        for what, (ours, theirs) in enumerate(zip(calls[name][1](), expected, strict=True)):
            error = np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()
            if not error < 2e-4:
                raise SystemExit(f"{row.name}: {name} differs by {error:.1e} in result {what}")


def on_gpu():
    import jax
    import torch

    return jax.default_backend() == "gpu" and torch.cuda.is_available()


def repeated(call, options):
    """Return a block of calls of about `seconds`, and how many."""
    call()  # compiles
    start = time.perf_counter()
    call()
    took = time.perf_counter() - start
    count = max(1, min(options.calls, round(options.seconds / max(took, 1e-9))))

    def block():
        for _ in range(count):
            call()

    return block, count, took


def race(calls, options):
    """Return seconds a call of each contestant, in blocks that took turns."""
    blocks = {name: repeated(call, options) for name, call in calls.items()}
    count = options.blocks if max(b[2] for b in blocks.values()) < SLOW else 1
    times = alternate({name: b[0] for name, b in blocks.items()}, count, 1)
    clock = "wall" if on_gpu() else "cpu"
    return {name: [t / blocks[name][1] for t in times[name][clock]] for name in calls}


def compare(row, options):
    """Return the numbers of one row."""
    from layer_rows import make

    functions = {"cnnlab": row.ours}
    if not options.no_native:
        functions["XLA"] = row.native
    calls = contestants(row, make(row), functions, channels_last=options.channels_last)
    check(row, calls)
    result: dict[str, object] = {"operation": row.name, "XLA, both": ""}
    if "XLA" in calls:
        pair = {name: calls[name][1] for name in ("XLA", "PyTorch")}
        found = race(pair, options)
        result["XLA, both"] = ratio(found["XLA"], found["PyTorch"])["median"]
    for direction, column in enumerate(("forward", "both")):
        found = race({name: calls[name][direction] for name in ("cnnlab", "PyTorch")}, options)
        ratios = ratio(found["cnnlab"], found["PyTorch"])
        result[column] = ratios["median"]
        result[f"{column}, from"], result[f"{column}, to"] = ratios["min"], ratios["max"]
        result[f"{column}, ms"] = statistics.median(found["cnnlab"]) * 1e3
    return result


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0", calls=1000)
    parser.add_argument("--only", default="", help="rows whose name matches this pattern")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a block")
    parser.add_argument("--no_native", action="store_true", help="without XLA's own operations")
    parser.add_argument("--channels_last", action="store_true", help="PyTorch's images so, too")
    parser.add_argument("--allocator", choices=("keep", "default"), default="keep")
    options = parser.parse_args()
    if options.allocator == "keep" and not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
    pin(options.cores)
    try:
        import torch
    except ImportError:
        sys.exit("torch is missing: pip install -r requirements-parity.txt")
    from layer_rows import rows

    torch.set_num_threads(len(options.cores.split(",")))
    chosen = [row for row in rows() if re.search(options.only, row.name)]
    if not chosen:
        sys.exit(f"no row matches --only={options.only}")
    table = []
    for row in chosen:
        table.append(compare(row, options))
        print(f"{len(table)}/{len(chosen)} {row.name}", file=sys.stderr, flush=True)
    show(table)
    write(options.json, table)


if __name__ == "__main__":
    main()
