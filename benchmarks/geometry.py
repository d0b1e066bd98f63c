"""Overlaps, suppression and RoIAlign against plain numpy and torchvision's Python.

    python benchmarks/geometry.py --cores=0 --json=benchmarks/results/geometry_cpu.json

Milliseconds a call, and time over numpy's and torchvision's (below 1: cnnlab is faster), medians of
neighboring blocks. Results are compared before anything is timed. torchvision's compiled operators
are used where they are installed; else its RoIAlign is that in Python, and its NMS a greedy loop of
PyTorch. numpy's NMS is the loop of Fast R-CNN. CPU time, on one core unless --cores says otherwise,
and freed memory stays with the process, as in layers_vs_torch.py. Needs torch and torchvision (make
test-parity).
"""

import os
import statistics
import sys
from pathlib import Path

import numpy as np
from layers_vs_torch import KEEP_MEMORY
from timing import alternate, arguments, pin, ratio, show, write

IMAGES, BOXES, KEPT, THRESHOLD = 16, 1000, 300, 0.7
SIZE, SCALE, SIDE = (7, 7), 0.25, 800


def proposals(images, count, side=SIDE):
    """Return boxes of which half lie about 30 objects an image, and scores."""
    rng = np.random.default_rng(0)
    near = rng.integers(0, 30, (images, count // 2))
    centers, sides = (
        rng.uniform(0, side, (images, 30, 2)),
        np.exp(rng.normal(4, 0.8, (images, 30, 2))),
    )
    centers, sides = (np.take_along_axis(x, near[..., None], 1) for x in (centers, sides))
    centers = centers + rng.normal(0, 0.15, centers.shape) * sides
    sides = sides * np.exp(rng.normal(0, 0.2, sides.shape))
    rest = (images, count - count // 2, 2)
    centers = np.concatenate([centers, rng.uniform(0, side, rest)], axis=1)
    half = np.concatenate([sides, np.exp(rng.normal(4, 0.8, rest))], axis=1) / 2
    boxes = np.concatenate([centers - half, centers + half], axis=-1)
    return boxes.astype(np.float32), rng.random((images, count)).astype(np.float32)


def numpy_iou(first, second):
    """Return the IoU of every pair."""
    low = np.maximum(first[:, None, :2], second[:, :2])
    high = np.minimum(first[:, None, 2:], second[:, 2:])
    both = np.maximum(high - low, 0).prod(-1)
    areas = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (first, second)]
    return both / (areas[0][:, None] + areas[1] - both)


def numpy_nms(boxes, scores):
    """Return the rows that the greedy loop keeps."""
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left) and len(kept) < KEPT:
        kept.append(left[0])
        left = left[1:][numpy_iou(boxes[left[:1]], boxes[left[1:]])[0] <= THRESHOLD]
    return np.array(kept)


def xyxy(boxes):
    """Return torchvision's boxes."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(boxes[..., [1, 0, 3, 2]]))


def overlaps(ops):
    """Return calls that compute the IoU of 10,000 boxes with 100."""
    import jax

    from cnnlab.geometry.iou import pairwise_iou

    first, second = proposals(1, 10_000)[0][0], proposals(1, 100)[0][0]
    ours, placed = jax.jit(pairwise_iou), jax.device_put((first, second))
    theirs = xyxy(first), xyxy(second)
    return {
        "cnnlab": lambda: jax.block_until_ready(ours(*placed)),
        "numpy": lambda: numpy_iou(first, second),
        "torchvision": lambda: ops.box_iou(*theirs).numpy(),
    }


def suppression(ops):
    """Return calls that keep the best 300 of 1,000 boxes of every image."""
    import jax
    import torch

    from cnnlab.geometry.nms import nms

    boxes, scores = proposals(IMAGES, BOXES)
    ours = jax.jit(jax.vmap(lambda b, s: nms(b, s, THRESHOLD, KEPT).rows))
    placed = jax.device_put((boxes, scores))
    theirs = list(zip(xyxy(boxes), torch.from_numpy(scores), strict=True))
    return {
        "cnnlab": lambda: jax.block_until_ready(ours(*placed)),
        "numpy": lambda: np.stack([numpy_nms(b, s) for b, s in zip(boxes, scores, strict=True)]),
        "torchvision": lambda: np.stack([ops.nms(*x, THRESHOLD)[:KEPT].numpy() for x in theirs]),
    }


def regions(ops, images, count, side, channels, *, gradient):
    """Return calls that pool the features of regions, and their gradient."""
    import jax
    import torch

    from cnnlab.layers.roi_align import roi_align

    rng = np.random.default_rng(0)
    maps = rng.normal(size=(images, side, side, channels)).astype(np.float32)
    boxes = proposals(images, count, side / SCALE)[0].clip(0, side / SCALE)
    dy = rng.normal(size=(images, count, *SIZE, channels)).astype(np.float32)

    def pool(x, b):
        one = lambda x, b: roi_align(x, b, SIZE, scale=SCALE, aligned=False)  # noqa: E731
        return jax.vmap(one)(x, b)

    def both(x, b, dy):
        pooled, pull = jax.vjp(lambda x: pool(x, b), x)
        return pooled, pull(dy)[0]

    ours = jax.jit(both if gradient else lambda x, b, _: pool(x, b))
    placed = jax.device_put((maps, boxes, dy))
    leaf = torch.from_numpy(maps.transpose(0, 3, 1, 2).copy()).requires_grad_()
    numbered, cotangent = list(xyxy(boxes)), torch.from_numpy(dy).flatten(0, 1).permute(0, 3, 1, 2)

    def theirs():
        if not gradient:
            with torch.no_grad():
                pooled = ops.roi_align(leaf, numbered, SIZE, SCALE, 2, False)
            return pooled.permute(0, 2, 3, 1).reshape(dy.shape).numpy()
        leaf.grad = None
        pooled = ops.roi_align(leaf, numbered, SIZE, SCALE, 2, False)
        pooled.backward(cotangent)
        pooled = pooled.detach().permute(0, 2, 3, 1).reshape(dy.shape).numpy()
        return pooled, leaf.grad.permute(0, 2, 3, 1).numpy()

    return {"cnnlab": lambda: jax.block_until_ready(ours(*placed)), "torchvision": theirs}


def rows(ops):
    """Yield the name and the calls of each row."""
    yield "IoU, 10,000 x 100", overlaps(ops)
    yield "NMS, 1,000 to 300, 16 images", suppression(ops)
    for images, count, side in ((16, 32, 16), (2, 256, 50)):
        for gradient in (False, True):
            name = f"RoIAlign, {images} x {count} of {side}² x 64 to 7²"
            calls = regions(ops, images, count, side, 64, gradient=gradient)
            yield f"{name}, {'with gradient' if gradient else 'forward'}", calls


def flat(results):
    """Return one or several arrays as one row of numbers."""
    several = results if isinstance(results, tuple) else (results,)
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in several])


def compare(name, calls, options):
    """Return the numbers of one row."""
    expected = flat(calls["torchvision"]())
    for other, call in calls.items():
        error = np.abs(flat(call()) - expected).max()
        if not error < 1e-4:
            raise SystemExit(f"{name}: {other} differs from torchvision by {error:.1e}")
    result: dict[str, object] = {"operation": name}
    for other in calls.keys() - {"cnnlab"}:
        pair = {key: calls[key] for key in ("cnnlab", other)}
        times = {key: t["cpu"] for key, t in alternate(pair, options.blocks, options.calls).items()}
        over = ratio(times["cnnlab"], times[other])
        result["ms"] = statistics.median(times["cnnlab"]) * 1e3
        result[f"over {other}"] = over["median"]
        result[f"over {other}, from"], result[f"over {other}, to"] = over["min"], over["max"]
    columns = ["operation", "ms"]
    columns += [
        f"over {o}{end}" for o in ("numpy", "torchvision") for end in ("", ", from", ", to")
    ]
    return {column: result.get(column, "") for column in columns}


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0", blocks=7, calls=3)
    options = parser.parse_args()
    if not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
    pin(options.cores)
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
    try:
        import torch
        from peers import torchvision_ops

        ops = torchvision_ops()
    except ImportError:
        sys.exit("torch or torchvision is missing: make test-parity installs them")
    torch.set_num_threads(len(options.cores.split(",")))
    table = []
    for name, calls in rows(ops):
        table.append(compare(name, calls, options))
        print(name, file=sys.stderr, flush=True)
    show(table)
    write(options.json, table)


if __name__ == "__main__":
    main()
