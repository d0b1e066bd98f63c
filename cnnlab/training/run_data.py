"""The data of a run: training batches, the splits to evaluate, and what fits the memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cnnlab.data.loading import pipeline
from cnnlab.data.loading.batches import EvalData, TrainData
from cnnlab.data.sources.identity import ids_of
from cnnlab.training import class_names as classes
from cnnlab.training import targets
from cnnlab.utils import memory
from cnnlab.utils.console import LOG

# Of more examples the identities, of which each may be a look at a file, are not compared.
MOST_COMPARED = 100_000


def open_data(
    data: Mapping[str, Any],
    experiment: Any,
    *,
    seed: int,
    batch_size: int,
    eval_batch_size: int,
    evaluators: Mapping[str, Any],
    class_names: Sequence[str] = (),
) -> tuple[TrainData, dict[str, EvalData]]:
    """Return the training data and the splits to evaluate, classes numbered as the run has them.

    Args:
        data: the config's `data`.
        experiment: the objective, which may refuse the data.
        seed: of the order of examples.
        batch_size, eval_batch_size: over all processes.
        evaluators: the config's entry; some compare labels of two splits.
        class_names: that the run knows from its checkpoints.

    Raises:
        UserError: for what is missing in the data, or does not fit the objective.
    """
    host, hosts = jax.process_index(), jax.process_count()
    known = class_names if experiment.predicts_labels else ()
    train = pipeline.train_data(
        {**data, "class_names": known}, seed=seed, batch_size=batch_size, host=host, hosts=hosts
    )
    info = train.source.info
    if train.corrupt:
        LOG.warning("%d corrupt examples left out of the training set", len(train.corrupt))
    targets.check_inputs(tuple(data["keys"]), experiment, info)
    experiment.check(info)
    evaluations = {}
    for name, split in data["eval"]["splits"].items():
        names = classes.for_split(name, info.class_names, experiment, evaluators)
        evaluations[name] = pipeline.eval_data(
            {**data, "class_names": names},
            split,
            batch_size=eval_batch_size,
            source=data["eval"]["sources"].get(name, ""),
            host=host,
            hosts=hosts,
        )
        _remark_overlap(name, evaluations[name], train)
    return train, evaluations


def _remark_overlap(name: str, evaluation: EvalData, train: TrainData) -> None:
    """Warn of a split that has examples of the training set, unless it is called after that."""
    if name.startswith("train") or max(len(train.source), len(evaluation.source)) > MOST_COMPARED:
        return
    shared = np.isin(ids_of(evaluation.source), ids_of(train.source)).sum()
    if shared:
        LOG.warning(
            "%d of the %d examples of data.eval.splits.%s are in data.train.split too, so its "
            "results are not those of new examples",
            *(shared, len(evaluation.source), name),
        )


def open_bank(data: Mapping[str, Any], batch_size: int) -> EvalData:
    """Return the training split as evaluators see it: whole, and not augmented.

    Args:
        data: the config's `data`.
        batch_size: over all processes.
    """
    host, hosts = jax.process_index(), jax.process_count()
    split = data["train"]["split"]
    return pipeline.eval_data(data, split, batch_size=batch_size, host=host, hosts=hosts)


def check_memory(
    example: Any, prepare: Callable[..., Any] | None, batch_sizes: Mapping[str, int]
) -> None:
    """Raise a `UserError` for batches that do not fit the memory.

    Batches of evaluation are filled up to their size, however few examples a split has.

    Args:
        example: a batch of one.
        prepare: what is made of it in the same memory: an accelerator has its own.
        batch_sizes: by the entry of the config.
    """
    if prepare is not None:
        key = jax.random.key(0)
        example = jax.eval_shape(lambda batch: prepare(batch, key, train=False), example)
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(example))
    for name, count in batch_sizes.items():
        memory.check(size * count // jax.process_count(), f"a batch of {name}={count}")
