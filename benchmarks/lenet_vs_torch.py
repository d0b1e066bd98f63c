"""LeNet-5's training step against the same network in PyTorch, in one run.

    python benchmarks/lenet_vs_torch.py --json=benchmarks/results/lenet_vs_torch_cpu.json

Both: 61,706 parameters that start equal, softmax cross-entropy, SGD with momentum 0.9, the same
batch of scanned digits again and again (pixels decide branches, and so the time). `trainer` is the
step that the loop calls, which also turns uint8 images into normalised floats, counts the metrics
and looks for values that are not finite; `bare` has none of that, as PyTorch has none. Needs torch
(requirements-parity.txt). CPU time on one core unless --cores says otherwise; on a GPU, if both
libraries see one, wall time.
"""

import itertools
import statistics
import sys
from functools import partial

import numpy as np
from timing import alternate, arguments, pin, ratio, show, write

RATE, MOMENTUM = 0.01, 0.9
MEAN, STD = 0.3, 0.35


def build(batch_size):
    """Return the `Setup` of LeNet-5 on scanned digits of 32x32 pixels."""
    import experiments
    from cnnlab import config as cfg
    from cnnlab.training import setup

    config = cfg.base()
    config.experiment, config.model = cfg.experiment("supervised"), cfg.model("lenet5")
    config.data.train.preprocess = cfg.preprocess(resize={"size": 32, "mode": "exact"})
    config.data.eval.splits, config.evaluate.splits, config.checkpoint.best = {}, (), ""
    config.data.normalize = {"mean": (MEAN,), "std": (STD,)}
    config.steps, config.batch_size, config.parallel.devices = 10**9, batch_size, 1
    config.optimizer.learning_rate = RATE
    config.optimizer.sgd.momentum = MOMENTUM
    config.schedule.name = "constant"
    experiment = experiments.create(config.experiment.to_dict(), config.model.to_dict())
    return setup.make(config.lock(), experiment)


def trainer(parts, batch):
    """Return a function of n: n of the trainer's steps; it gives the last loss."""
    import jax

    state = [jax.tree.map(lambda x: x.copy(), parts.state)]

    def run(steps):
        for _ in range(steps):
            state[0], report = parts.train_step(state[0], batch, parts.data)
        return jax.device_get(report).metrics["loss"].compute()

    return run


def bare(parts, images, labels):
    """Return the same with forward pass, loss, gradients and update, and nothing else."""
    import jax
    import optax

    from cnnlab.losses.classification import softmax_cross_entropy

    model, optimizer = parts.experiment.model, optax.sgd(RATE, MOMENTUM)

    def step(params, moments, images, labels):
        def loss_of(params):
            logits, _ = model.apply({"params": params}, images, train=True)
            return softmax_cross_entropy(logits, labels).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, moments = optimizer.update(grads, moments)
        return optax.apply_updates(params, updates), moments, loss

    compiled = jax.jit(step, donate_argnums=(0, 1))
    placed = jax.device_put((images, labels))
    params = jax.tree.map(lambda x: x.copy(), parts.state.params)
    state = [(params, optimizer.init(params))]

    def run(steps):
        for _ in range(steps):
            *state[0], loss = compiled(*state[0], *placed)
        return float(loss)

    return run


def peer(parts, images, labels, *, compiled=False, channels_last=False):
    """Return the same for PyTorch, from the same weights."""
    import torch
    import torch_models
    from torch import nn

    device = "cuda" if on_gpu() else "cpu"
    net = torch_models.lenet5()
    layers = [layer for layer in net if hasattr(layer, "weight")]
    with torch.no_grad():
        for name, layer in zip(("c1", "c3", "c5", "f6", "logits"), layers, strict=True):
            weights = parts.state.params[name]
            kernel = np.moveaxis(np.asarray(weights["kernel"]), (-1, -2), (0, 1))
            layer.weight.copy_(torch.from_numpy(kernel.copy()))
            layer.bias.copy_(torch.from_numpy(np.asarray(weights["bias"]).copy()))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(device, memory_format=layout)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(device, memory_format=layout)
    y = torch.from_numpy(labels.astype(np.int64)).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def loss_of(x, y):
        return nn.functional.cross_entropy(net(x), y)

    forward = torch.compile(loss_of) if compiled else loss_of

    def run(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = forward(x, y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


def on_gpu():
    import jax
    import torch

    return jax.default_backend() == "gpu" and torch.cuda.is_available()


def check(contestants, steps=5):
    """Stop unless all give the same losses, step after step: else they are not the same network.

    To rounding at first; later less so, since a ReLU near 0 may round to either side.
    """
    losses = {name: [run(1) for _ in range(steps)] for name, run in contestants.items()}
    expected = next(iter(losses.values()))
    for name, values in losses.items():
        if not (np.isclose(values[0], expected[0], 1e-5) and np.allclose(values, expected, 0.02)):
            raise SystemExit(f"{name} has losses {values}, not {expected}")


def compare(batch_size, options):
    """Return a row for each pair: milliseconds a step, and our time over PyTorch's."""
    import jax

    parts = build(batch_size)
    host = next(parts.train.batches(0))
    images = ((host["image"] / 255 - MEAN) / STD).astype(np.float32)
    data = (parts, images, host["label"])
    placed = jax.device_put(parts.parallel.place_batch(host), parts.parallel.batch_sharding())
    ours = {
        "trainer": trainer(parts, placed),
        "bare": bare(*data),
    }
    peers = {"eager": peer(*data), "channels last": peer(*data, channels_last=True)}
    if options.compile:
        peers["compiled"] = peer(*data, compiled=True)
    contestants = {**ours, **peers}
    check(contestants)
    blocks = {name: partial(run, options.calls) for name, run in contestants.items()}
    clock = "wall" if on_gpu() else "cpu"
    times = {name: t[clock] for name, t in alternate(blocks, options.blocks, 1).items()}
    rows = []
    for mine, theirs in itertools.product(ours, peers):
        found = ratio(times[mine], times[theirs])
        rows.append(
            {
                "batch": batch_size,
                "cnnlab": mine,
                "PyTorch": theirs,
                "ms": statistics.median(times[mine]) / options.calls * 1e3,
                "PyTorch's ms": statistics.median(times[theirs]) / options.calls * 1e3,
                "ratio": found["median"],
                "from": found["min"],
                "to": found["max"],
            }
        )
    return rows


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0")
    parser.add_argument("--batch_sizes", default="128", help="as 64,128")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (C++ compiler)")
    options = parser.parse_args()
    pin(options.cores)
    try:
        import torch
    except ImportError:
        sys.exit("torch is missing: pip install -r requirements-parity.txt")
    torch.set_num_threads(len(options.cores.split(",")))
    from cnnlab.utils.malloc import keep_freed_memory

    keep_freed_memory()  # as launch.py does; in one process it helps both
    rows = [row for size in options.batch_sizes.split(",") for row in compare(int(size), options)]
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
