"""Objects of the embedded shapes in batches: each counts once, and padding never does."""

import functools

import jax
import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.data.sources.source import load

TRAIN, VALIDATION = "train[:32]", "validation[:27]"


@functools.cache
def number(split):
    """How many objects a split has, by example."""
    source = load("shapes", split)
    return np.array([len(source[i]["boxes"]) for i in range(len(source))])


def config(**changes):
    part = {"center_crop": {"size": 48}, "pad_objects": {"max_objects": 2}}
    return small.config(
        model=cfg.model("mlp", hidden=(4,), num_classes=6),
        data__source="shapes",
        data__keys=("image", "label", "boxes", "classes", "masks"),
        data__train__split=TRAIN,
        data__train__preprocess=cfg.preprocess(**part),
        data__eval__splits={"validation": VALIDATION},
        data__eval__preprocess=cfg.preprocess(**part),
        data__min_visible=0.6,
        **changes,
    )


@pytest.mark.parametrize(
    ("strategy", "devices", "placement"),
    [("pmap", 8, "memory"), ("jit", 8, "grain"), ("pmap", 1, "device")],
)
def test_each_object_of_a_split_is_there_dropped_or_cut_off_once(strategy, devices, placement):
    parts = small.build(
        config(
            parallel__strategy=strategy,
            parallel__devices=devices,
            data__placement=placement,
            evaluate__batch_size=16,  # 27 examples: the last batch has padding
        )
    )
    counts = parts.evaluate_split(parts.state, "validation").scalars()
    there, dropped, cut = (counts[k] for k in ("objects", "objects_dropped", "objects_cut"))
    assert there + dropped + cut == number(VALIDATION).sum()
    # The same by hand.
    source = parts.evaluations["validation"].source
    rows = [source[i] for i in range(len(source))]
    assert there == sum(row["objects_valid"].sum() for row in rows) > 0
    assert dropped == sum(row["objects_dropped"] for row in rows) > 0
    assert cut == sum(row["objects_cut"] for row in rows) > 0


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
@pytest.mark.sample(1)
def test_training_counts_what_its_augmentation_drops(strategy):
    augment = cfg.augment(flip={}, affine={"translate": 0.4})
    settings = config(
        parallel__strategy=strategy, parallel__devices=2, data__train__augment=augment
    )
    parts = small.build(settings)
    batch = next(parts.train.batches(0))
    _, report = parts.train_step(parts.state, parts.parallel.place_batch(batch), parts.data)
    counts = {name: x.compute() for name, x in jax.device_get(report.metrics).items()}
    before = batch["objects_valid"].sum()
    assert 0 < counts["objects"] < before
    lost = counts["objects_dropped"] - batch["objects_dropped"].sum()
    assert counts["objects"] + lost == before
    assert counts["objects_cut"] == batch["objects_cut"].sum()
