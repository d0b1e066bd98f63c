"""Bytes that a training step exchanges and holds on 1 to 8 devices, and the cost model's tables.

    python -m benchmarks.scaling --json=benchmarks/results/scaling.json

Compiles the training step of each model under each strategy for simulated devices and reads the
collectives off its text; nothing is run, so that nothing here is a time. The state's bytes on each
device are computed from its shapes and shardings. The convolutions are XLA's own, as on GPU and
TPU: the lowerings for CPU are not partitioned like them (--forms keeps these). BatchNorm
is that of the strategy: of each replica under pmap, of the whole batch under jit and fsdp.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from typing import Any, NamedTuple

from benchmarks.scaling import collectives, scaling_table
from benchmarks.scaling.collectives import Buffer
from benchmarks.timing import arguments, show, write

RESULT = "result: "
# Of the rows, what is printed.
PRINTED = {
    "collectives": (
        *("model", "strategy", "devices", "accumulation", "parameter bytes", "reduced gradients"),
        *("reduced statistics", "reduced other", "all-reduce count", "all-gather count"),
        *("all-gather bytes", "arguments", "temporary"),
    ),
}


class Case(NamedTuple):
    """A model, its images, and on how many devices its step is compiled."""

    model: str
    fields: dict[str, Any]
    size: tuple[int, int, int]
    images: int
    compiled: tuple[int, ...]


SMALL = {"depths": (1, 1, 1)}
CASES = (
    Case("resnet20", SMALL, (32, 32, 3), 8, (1, 2, 4, 8)),
    Case("resnet50", {}, (224, 224, 3), 32, (8,)),
    Case("vgg16", {}, (224, 224, 3), 32, (8,)),
)


class Step:
    """A training step under a strategy, not yet compiled.

    Attributes:
        state: shapes of the state.
        parallel: the strategy.
    """

    def __init__(self, case: Case, strategy: str, devices: int, accumulation: int = 1):
        """Build the step for `case.images` images on each of the devices."""
        import jax
        import jax.numpy as jnp

        import experiments
        from cnnlab import config as cfg
        from cnnlab.training import optimization, parallel, state, step
        from cnnlab.training.freeze import NOTHING

        config = cfg.base()
        config.model = cfg.model(case.model, **case.fields)
        config.experiment = cfg.experiment("supervised")
        experiment = experiments.create(config.experiment.to_dict(), config.model.to_dict())
        rate = config.optimizer.learning_rate
        schedule = optimization.make_schedule(config.schedule, rate, steps=100)
        optimizer = optimization.make_optimizer(config.optimizer, schedule, NOTHING, ())
        self.parallel = parallel.make(strategy, devices)
        rows = case.images * devices
        batch = {
            "image": jax.ShapeDtypeStruct((rows, *case.size), jnp.float32),
            "label": jax.ShapeDtypeStruct((rows,), jnp.int32),
        }

        def initial(batch):
            one = {name: x[:1] for name, x in batch.items()}
            return state.create(experiment.init(jax.random.key(0), one), optimizer, 0, ema=False)

        self.state = jax.eval_shape(initial, batch)
        train = step.make_train_step(
            experiment,
            optimizer,
            lambda batch, key, train: batch,
            accumulation=accumulation,
            unroll=False,
        )
        if strategy == "pmap":
            batch = {
                name: jax.ShapeDtypeStruct((devices, case.images, *x.shape[1:]), x.dtype)
                for name, x in batch.items()
            }
        wrapped = self.parallel.wrap(train, state=self.state, train=True)
        self.lower = lambda: wrapped.lower(self.state, batch, {})

    def held(self, tree: Any) -> int:
        """Return the bytes of a part of the state on each device."""
        import jax

        leaves, shardings = (jax.tree.leaves(t) for t in (tree, self.parallel.state_sharding(tree)))
        return sum(
            math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf, sharding in zip(leaves, shardings, strict=True)
        )


def memory(case: Case, step: Step, strategy: str) -> dict[str, object]:
    """Return the bytes that each device holds between steps; gradients come while one runs."""
    state = step.state
    return {
        "part": "memory",
        "model": case.model,
        "strategy": strategy,
        "devices": step.parallel.devices,
        "parameters": step.held(state.params),
        "optimizer": step.held(state.opt_state),
        "statistics": step.held(state.model_state),
        "state": step.held(state),
        "gradients": step.held(state.params),
    }


def exchanged(case: Case, step: Step, strategy: str, accumulation: int = 1) -> dict[str, object]:
    """Compile a step; return its collectives, counted and sized, and what XLA says it holds."""
    import jax

    def arrays(tree):
        return [Buffer("f32", x.shape) for x in jax.tree.leaves(tree) if x.dtype.kind == "f"]

    lowered = step.lower()
    compiled = lowered.compile()
    found = collectives.read(compiled.as_text())
    kinds = collectives.summarize(found, step.parallel.devices)
    reduced = [one for one in found if one.kind == "all-reduce"]
    parts = {
        "gradients": arrays(step.state.params),
        "statistics": arrays(step.state.model_state),
    }
    held = compiled.memory_analysis()
    row = {
        "part": "collectives",
        "model": case.model,
        "strategy": strategy,
        "devices": step.parallel.devices,
        "images": case.images,
        "accumulation": accumulation,
        "written": lowered.as_text().count("stablehlo.all_reduce"),
        "parameter bytes": sum(b.bytes for b in parts["gradients"]),
        **{f"reduced {k}": v for k, v in collectives.attribute(reduced, parts).items()},
        "largest": max((one.bytes for one in reduced), default=0),
    }
    for kind in ("all-reduce", "all-gather"):
        counts = kinds.pop(kind, {"count": 0, "arrays": 0, "bytes": 0})
        row |= {f"{kind} {name}": counts[name] for name in ("count", "arrays", "bytes")}
    row["other"] = {kind: counts["count"] for kind, counts in kinds.items()}
    row |= {"arguments": held.argument_size_in_bytes, "temporary": held.temp_size_in_bytes}
    return row


def on(devices: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the rows of all cases on a number of devices, in this process."""

    import cnnlab.layers.convolution.cpu

    if not options.forms:
        cnnlab.layers.convolution.cpu.select_in_float32 = lambda spec: None
    rows = []
    for case in CASES:
        if not re.search(options.only, case.model):
            continue
        for strategy in options.strategies.split(","):
            step = Step(case, strategy, devices)
            if strategy != "pmap":
                rows.append(memory(case, step, strategy))
            if devices in case.compiled:
                rows.append(exchanged(case, step, strategy))
                print(case.model, strategy, devices, "done", file=sys.stderr, flush=True)
            if devices == max(case.compiled) and case.fields:
                parts = Step(case, strategy, devices, accumulation=4)
                rows.append(exchanged(case, parts, strategy, accumulation=4))
    return rows


def measured(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the rows of all numbers of devices, each of a process of its own."""
    rows = []
    for count in options.devices.split(","):
        flags = f"--xla_force_host_platform_device_count={count}"
        # What the compiler exchanges does not depend on how well it compiles the rest.
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0",
        }
        command = [sys.executable, "-m", "benchmarks.scaling", *sys.argv[1:], f"--on={count}"]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        (line,) = [x for x in done.stdout.splitlines() if x.startswith(RESULT)]
        rows += json.loads(line.removeprefix(RESULT))
    return rows


def main():
    parser = arguments(__doc__)
    parser.add_argument("--devices", default="1,2,4,8", help="numbers of simulated devices")
    parser.add_argument("--strategies", default="pmap,jit,fsdp", help="which to compile")
    parser.add_argument("--only", default="", help="models whose name matches this pattern")
    parser.add_argument("--forms", action="store_true", help="keep the lowerings for CPU")
    parser.add_argument("--table", action="store_true", help="the time model alone")
    parser.add_argument("--on", type=int, default=0, help="this many devices, in this process")
    options = parser.parse_args()
    if options.on:
        print(RESULT + json.dumps(on(options.on, options)))
        return
    rows = []
    if not options.table:
        rows = measured(options)
    rows += [] if options.forms else scaling_table.rows()
    for part in dict.fromkeys(row["part"] for row in rows):
        print()
        these = [row for row in rows if row["part"] == part]
        columns = PRINTED.get(part) or [name for name in these[0] if name != "part"]
        show([{name: row[name] for name in columns} for row in these])
    write(options.json, rows)


if __name__ == "__main__":
    main()
