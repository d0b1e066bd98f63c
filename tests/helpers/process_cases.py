"""Steps of tiny runs whose numbers must not depend on how many processes share the devices."""

import average_precision_objective as ranked
import jax
import numpy as np
import objectives
import small

from cnnlab import config as cfg
from cnnlab.training.state import leaf_names

# Wide enough that fsdp shards it.
OBJECTIVES = {
    "supervised": dict(
        experiment=cfg.experiment("supervised"),
        model=cfg.model("mlp", hidden=(128,), norm="batch"),
        data__train__augment=cfg.augment(affine={}),
    ),
    **{name: objectives.OBJECTIVES[name] for name in ("triplet", "siamese", "cpc")},
    "ranked": ranked.SETTINGS,
}
COMMON = dict(**objectives.GRADIENT, parallel__devices=4, evaluate__batch_size=64)


def steps(name, strategy):
    """Return losses of 3 steps, what they changed, and the test set evaluated before them."""
    settings = small.config(**{**COMMON, **OBJECTIVES[name]}, parallel__strategy=strategy)
    parts = small.build(settings)
    state, losses = parts.state, []
    evaluation = parts.evaluate(state, "test")
    before = parts.parallel.fetch(state.params)
    batches = parts.train.batches(0)
    for step in range(3):
        batch = parts.parallel.place_batch(next(batches))
        state, report = parts.train_step(state, batch, parts.data)
        jax.block_until_ready(report)
        losses.append(float(report.metrics["loss"].compute()))
        if step == 0:
            after = parts.parallel.fetch(state.params)
    change = jax.tree.map(np.subtract, after, before)
    return {
        "losses": np.array(losses),
        **dict(zip(leaf_names(change, "change/"), jax.tree.leaves(change), strict=True)),
        **{f"output/{name}": rows for name, rows in evaluation.outputs.items()},
        **{f"metric/{name}": x for name, x in evaluation.scalars().items()},
    }


# How many processes a group has, and what it goes through.
GROUPS = {
    "two": (2, [("supervised", "fsdp"), ("triplet", "jit"), ("ranked", "pmap")]),
    "pair": (2, [("siamese", "pmap"), ("cpc", "pmap")]),
    "four": (4, [("supervised", "pmap"), ("triplet", "jit"), ("cpc", "pmap")]),
}


def run(strategy, devices=4):
    """Return a run that looks at its representation, too."""
    return small.config(
        model=cfg.model("mlp", hidden=(128,)),
        steps=8,
        parallel__strategy=strategy,
        parallel__devices=devices,
        representation__evaluators=cfg.evaluators(knn={"every": 4}),
        representation__controls=("random",),
        representation__baselines=("majority",),
    )


def fitted(devices=4):
    """Return a run without gradients, whose variables are the solution of a linear SVM."""
    return small.config(
        experiment=cfg.experiment("fitted"),
        model=cfg.model("cnnlab.classical.pixel_classifiers:LinearSVM"),
        **{"steps": 1, "log_every": 1, "evaluate__every": 1, "checkpoint__every": 1},
        data__train__split="train[:300]",
        parallel__devices=devices,
    )


def same(a, b):
    """Whether two flat dictionaries hold the very same numbers."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
