"""Whole models against PyTorch: a step of training, or the forward pass, in one run.

    python benchmarks/models_vs_torch.py --json=benchmarks/results/models_vs_torch_cpu.json
    python benchmarks/models_vs_torch.py --only=resnet50 --compile --blocks=5

A step is forward pass, softmax cross-entropy, gradients, BatchNorm's running statistics, and SGD
with momentum; both start from the same weights, and their first losses (or logits) are compared
before anything is timed. PyTorch runs eagerly in its default and in its channels-last layout, and
with --compile through torch.compile (channels last; needs a C++ compiler). Needs torch
(requirements-parity.txt). CPU time on one core unless --cores says otherwise.

On a GPU, if both libraries see one: wall time, bfloat16 (PyTorch by autocast), larger batches, and
shares of what a large matrix product and a large copy reach in the same run (`device_rates`).
"""

import itertools
import math
import re
import statistics
import sys
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from device_rates import device_rates, shares
from timing import alternate, arguments, pin, ratio, show, write

RATE, MOMENTUM = 0.01, 0.9


@dataclass(frozen=True)
class Case:
    """A model of cnnlab, its peer in `torch_models`, and what goes in.

    Attributes:
        name: in the table.
        model: name in cnnlab.
        peer: name in `torch_models`.
        shape: of the images [b, h, w, c].
        classes: number of them.
        train: whether it is a step of training; else the forward pass in inference.
        fields: of the model; `given` likewise of the peer.
    """

    name: str
    model: str
    peer: str
    shape: tuple[int, int, int, int]
    classes: int = 1000
    train: bool = True
    fields: dict = field(default_factory=dict)
    given: dict = field(default_factory=dict)


def cases(gpu: bool = False) -> list[Case]:
    """Return what is compared; larger batches and images on a GPU."""

    def images(batch, size):
        return (256, 224, 224, 3) if gpu else (batch, size, size, 3)

    google = partial(Case, peer="GoogLeNet", shape=images(8, 224), train=False)
    return [
        Case("ResNet-50", "resnet50_v15", "resnet50", images(16, 128)),
        Case("ResNet-20", "resnet20", "resnet20", (1024 if gpu else 128, 32, 32, 3), 10),
        Case("MobileNet v1", "mobilenet_v1", "MobileNet", images(8, 128)),
        Case("VGG-16", "vgg16", "VGG16", images(4, 224), train=False),
        google("GoogLeNet, BatchNorm", "googlenet_torchvision"),
        google("GoogLeNet", "googlenet", given={"norm": False}),
    ]


def data(case: Case):
    """Return images and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, case.classes, case.shape[0])
    return rng.normal(size=case.shape).astype(np.float32), labels


class Ours:
    """The model in cnnlab; calling it with n runs n steps and returns the last loss or logits."""

    def __init__(self, case: Case, *, dtype: str = "float32"):
        import jax
        import optax

        from cnnlab import models
        from cnnlab.losses.classification import softmax_cross_entropy
        from cnnlab.training import initial_values

        model = models.create(case.model, num_classes=case.classes, dtype=dtype, **case.fields)
        images, labels = jax.device_put(data(case))
        _, initial = initial_values.trace(lambda: model.init(jax.random.key(0), images))
        variables = jax.device_put(initial(), may_alias=False)
        self.params, moving = variables["params"], variables.get("batch_stats", {})
        optimizer = optax.sgd(RATE, MOMENTUM)

        def train(params, moving, moments, images, labels):
            def loss_of(params):
                state = {"params": params, "batch_stats": moving}
                (logits, _), new = model.apply(state, images, train=True, mutable=["batch_stats"])
                return softmax_cross_entropy(logits, labels).mean(), new.get("batch_stats", {})

            (loss, moving), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
            updates, moments = optimizer.update(grads, moments)
            return optax.apply_updates(params, updates), moving, moments, loss

        def forward(params, moving, images):
            return model.apply({"params": params, "batch_stats": moving}, images)[0]

        if case.train:
            # Donated arrays are gone after a step; `params` are for the peers.
            state = (jax.tree.map(lambda x: x.copy(), self.params), moving)
            self.state = [(*state, optimizer.init(state[0]))]
            self.compiled = jax.jit(train, donate_argnums=(0, 1, 2)).lower(
                *self.state[0], images, labels
            )
            self.inputs = images, labels
        else:
            self.state = [(self.params, moving)]
            self.compiled = jax.jit(forward).lower(*self.state[0], images)
            self.inputs = (images,)
        self.train = case.train
        self.compiled = self.compiled.compile()

    def __call__(self, steps: int) -> np.ndarray:
        for _ in range(steps):
            if self.train:
                *self.state[0], result = self.compiled(*self.state[0], *self.inputs)
            else:
                result = self.compiled(*self.state[0], *self.inputs)
        return np.asarray(result, np.float32)

    def bytes(self) -> float:
        """Return how many bytes a step reads and writes, as XLA counts them."""
        return float((self.compiled.cost_analysis() or {}).get("bytes accessed", math.nan))


def peer(case: Case, params, *, channels_last=False, compiled=False, device="cpu"):
    """Return the same for PyTorch, from the same weights; on a GPU in bfloat16 by autocast."""
    import torch
    import torch_models

    net = getattr(torch_models, case.peer)(case.classes, **case.given)
    torch_models.copy_weights(net, params)
    torch.backends.cudnn.benchmark = True  # the fastest algorithms, as XLA looks for them
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(device, memory_format=layout).train(case.train)
    images, labels = data(case)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(device, memory_format=layout)
    y = torch.from_numpy(labels).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def result_of(x, y):
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            logits = net(x)
        return torch.nn.functional.cross_entropy(logits.float(), y) if case.train else logits

    function = torch.compile(result_of) if compiled else result_of

    def run(steps):
        for _ in range(steps):
            if case.train:
                optimizer.zero_grad()
                result = function(x, y)
                result.backward()
                optimizer.step()
            else:
                with torch.no_grad():
                    result = function(x, y)
        return result.detach().float().cpu().numpy()

    return run


def check(case: Case, contestants, tolerance: float) -> None:
    """Stop unless all give the same first loss, or logits: else they are not the same network."""
    results = {name: np.asarray(run(1)) for name, run in contestants.items()}
    expected = next(iter(results.values()))
    for name, found in results.items():
        error = np.abs(found - expected).max() / np.abs(expected).max()
        if not error < tolerance:
            raise SystemExit(f"{case.name}: {name} differs by {error:.1e}")


def on_gpu() -> bool:
    import jax
    import torch

    return jax.default_backend() == "gpu" and torch.cuda.is_available()


def compare(case: Case, options, gpu: bool = False) -> list[dict[str, object]]:
    """Return a row for each peer: milliseconds, and our time over PyTorch's."""
    ours = Ours(case, dtype="bfloat16" if gpu else "float32")
    device = "cuda" if gpu else "cpu"
    make = partial(peer, case, ours.params, device=device)
    peers = {"eager": make(), "channels last": make(channels_last=True)}
    if options.compile:
        peers["compiled, channels last"] = make(channels_last=True, compiled=True)
    contestants = {"cnnlab": ours, **peers}
    check(case, contestants, 5e-2 if gpu else 2e-4)
    blocks = {name: partial(run, options.calls) for name, run in contestants.items()}
    clock = "wall" if gpu else "cpu"
    times = {name: t[clock] for name, t in alternate(blocks, options.blocks, 1).items()}
    seconds = statistics.median(times["cnnlab"]) / options.calls
    rows = []
    for theirs in peers:
        found = ratio(times["cnnlab"], times[theirs])
        rows.append(
            {
                "model": case.name,
                "images": "x".join(map(str, case.shape[:3])),
                "what": "training step" if case.train else "forward",
                "PyTorch": theirs,
                "ms": seconds * 1e3,
                "PyTorch's ms": statistics.median(times[theirs]) / options.calls * 1e3,
                "ratio": found["median"],
                "from": found["min"],
                "to": found["max"],
                "images/s": case.shape[0] / seconds,
                **(reached(case, ours, seconds) if gpu else {}),
            }
        )
    return rows


def reached(case: Case, ours: Ours, seconds: float) -> dict[str, float]:
    """Return the shares of the device's rates that a step reaches, measured now."""
    from cnnlab import models
    from cnnlab.analysis.summary import summarize

    macs = summarize(models.create(case.model, **case.fields), (1, *case.shape[1:])).total.macs
    return shares(macs * case.shape[0], case.train, ours.bytes(), seconds, *device_rates())


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0", calls=1, blocks=7)
    parser.add_argument("--only", default="", help="models whose name matches this pattern")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (C++ compiler)")
    options = parser.parse_args()
    pin(options.cores)
    rows = list(itertools.chain(*_compare_all(options)))
    if not rows:
        sys.exit(f"no model matches --only={options.only}")
    show(rows)
    write(options.json, rows)


def _compare_all(options):
    try:
        import torch
    except ImportError:
        sys.exit("torch is missing: pip install -r requirements-parity.txt")
    torch.set_num_threads(len(options.cores.split(",")))
    from cnnlab.utils.malloc import keep_freed_memory

    keep_freed_memory()  # as launch.py does; in one process it helps both
    gpu = on_gpu()
    options.compile |= gpu
    for case in cases(gpu):
        if re.search(options.only, f"{case.name} {case.model}"):
            yield compare(case, options, gpu)
            print(case.name, "done", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
