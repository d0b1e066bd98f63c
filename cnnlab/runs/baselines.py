"""What classical methods reach on the data of a run: the config's `floors`.

They see the images that the run is evaluated on: preprocessed, without those that were skipped,
each split from its own source. Training images are preprocessed as in evaluation, for theirs may
be random.
"""

import contextlib
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt64

from cnnlab.utils.registry import (pick, pick_all)
from cnnlab.classical.baselines import FLOORS
from cnnlab.utils.console import LOG
from cnnlab.data.loading import pipeline
from cnnlab.data.loading.batches import (EvalData, PreprocessedSource)
from cnnlab.data.preprocess.decode import CorruptFile
from cnnlab.data.sources.identity import ids_of
from cnnlab.errors import UserError


def check(config: Any) -> None:
    """Raise a `UserError` for a floor that is not known."""
    pick_all(FLOORS, config.floors, "floors", "floor")


def check_data(config: Any, evaluations: dict[str, EvalData], target: str) -> None:
    """Raise a `UserError` for data that floors cannot be computed on.

    Args:
        config: of the run.
        evaluations: its splits, opened.
        target: key of what the run learns.
    """
    if not config.floors:
        return
    if not _held_out(config, evaluations):
        LOG.warning("floors: every split is in evaluate.splits, and none is left to test them on")
        return
    train = pipeline.eval_source(config.data.to_dict(), config.data.train.split)
    sources = {config.data.train.split: train, **{k: d.source for k, d in evaluations.items()}}
    for source in sources.values():
        info = source.info
        if "image" not in source.keys:
            raise UserError(
                f"floors compare images, and '{info.name}' gives {', '.join(source.keys)}: "
                'set --config.floors="()"'
            )
        shape, dtype = info.spec[target] if target in source.keys else (None, "O")
        if shape != () or not np.issubdtype(np.dtype(dtype), np.integer):
            raise UserError(
                f"floors predict one class an image, and '{target}' of '{info.name}' is none: "
                'set --config.floors="()"'
            )
    shapes = {name: _shape(source) for name, source in sources.items()}
    first, *others = shapes
    for name in others:
        if shapes[name] != shapes[first]:
            raise UserError(
                f"floors compare images of one size: {shapes[first]} in '{first}', {shapes[name]} "
                f"in '{name}'; bring them to one with data.eval.preprocess"
            )


def accuracies(
    config: Any, evaluations: dict[str, EvalData], target: str
) -> dict[str, dict[str, float]]:
    """Return each floor's accuracy on the splits that the run was not selected on.

    A floor may use what the run used, the training split and the splits it was selected on, but no
    example that it is tested on. A split that leaves it none has no floor.
    """
    held_out = _held_out(config, evaluations)
    if not config.floors or not held_out:
        return {}
    train = pipeline.eval_data(
        config.data.to_dict(),
        config.data.train.split,
        batch_size=config.evaluate.batch_size,
        per_class=config.data.train.per_class,
        seed=config.seed,
    )
    parts = [train, *(evaluations[s] for s in config.evaluate.splits)]
    known = [_pixels(data, target) for data in parts]
    images, labels, ids = (np.concatenate(part) for part in zip(*known, strict=True))
    found: dict[str, dict[str, float]] = {name: {} for name in config.floors}
    for split in held_out:
        test, truth, tested = _pixels(evaluations[split], target)
        other = ~np.isin(ids, tested)
        if not other.any():
            LOG.warning("floors: all that there is to learn from is in '%s', which has none", split)
            continue
        for name in config.floors:
            predicted = pick(FLOORS, name, "floor")(images[other], labels[other], test)
            found[name][f"{split}/accuracy"] = float(np.mean(predicted == truth))
    return found


def _held_out(config: Any, evaluations: dict[str, EvalData]) -> list[str]:
    return [split for split in evaluations if split not in config.evaluate.splits]


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
