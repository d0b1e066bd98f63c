"""Small configs and runs that the tests share: quick to compile, real in every other respect."""

from pathlib import Path

import experiments
from cnnlab import config as cfg
from cnnlab.training import setup
from cnnlab.training.loop import Loop


def config(**changes):
    """Return a small MLP on the digits; `changes` are dotted names with __ for the dot."""
    small = cfg.base()
    small.experiment = cfg.experiment("supervised")
    small.model = cfg.model("mlp", hidden=(16,))
    small.steps = 12
    small.batch_size = 16
    small.log_every = 5
    small.optimizer.learning_rate = 0.1
    small.evaluate.every = 4
    small.evaluate.batch_size = 64
    small.checkpoint.every = 4
    small.parallel.devices = 1
    with small.unlocked():
        for name, value in changes.items():
            *path, last = name.split("__")
            entry = small
            for part in path:
                entry = entry[part]
            entry[last] = value
    return small.lock()


def build(settings):
    """Return the `Setup` of a config."""
    experiment = experiments.create(
        settings.experiment.to_dict(), settings.model.to_dict(), sync_bn=settings.parallel.sync_bn
    )
    return setup.make(settings, experiment)


def train(settings, workdir: Path):
    """Train in a folder, or go on there; return the loop and its last state."""
    workdir.mkdir(parents=True, exist_ok=True)
    loop = Loop(build(settings), workdir)
    state, _, _ = loop.run()
    loop.checkpoints.close()
    return loop, state
