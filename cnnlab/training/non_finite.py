"""What to do about a number of a run that is not finite."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from cnnlab.training.metric_buffer import NonFinite
from cnnlab.utils import import_path


def remedy(error: NonFinite, setup: Any) -> str:
    """Return a sentence, "" where nothing is known.

    Args:
        error: the step, and the name of the number.
        setup: the run; its batch of that step, or the split, is read again for its labels.
    """
    split, _, name = error.leaf.partition("/")
    if split == "batch":
        return f" The data has values under '{name}' that are not finite"
    if split in setup.evaluations:
        batches: Iterator[Any] = setup.evaluations[split].batches()
    else:
        split, batches = "train", islice(setup.train.batches(error.step - 1), 1)
    if wrong := next(filter(None, map(setup.labels.wrong, batches)), ""):
        return f" '{split}' has {wrong}"
    if setup.schedule is None:
        return " The objective's fit has returned it"
    if error.summarized:
        return " There is nothing to measure: choose another --config.checkpoint.best"
    if error.step == 1 and import_path.is_place(setup.config.experiment.name):
        return (
            " Nothing has been trained yet: look in the objective for a label that the model has "
            "no output for, a log or root of 0, or a division by it"
        )
    return (
        " Try a lower --config.optimizer.learning_rate, more --config.schedule.warmup, or "
        "--config.optimizer.clip_norm=1.0"
    )
