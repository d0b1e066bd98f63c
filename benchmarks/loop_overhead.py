"""How much longer a step takes in the training loop than alone.

    python benchmarks/loop_overhead.py --json=benchmarks/results/loop_overhead_cpu.json

Alone: the compiled step, again and again on one batch that is on the device already. In the loop:
the same step with everything around it (batches from memory, their transfer, the meter, progress,
a record every 50 steps, looking for signals), but no evaluation and no checkpoint. CPU time counts
every thread's work, also what runs beside the step on another core and costs no wall time.
"""

import statistics
import tempfile
from pathlib import Path

import jax
from timing import alternate, arguments, pin, ratio, show, write

CASES = {
    "lenet5, batch 128": dict(model=dict(name="lenet5"), batch_size=128, size=32),
    "lenet5, batch 512": dict(model=dict(name="lenet5"), batch_size=512, size=32),
    "mlp 2048x2048, batch 256": dict(
        model=dict(name="mlp", hidden=(2048, 2048)), batch_size=256, size=32
    ),
}


def build(case, placement, steps):
    """Return a loop that is ready to run, in a folder of its own."""
    import experiments
    from cnnlab import config as cfg
    from cnnlab.training import setup
    from cnnlab.training.loop import Loop

    config = cfg.base()
    model = dict(case["model"])
    config.model = cfg.model(model.pop("name"), **model)
    config.experiment = cfg.experiment("supervised")
    resized = cfg.preprocess(resize={"size": case["size"], "mode": "exact"})
    config.data.train.preprocess = resized
    config.data.eval.preprocess = resized
    config.data.placement = placement
    config.batch_size = case["batch_size"]
    config.steps = steps
    config.optimizer.learning_rate = 1e-3
    config.log_every = 50
    # Neither evaluation nor checkpoints are part of what is measured.
    config.evaluate.splits, config.checkpoint.best = (), ""
    config.checkpoint.every = 10**9
    config.parallel.devices = 1
    if placement == "device" and jax.default_backend() != "cpu":
        config.steps_per_dispatch = 50
    experiment = experiments.create(config.experiment.to_dict(), config.model.to_dict())
    parts = setup.make(config.lock(), experiment)
    return Loop(parts, Path(tempfile.mkdtemp()))


def measure(name, case, placement, options):
    """Return a row of the table."""
    from cnnlab.training.interruption import Flag
    from cnnlab.training.progress import ProgressDisplay
    from cnnlab.training.writer import Writer

    loop = build(case, placement, 10**9)
    parts = loop.setup
    loop.writer = Writer(loop.workdir)
    loop.progress = ProgressDisplay(parts.steps, 0, parts.batch_size)
    size = parts.steps_per_dispatch
    batch = parts.parallel.place_batch(next(loop._batches(size)), scan=size > 1)
    # Under pmap it may still be on the host, and the bare step should not pay for the way.
    batch = jax.device_put(batch, parts.parallel.batch_sharding(size > 1))
    # Its own state: the loop's is given away to the next step.
    alone = {"state": jax.tree.map(lambda x: x.copy(), loop.state)}

    def bare():
        for _ in range(options.calls):
            alone["state"], report = parts.train_step(alone["state"], batch, parts.data)
        jax.block_until_ready(report)

    def looped():
        parts.steps = loop.step + options.calls * size
        loop._record = lambda: None if loop.step == parts.steps else type(loop)._record(loop)
        loop._save = lambda *_, **__: None
        loop._steps(Flag())
        jax.block_until_ready(loop.state)

    times = alternate({"bare": bare, "loop": looped}, options.blocks, 1)
    row = {"case": name, "data": placement}
    for clock in ("wall", "cpu"):
        longer = ratio(times["loop"][clock], times["bare"][clock])
        row[f"bare step, {clock} ms"] = (
            statistics.median(times["bare"][clock]) / options.calls / size * 1e3
        )
        row[f"{clock} overhead, %"] = (longer["median"] - 1) * 100
        row[f"{clock} from"] = (longer["min"] - 1) * 100
        row[f"{clock} to"] = (longer["max"] - 1) * 100
    return row


def main():
    parser = arguments(__doc__)
    parser.set_defaults(calls=100)
    parser.add_argument("--only", default="", help="cases with this in their name")
    options = parser.parse_args()
    pin(options.cores)
    rows = [
        measure(name, case, placement, options)
        for name, case in CASES.items()
        if options.only in name
        for placement in ("memory", "device")
    ]
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
