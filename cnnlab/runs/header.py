"""What a run says of itself before its first step: model, data, devices, length; unseen classes."""

import jax
import numpy as np
from rich.filesize import decimal

from cnnlab.training.setup import Setup


def header(parts: Setup) -> list[str]:
    """Return the lines: what trains, on what, where and for how long."""
    config, parallel = parts.config, parts.parallel
    count = sum(x.size for x in jax.tree.leaves(parts.state.params))
    held = sum(_bytes_a_device(x) for x in jax.tree.leaves(parts.state))
    splits = ", ".join(f"{data.count:,} {name}" for name, data in parts.evaluations.items())
    epochs = parts.steps * parts.batch_size / parts.train.count
    sharing = f", {parallel.strategy}" if parallel.devices > 1 else ""
    each = f", {parts.batch_size // parallel.devices} a device" if parallel.devices > 1 else ""
    dtype = config.model.get("dtype", "float32")
    return [
        f"model    {config.model.name}: {count:,} parameters, {dtype}; "
        f"state of {decimal(held)}{' a device' if parallel.devices > 1 else ''}",
        f"data     {parts.train.source.info.name}: {parts.train.count:,} train; {splits or 'none'}",
        f"devices  {parallel.devices} {parallel.platform}{sharing}; "
        f"batches of {parts.batch_size}{each}",
        f"length   {parts.steps:,} steps, {epochs:.4g} epochs",
    ]


def unseen_classes(parts: Setup) -> list[str]:
    """Return a line for each split with classes that no training example has."""
    experiment = parts.experiment
    if not experiment.predicts_labels:
        return []
    key = getattr(experiment, "target", "label")
    trained = parts.train.integers().get(key)
    if trained is None:
        return []
    lines = []
    for name, split in parts.evaluations.items():
        labels = split.integers().get(key)
        if labels is None or not len(labels):
            continue
        unseen = float(np.isin(labels, trained, invert=True).mean())
        if unseen:
            lines.append(
                f"{unseen:.0%} of the examples of '{name}' are of classes that no training "
                f"example has: accuracy there is at most {1 - unseen:.0%}"
            )
    return lines


def _bytes_a_device(array: jax.Array) -> int:
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    shape = array.sharding.shard_shape(array.shape)
    return int(np.prod(shape)) * array.dtype.itemsize
