"""Checks of `gpu_check.py` that are timed: rates, attention, scan, ResNet-50, input, PyTorch.

A multiply-add (MAC) is two floating-point operations (FLOP); gradients cost two forward passes.
Shares are of what a large bfloat16 matrix product and a large copy reach in the same process.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
import time
import traceback
from pathlib import Path
from unittest import SkipTest

import input_pipeline
import jax
import jax.numpy as jnp
import models_vs_torch
import numpy as np
from device_rates import device_rates, fastest, shares
from gpu_numerics import config_of, error, setup_of

from cnnlab import config as cfg

NO_MEMORY = "RESOURCE_EXHAUSTED|out of memory"  # as JAX says it, and PyTorch


def rates(tiny):
    """Measure matrix products in three precisions, and a copy."""
    settings = {
        "bfloat16": ("bfloat16", None),
        "float32 default": ("float32", None),
        "float32 full": ("float32", "float32"),
    }
    products = {}
    for name, (dtype, precision) in settings.items():
        with jax.default_matmul_precision(precision):
            product, copy = device_rates(256 if tiny else 8192, dtype)
        products[name] = product / 1e12
    line = ", ".join(f"{name} {rate:.2f} TFLOP/s" for name, rate in products.items())
    return {"line": f"{line}; copy {copy / 1e9:.1f} GB/s", "TFLOP/s": products, "GB/s": copy / 1e9}


def attention(tiny):
    """Compare and time fused attention and the formula, forward and backward, in bfloat16."""
    from cnnlab.layers.attention.dot_product import attention as formula

    b, t, heads, d = shape = (2, 64, 2, 32) if tiny else (8, 2048, 16, 64)
    q, k, v, weights = jax.random.normal(jax.random.key(0), (4, *shape), jnp.bfloat16)
    fused = "cudnn" if jax.default_backend() == "gpu" else "xla"

    def of_formula(q, k, v):
        return formula(*(jnp.swapaxes(x, 1, 2) for x in (q, k, v))).swapaxes(1, 2)

    def of_fused(q, k, v):
        return jax.nn.dot_product_attention(q, k, v, implementation=fused)

    def both(attend):
        def value(q, k, v):
            out = attend(q, k, v)
            return jnp.sum((out * weights).astype(jnp.float32)), out

        return jax.jit(jax.value_and_grad(value, (0, 1, 2), has_aux=True))

    with jax.default_matmul_precision("float32"):
        expected = both(of_formula)(*(x.astype(jnp.float32) for x in (q, k, v)))
    # Two products of matrices, and twice as many backward.
    operations = 2 * 3 * 2 * b * heads * t**2 * d
    words, errors, ms = [], {}, {}
    for name, run in {"formula": both(of_formula), fused: both(of_fused)}.items():
        errors[name] = error(run(q, k, v)[1], expected[1])
        errors[name] = max(errors[name], error(run(q, k, v)[0][1], expected[0][1]))
        seconds = fastest(lambda run=run: run(q, k, v))
        ms[name] = seconds * 1e3
        words.append(f"{name} {ms[name]:.2f} ms, {operations / seconds / 1e12:.3g} TFLOP/s")
        words.append(f"error {errors[name]:.1e}")
    return {
        "line": f"batch, tokens, heads, d {shape}: {', '.join(words)} (bound 2e-02)",
        "passed": all(e <= 2e-2 for e in errors.values()),
        "errors": errors,
        "ms": ms,
    }


def fabricate(folder, shape, classes):
    """Write random images [n, h, w, c] and labels; return the name of the source."""
    rng = np.random.default_rng(0)
    labels = np.arange(shape[0]) % classes
    np.savez(f"{folder}/images.npz", image=rng.integers(0, 256, shape, np.uint8), label=labels)
    return f"npz:{folder}/images.npz"


def scan(tiny):
    """Train ResNet-20 in the loop on images of CIFAR's size that lie on the device."""
    from cnnlab.training.loop import Loop

    model, count, batch, every = ("lenet5", 64, 8, 2) if tiny else ("resnet20", 50_000, 128, 100)
    found = {}
    for steps in (1, 2 if tiny else 50):
        with tempfile.TemporaryDirectory() as folder:
            source = fabricate(folder, (count, 32, 32, 3), 10)
            config = config_of(source, model, 10, batch)
            config.data.train.augment = cfg.augment(flip={}, pad_crop={"padding": 4})
            config.steps_per_dispatch, config.log_every = steps, every
            config.steps = 10 * every
            loop = Loop(setup_of(config), Path(folder))
            loop.run()
            loop.checkpoints.close()
            lines = Path(folder, "metrics.jsonl").read_text().splitlines()
        speeds = [json.loads(line)["time/examples_per_second"] for line in lines]
        found[steps] = statistics.median(speeds[1:])
    text = ", ".join(
        f"{steps} a dispatch {speed:,.0f} images/s, {50_000 / speed:.2f} s an epoch of 50,000"
        for steps, speed in found.items()
    )
    return {"line": f"{model}, steps of {batch}, float32: {text}", "images/s": found}


def _largest(measure, batch):
    """Return `measure` of the largest batch, halved again and again, that there is memory for."""
    while True:
        try:
            return measure(batch)
        except Exception as why:
            if not re.search(NO_MEMORY, str(why)) or batch <= 8:
                raise
        batch //= 2


def resnet50(tiny):
    """Time the trainer's step of ResNet-50 in bfloat16."""
    return _largest(lambda batch: _trainer(batch, tiny), 4 if tiny else 256)


def _trainer(batch, tiny):
    from cnnlab.analysis.summary import summarize

    model, size = ("lenet5", 32) if tiny else ("resnet50_v15", 224)
    with tempfile.TemporaryDirectory() as folder:
        source = fabricate(folder, (2 * batch, size, size, 3), 2)
        config = config_of(source, model, 1000, batch, dtype="bfloat16")
        config.optimizer.learning_rate = 0.01
        parts = setup_of(config)
    rows, state, blocks = parts.parallel.place_batch(next(parts.train.batches(0))), parts.state, []
    step = parts.train_step.lower(state, rows, parts.data).compile()
    for n in (1, 1) if tiny else (5, 20, 20, 20):
        start = time.perf_counter()
        for _ in range(n):
            state, report = step(state, rows, parts.data)
        jax.block_until_ready(report)
        blocks.append((time.perf_counter() - start) / n)
    seconds = statistics.median(blocks[1:])
    macs = summarize(parts.experiment.model, (1, size, size, 3)).total.macs * batch
    moved = float((step.cost_analysis() or {}).get("bytes accessed", float("nan")))
    reached = shares(macs, True, moved, seconds, *device_rates(256 if tiny else 8192))
    loss = float(jax.device_get(report).metrics["loss"].compute())
    operations = 3 * 2 * macs / seconds / 1e12
    line = (
        f"{model}, {batch} of {size}x{size}, bfloat16: {batch / seconds:,.1f} images/s, "
        f"{seconds * 1e3:.1f} ms, {macs / batch / 1e9:.3g} GMAC an image forward, "
        f"{operations:.3g} TFLOP/s, {reached['of matrix rate']:.2f} of the matrix rate, "
        f"{reached['of bandwidth']:.2f} of bandwidth; loss {loss:.2f}"
    )
    values = {"batch": batch, "images/s": batch / seconds, "TFLOP/s": operations, "blocks": blocks}
    return {"line": line, "passed": bool(np.isfinite(loss)), **values, **reached}


def jpegs(tiny):
    """Time JPEGs through Grain: decoded, cropped at random and resized to 224 by all cores."""
    cores = len(os.sched_getaffinity(0))
    if tiny:
        input_pipeline.CIFAR, input_pipeline.JPEGS = 8, 32
    crop, found = cfg.preprocess(random_resized_crop={"size": 224}), {}
    batch, seconds = (8, 0.2) if tiny else (128, 5.0)
    with tempfile.TemporaryDirectory() as folder:
        _, photos = input_pipeline.fabricate(Path(folder))
        for threads in sorted({8, cores}):
            case = (photos, "grain", False, crop, batch, seconds, threads)
            found[threads] = input_pipeline.rate(*case)
    text = ", ".join(f"{threads} threads {speed:,.0f}" for threads, speed in found.items())
    return {"line": f"300x400 to 224, {cores} cores, images/s: {text}", "images/s": found}


def torch_resnet50(tiny):
    """Compare a step of ResNet-50 with PyTorch's, compiled, channels last, in bfloat16."""
    try:
        import torch
    except ImportError:
        raise SkipTest("PyTorch is missing") from None
    gpu = jax.default_backend() == "gpu"
    if gpu and not torch.cuda.is_available():
        raise SkipTest(f"PyTorch {torch.__version__} sees no GPU")
    case = ("ResNet-50", "resnet50_v15", "resnet50")
    size, widths = 224, {}
    if tiny:
        case, size, widths = ("ResNet-20", "resnet20", "resnet20"), 8, {"widths": (4, 8, 16)}
    options = argparse.Namespace(compile=not tiny, calls=1 if tiny else 10, blocks=3)

    def measure(batch):
        shape = (batch, size, size, 3)
        made = models_vs_torch.Case(*case, shape, 10 if tiny else 1000, fields=widths, given=widths)
        try:
            return models_vs_torch.compare(made, options, gpu)
        except Exception as why:
            if not options.compile or re.search(NO_MEMORY, str(why)):
                raise
            traceback.print_exc()  # it may lack a C compiler
            options.compile = False
            return models_vs_torch.compare(made, options, gpu)

    rows = _largest(measure, 4 if tiny else 256)
    peers = [(r["PyTorch"], r["PyTorch's ms"], r["ratio"]) for r in rows]
    theirs = ", ".join(f"{name} {ms:.1f} ({ratio:.2f})" for name, ms, ratio in peers)
    line = "{model}, {images}: {ms:.1f} ms, {images/s:,.1f} images/s".format(**rows[0])
    return {"line": f"{line}; PyTorch's ms (our time over it): {theirs}", "rows": rows}
