"""Checks of `gpu_check.py` that compare: the device with CPU, strategies, and resumed runs.

The reference is the same function in float32 on CPU. The error of an array is ||found - expected||
over ||expected||, which is taken to be at least a hundredth of that of all arrays together.
`float32` asks for full precision of products; `default` is what training runs in (on NVIDIA TF32,
with operands of 10 bits); `bfloat16` computes in it. Of whole networks these two compare the loss
and the new statistics alone: at its start a network's gradients magnify what is rounded.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

PRECISIONS = {"float32": "float32", "default": None, "bfloat16": None}
BOUNDS = {
    "layers": {"float32": 1e-4, "default": 1e-2, "bfloat16": 5e-2},
    "losses": {"float32": 1e-4, "default": 1e-2},
    "models": {"float32": 5e-3, "default": 2e-2, "bfloat16": 1e-1},
}
SECONDS = 70  # after which no further comparison begins


def layers(tiny):
    """Compare the layers of the catalog: results, gradients of parameters and inputs."""
    from cnnlab.layers.catalog import LAYERS

    chosen = list(LAYERS)[:: 8 if tiny else 1]
    return _compare("layers", {name: partial(_layer, LAYERS[name]) for name in chosen})


def _layer(row):
    module, inputs = row.module(), row.inputs(jax.random.key(1))
    state = dict(jax.jit(lambda *x: module.init(jax.random.key(0), *x, **row.call))(*inputs))
    params = state.pop("params", {})

    def function(dtype, params, state, *inputs):
        own = module.clone(dtype=dtype) if dtype and hasattr(module, "dtype") else module

        def value(params, inputs):
            mutable = list(state) if row.joint else False
            out = own.apply({"params": params, **state}, *inputs, mutable=mutable, **row.call)
            out = [y.astype(jnp.float32) for y in jax.tree.leaves(out[0] if mutable else out)]
            # Weighted: behind a normalization a plain sum has no gradient.
            return sum(
                jnp.sum(y * (1 + jnp.cos(jnp.arange(y.size)).reshape(y.shape))) for y in out
            ), out

        slope = jax.value_and_grad(value, (0, 1), has_aux=True, allow_int=True)
        (_, out), slopes = slope(params, inputs)
        return out, slopes

    return function, (params, state, *inputs)


def losses(tiny):
    """Compare the losses, and their gradients for logits or embeddings."""
    from cnnlab.losses import classification as c
    from cnnlab.losses.contrastive import contrastive
    from cnnlab.losses.info_nce import info_nce
    from cnnlab.losses.nt_xent import nt_xent
    from cnnlab.losses.triplet import triplet
    from cnnlab.losses.vicreg_barlow import barlow_twins, vicreg

    n = 16 if tiny else 32
    labels = jnp.arange(n) % 4
    table = {
        "softmax": lambda a, b: c.softmax_cross_entropy(a, labels),
        "sigmoid": lambda a, b: c.sigmoid_cross_entropy(a, jax.nn.one_hot(labels, 64)),
        "contrastive": lambda a, b: contrastive(jnp.linalg.norm(a - b, axis=-1), labels == 0, 15.0),
        "batch_all": lambda a, b: triplet(a, labels, mining="batch_all")[0],
        "semi_hard": lambda a, b: triplet(a, labels, mining="semi_hard")[0],
        "nt_xent": lambda a, b: nt_xent(a, b)[0],
        "info_nce": lambda a, b: info_nce(a, b, jnp.arange(n))[0],
        "vicreg": lambda a, b: vicreg(a, b)[0],
        "barlow_twins": lambda a, b: barlow_twins(a, b)[0],
    }

    def case(loss):
        a, b = jax.random.normal(jax.random.key(0), (2, n, 64))
        return lambda _, a, b: jax.value_and_grad(lambda ab: jnp.mean(loss(*ab)))((a, b)), (a, b)

    return _compare("losses", {name: partial(case, loss) for name, loss in table.items()})


def models(tiny):
    """Compare loss, gradients and new statistics of whole networks in a step of training."""
    cases = {"lenet5": (8 if tiny else 64, 32, 32, 1)}
    if not tiny:
        cases |= {"resnet20": (64, 32, 32, 3), "mobilenet_v1": (32, 96, 96, 3)}
    return _compare("models", {name: partial(_model, name, shape) for name, shape in cases.items()})


def _model(name, shape):
    from cnnlab import models as lib
    from cnnlab.losses.classification import softmax_cross_entropy

    images, labels = jax.random.normal(jax.random.key(1), shape), jnp.arange(shape[0]) % 10
    state = dict(jax.jit(lib.create(name, num_classes=10).init)(jax.random.key(0), images))
    params = state.pop("params")

    def function(dtype, params, state, images):
        model = lib.create(name, num_classes=10, **({"dtype": dtype} if dtype else {}))

        def loss(params):
            given = {"params": params, **state}
            (logits, _), new = model.apply(given, images, train=True, mutable=list(state))
            return softmax_cross_entropy(logits, labels).mean(), new

        return jax.value_and_grad(loss, has_aux=True)(params)

    return function, (params, state, images)


def _compare(what, cases):
    """Run cases, which return a function and its arguments, on both devices, several at a time."""
    start, cpu, device = time.monotonic(), jax.devices("cpu")[0], jax.devices()[0]

    def errors(case):
        if time.monotonic() - start > SECONDS:
            return None
        with jax.default_device(cpu):
            function, arguments = case()
            # Of numbers that bfloat16 has: which of two is the larger must not hang on rounding.
            rounded = jax.tree.map(_rounded, arguments)
        reference, found = jax.jit(partial(function, None)), {}
        for name in BOUNDS[what]:
            half = name == "bfloat16"
            inputs = rounded if half else arguments
            run = jax.jit(partial(function, name if half else None))
            expected = _on(cpu, "float32", reference, inputs)
            result = _on(device, PRECISIONS[name], run, inputs)
            if what == "models" and name != "float32":
                result, expected = result[0], expected[0]
            found[name] = error(result, expected)
        return found

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        every = dict(zip(cases, pool.map(errors, cases.values()), strict=True))
    found = {name: e for name, e in every.items() if e}
    words, passed = [f"{len(found)} of {len(cases)} {what}"], bool(found)
    for precision, bound in BOUNDS[what].items() if found else ():
        of = {name: e[precision] for name, e in found.items()}
        beyond = [name for name, e in of.items() if not e <= bound]  # NaN too
        passed &= not beyond
        words.append(f"{precision} {np.max(list(of.values())):.1e} (bound {bound:.0e})")
        words += [f"beyond it {', '.join(beyond)}"] if beyond else []
    return {"line": "; ".join(words), "passed": passed, "errors": found}


def _rounded(x):
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    return x.astype(jnp.bfloat16).astype(x.dtype) if floating else x


def _on(device, precision, function, arguments):
    with jax.default_matmul_precision(precision):
        return jax.device_get(function(*jax.device_put(arguments, device)))


def error(found, expected) -> float:
    """Return the largest error of an array; see the top. Integers are left out."""
    pairs = [
        (np.asarray(a, np.float64), np.asarray(b, np.float64))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
        if jnp.issubdtype(np.asarray(b).dtype, jnp.floating)
    ]
    norms = [np.linalg.norm(b) for _, b in pairs]
    least = 0.01 * np.linalg.norm(norms) + 1e-30
    errors = [np.linalg.norm(a - b) / max(n, least) for (a, b), n in zip(pairs, norms, strict=True)]
    return float(np.max(errors))


def config_of(source, model, classes, batch, **fields):
    """Return the config of a run without evaluation, on one device."""
    from cnnlab import config as cfg

    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model(model, num_classes=classes, **fields)
    config.data.source, config.data.placement = source, "device"
    config.data.normalize = {"mean": (0.5,), "std": (0.25,)}
    config.data.eval.splits, config.evaluate.splits, config.checkpoint.best = {}, (), ""
    config.steps, config.batch_size, config.parallel.devices = 1000, batch, 1
    config.schedule.name, config.steps_per_dispatch = "constant", 1
    return config


def setup_of(config):
    """Return the `Setup` of a config."""
    import experiments
    from cnnlab.training import setup

    experiment = experiments.create(config.experiment.to_dict(), config.model.to_dict())
    return setup.make(config.lock(), experiment)


def strategies(tiny):
    """Take three steps under each strategy on one device, with the same batches."""
    from cnnlab.training.parallel import STRATEGIES

    jax.config.update("jax_default_matmul_precision", "float32")
    small = {"hidden": (64,), "norm": "batch"} if tiny else {"widths": (4, 8, 16)}
    after = {}
    for strategy in STRATEGIES:
        config = config_of("digits", "mlp" if tiny else "resnet20", 10, 64, **small)
        config.parallel.strategy = strategy
        parts = setup_of(config)
        state, batches = parts.state, parts.train.batches(0)
        for _ in range(3):
            batch = parts.parallel.place_batch(next(batches))
            state, _ = parts.train_step(state, batch, parts.data)
        after[strategy] = jax.device_get((state.params, state.model_state))
    first, *others = after
    errors = {name: error(after[name], after[first]) for name in others}
    text = ", ".join(f"{name} {e:.1e}" for name, e in errors.items())
    return {
        "line": f"state after 3 steps, errors from {first}'s: {text} (bound 1e-04)",
        "passed": all(e <= 1e-4 for e in errors.values()),
        "errors": errors,
    }


def resume(tiny):
    """Train through launch.py with `deterministic`; again from the middle, in another process."""
    steps = 8 if tiny else 400
    flags = {
        "deterministic": True,
        "steps": steps,
        "checkpoint.every": steps // 2,
        "representation.baselines": "()",
    }
    flags |= {"evaluate.every": steps // 2, "log_every": steps // 4, "parallel.devices": 1}
    flags |= {"data.placement": "device"}

    def train(folder):
        command = [sys.executable, "launch.py", "train", f"--workdir={folder}"]
        command += ["--config=configs/digits_lenet5.py"]
        command += [f"--config.{name}={value}" for name, value in flags.items()]
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip() or done.stdout.strip()).split("\n")[-1])
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rows = [{k: v for k, v in json.loads(x).items() if k[:5] != "time/"} for x in lines]
        position = folder / "checkpoints" / str(steps) / "position" / "metadata"
        saved = json.loads(position.read_text())
        return dict(zip(saved["leaves"], saved["fingerprint"], strict=True)), rows

    with tempfile.TemporaryDirectory() as parent:
        whole, cut = Path(parent, "whole"), Path(parent, "cut")
        expected, records = train(whole)
        # What a kill leaves behind: the checkpoint of the middle, and records of later steps.
        shutil.copytree(whole, cut)
        shutil.rmtree(cut / "checkpoints" / str(steps))
        (cut / "result.json").unlink()
        found, again = train(cut)
    differ = [name for name, checksum in expected.items() if found[name] != checksum]
    line = (
        f"resumed at step {steps // 2} of {steps}: {len(differ)} of {len(expected)} arrays differ"
    )
    line += f", the first {differ[0]}" if differ else ""
    same = records == again
    return {"line": line + ("" if same else "; records differ"), "passed": same and not differ}
