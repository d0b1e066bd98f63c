"""Accuracies of classical classifiers on the data of a run: `config.representation.baselines`.

They see the images of the evaluation: preprocessed, without those that were skipped, each split
from its own source. Training images are preprocessed as in evaluation, since the preprocessing of
training may be random.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt64

from cnnlab.classical.baselines import BASELINES
from cnnlab.data.loading import pipeline
from cnnlab.data.loading.batches import EvalData, PreprocessedSource
from cnnlab.data.preprocess.decode import CorruptFile
from cnnlab.data.sources.identity import ids_of
from cnnlab.errors import UserError
from cnnlab.training.progress import say_result
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import pick, pick_all


def check(chosen: Any) -> None:
    """Raise a `UserError` for an unknown baseline."""
    pick_all(BASELINES, chosen, "representation.baselines", "baseline")


def check_data(
    chosen: Sequence[str],
    data: Mapping[str, Any],
    choosing: Sequence[str],
    evaluations: Mapping[str, EvalData],
    target: str,
) -> None:
    """Raise a `UserError` for data that baselines cannot be computed on.

    Args:
        chosen: names of baselines.
        data: the config's `data`.
        choosing: `evaluate.splits`, those of model selection.
        evaluations: the splits of the run, opened.
        target: key of what the run learns.
    """
    if not chosen:
        return
    if not _held_out(choosing, evaluations):
        LOG.warning("baselines: no split to test on: every one is in evaluate.splits")
        return
    split = data["train"]["split"]
    train = pipeline.eval_source(data, split)
    sources = {split: train, **{k: d.source for k, d in evaluations.items()}}
    for source in sources.values():
        info = source.info
        if "image" not in source.keys:
            raise UserError(
                f"baselines compare images, and '{info.name}' gives {', '.join(source.keys)}: "
                'set --config.representation.baselines="()"'
            )
        shape, dtype = info.spec[target] if target in source.keys else (None, "O")
        if shape != () or not np.issubdtype(np.dtype(dtype), np.integer):
            raise UserError(
                f"baselines predict one class an image, and '{target}' of '{info.name}' is none: "
                'set --config.representation.baselines="()"'
            )
    shapes = {name: _shape(source) for name, source in sources.items()}
    first, *others = shapes
    for name in others:
        if shapes[name] != shapes[first]:
            raise UserError(
                f"baselines compare images of one size: {shapes[first]} in '{first}', "
                f"{shapes[name]} in '{name}'; bring them to one with data.eval.preprocess"
            )


def accuracies(
    chosen: Sequence[str],
    data: Mapping[str, Any],
    choosing: Sequence[str],
    evaluations: Mapping[str, EvalData],
    target: str,
    *,
    batch_size: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return the accuracy of each baseline on the splits that the run was not selected on.

    A baseline learns from the training split and the splits of model selection, without examples
    of the split that it is tested on. If none are left, that split has no baseline. Arguments as
    `check_data`; `batch_size` is that of reading, `seed` that of `per_class`.
    """
    held_out = _held_out(choosing, evaluations)
    if not chosen or not held_out:
        return {}
    options = {"per_class": data["train"]["per_class"], "batch_size": batch_size, "seed": seed}
    train = pipeline.eval_data(data, data["train"]["split"], **options)
    parts = [train, *(evaluations[s] for s in choosing)]
    known = [_pixels(part, target) for part in parts]
    images, labels, ids = (np.concatenate(part) for part in zip(*known, strict=True))
    found: dict[str, dict[str, float]] = {name: {} for name in chosen}
    for split in held_out:
        test, truth, tested = _pixels(evaluations[split], target)
        other = ~np.isin(ids, tested)
        if not other.any():
            LOG.warning("baselines: none on '%s', which holds all examples to learn from", split)
            continue
        for name in chosen:
            began = time.monotonic()
            predicted = pick(BASELINES, name, "baseline")(images[other], labels[other], test)
            accuracy = float(np.mean(predicted == truth))
            found[name][f"{split}/accuracy"] = accuracy
            say_result(f"baseline {name} on '{split}'", {"accuracy": accuracy}, began)
    return found


def _held_out(choosing: Sequence[str], evaluations: Mapping[str, EvalData]) -> list[str]:
    return [split for split in evaluations if split not in choosing]


def _shape(source: PreprocessedSource) -> tuple[int, ...]:
    """Return the shape of the first image that can be read."""
    for index in range(len(source)):
        with contextlib.suppress(CorruptFile):
            return source[index]["image"].shape
    raise UserError(f"'{source.info.name}' split '{source.info.split}' has no readable example")


def _pixels(
    data: EvalData, target: str
) -> tuple[Float[np.ndarray, "n d"], Integer[np.ndarray, " n"], UInt64[np.ndarray, " n"]]:
    """Return the images of a split as rows of numbers in [0, 1], their labels and identities."""
    images, labels, index = [], [], []
    for batch in data.whole().batches():
        kept = np.asarray(batch["valid"], bool)
        rows = batch["image"][kept]
        scale = 255 if rows.dtype == np.uint8 else 1
        images.append(rows.reshape(len(rows), -1).astype(np.float64) / scale)
        labels.append(batch[target][kept])
        index.append(batch["index"][kept])
    return (
        np.concatenate(images),
        np.concatenate(labels),
        ids_of(data.source)[np.concatenate(index)],
    )
