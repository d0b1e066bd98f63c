"""Trial of a run's evaluations on made-up features, to find before its first step what would fail.

Every evaluator is tried on the real labels of its splits, with random features of two numbers, and
raises what it would raise in the end. Labels that need decoding to be known are made up.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer, PyTree

from cnnlab.data.loading.batches import EvalData, TrainData
from cnnlab.data.loading.in_memory import stack
from cnnlab.errors import UserError
from cnnlab.evaluators import Features, find
from cnnlab.plots import projections
from cnnlab.training import contracts
from cnnlab.training.evaluation import Evaluation
from cnnlab.training.representation_entries import (
    keywords,
    kind,
    needs_bank,
    needs_tuning,
    scalar_names,
)
from cnnlab.utils import import_path
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import suggest

# These look at all labels and are quick; the others get this many of this many classes.
WHOLE = ("few_shot", "listed_pairs", "one_shot_runs", "verification")
CLASSES, EACH = 20, 20
# Keywords that make an evaluator slow and not wrong: never more than so much of them.
LESS = {"episodes": 2, "max_iterations": 10, "runs": 1}
# Examples of which outputs are made up: as many as there are classes or outputs nowhere, so that an
# axis of these is not taken for that of the examples.
ROWS = 7
# Of a class whose labels are made up.
MADE_UP = 64


def check(
    representation: Any,
    choosing: Sequence[str],
    train: TrainData,
    evaluations: Mapping[str, EvalData],
    *,
    best: str,
    steps: int,
    ema: bool,
    step: Callable[..., Any],
    variables: PyTree,
    experiment: Any,
    own: bool = False,
) -> None:
    """Raise a `UserError` for what would fail after the first step.

    Args:
        representation: the config's entry.
        choosing: `evaluate.splits`, those of model selection.
        train, evaluations: the data of the run, opened.
        best: `checkpoint.best`, the metric that chooses the best checkpoint.
        steps: length of the run.
        ema: whether a moving average is evaluated too.
        step: of the evaluation, from `make_eval_step`.
        variables: shapes of `(params, model_state)`.
        experiment: the objective; its `summarize` is tried on made-up outputs for its names.
        own: objective or model are a person's own: what they return is checked in any case.
    """
    _view(representation.embedding_view, evaluations)
    entries = representation.evaluators.to_dict()
    scalars = _evaluators(entries, tuple(choosing), train, evaluations)
    split, _, metric = best.partition("/")
    if scalars.get(best, 0) > steps:
        raise UserError(
            f"checkpoint.best='{best}' is never evaluated: it comes every {scalars[best]} "
            f"steps, and the run has {steps}"
        )
    known = not best or best in scalars
    if known and not (own and evaluations):
        return
    data = evaluations[next(iter(evaluations)) if known else split]
    names, failed = _names(experiment, step, variables, data.source)
    if known or (failed and metric.removeprefix("ema/") not in names):
        if failed and not known:
            LOG.warning("checkpoint.best='%s' could not be checked: %s", best, failed)
        return
    names |= {f"ema/{name}" for name in names if ema}
    if metric not in names:
        there = {*scalars, *(f"{split}/{name}" for name in names)}
        hint = suggest(best, there) or "; set --config.checkpoint.best=''"
        raise UserError(f"checkpoint.best='{best}' is not evaluated{hint}")


def _names(
    experiment: Any, step: Callable[..., Any], variables: PyTree, source: Any
) -> tuple[set[str], str]:
    """Return the names of the numbers of an evaluation, and how `summarize` fails if it does."""
    few = _Few(source)
    batch = few.batch()
    with contracts.explained(experiment):
        found, (outputs, collected) = jax.eval_shape(step, variables, batch, {})
    ones = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), found)
    names = {*Evaluation(ones, {}).scalars(), *collected}
    if experiment.summarize is None:
        return names, ""
    try:
        with warnings.catch_warnings(action="ignore"):
            numbers = experiment.summarize(_made_up(outputs, batch), few)
    except (Exception, SystemExit) as error:
        reason = str(error).partition("\n")[0]
        words = f"summarize fails on made-up outputs: {type(error).__name__}: {reason}"
        return names, words + import_path.line_of(error)
    return names | set(contracts.check_summary(experiment, numbers, {*found, *collected})), ""


def _evaluators(
    entries: Mapping[str, Any],
    choosing: tuple[str, ...],
    train: TrainData,
    evaluations: Mapping[str, EvalData],
) -> dict[str, int]:
    """Try every evaluator; return after how many steps each scalar comes during training."""
    names: dict[str, int] = {}
    for name, entry in entries.items():
        own, evaluator = keywords(entry), kind(name, entry)
        roles = {entry["key"]: "class", own.get("within", ""): "group", own.get("drawer", ""): ""}
        for key, most in LESS.items():
            if isinstance(own.get(key), int):
                own[key] = min(own[key], most)
        for split in entry["splits"] or sorted(evaluations):
            query = _stand_in(evaluations[split], roles, evaluator)
            rows = {"query": query, "train": query, "val": query}
            if needs_bank(evaluator):
                rows["train"] = _stand_in(train, roles, evaluator)
            if needs_tuning(evaluator) and choosing[:1] != (split,):
                other = evaluations[choosing[0]] if choosing else train
                rows["val"] = _stand_in(other, roles, evaluator)
            elif evaluator not in WHOLE:
                # Of few rows a fifth may be too few, though it is not of all.
                rows["val"] = _stand_in(evaluations[split], roles, evaluator)
            what = f"representation.evaluators.{name} on '{split}'"
            try:
                given = {role: x.labeled_by(entry["key"]) for role, x in rows.items()}
                query = given.pop("query")
                made = find(evaluator)(query, **given, seed=0, similarity=None, **own)
                score = contracts.check_result(made)
            except UserError as error:
                raise UserError(f"{what}: {error}") from error
            except (Exception, SystemExit) as error:
                reason = str(error).partition("\n")[0]
                line = import_path.line_of(error)
                raise UserError(f"{what}: {type(error).__name__}: {reason}{line}") from error
            if entry["every"] and split in choosing:
                found = scalar_names(split, name, entries, score.values)
                names |= dict.fromkeys(found, entry["every"])
    return names


class _Few:
    """A few examples of a source, evenly spread: it may be sorted by class."""

    def __init__(self, source: Any):
        self._source = source
        self._index = np.unique(np.linspace(0, len(source) - 1, ROWS).astype(np.int32))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self._source[int(self._index[index])]

    def batch(self) -> dict[str, np.ndarray]:
        index = np.arange(len(self), dtype=np.int32)
        batch = stack([self[int(i)] for i in index])
        return {**batch, "index": index, "valid": np.ones(len(index), bool)}


def _made_up(outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return outputs of these shapes: those of the batch as they are, others drawn or 0."""
    rng = np.random.default_rng(0)

    def of(name: str, like: Any) -> np.ndarray:
        real = np.asarray(batch.get(name, 0))
        if (real.shape, real.dtype) == (like.shape, like.dtype):
            return real
        floating = jnp.issubdtype(like.dtype, jnp.floating)
        return (rng.random(like.shape) if floating else np.zeros(like.shape)).astype(like.dtype)

    return {**{name: of(name, x) for name, x in outputs.items()}, "index": batch["index"]}


def _view(options: Any, evaluations: Mapping[str, EvalData]) -> None:
    """Raise a `UserError` for an embedding that cannot be drawn."""
    if not options.split:
        return
    source = evaluations[options.split].source
    if "label" not in _declared(source):
        raise UserError(
            f"representation.embedding_view colors points by class: '{source.info.name}' gives no "
            "'label' of one integer; add it to data.keys"
        )
    projections.check(options.view, min(options.limit, len(source)))


def _declared(source: Any) -> list[str]:
    """Return the keys that hold one integer an example."""
    spec = {key: source.info.spec[key] for key in source.keys}
    return [
        key
        for key, (shape, dtype) in spec.items()
        if shape == () and np.issubdtype(np.dtype(dtype), np.integer)
    ]


def _stand_in(data: TrainData | EvalData, roles: Mapping[str, str], evaluator: str) -> Features:
    """Return a split with its integers, and random features in place of its examples."""
    source, known = data.source, data.integers()
    wanted = [key for key in _declared(source) if key in roles]
    rows = len(next(iter(known.values()))) if known else len(source)
    keys = known
    if not set(wanted) <= set(known):
        classes = np.repeat(np.arange(len(source.info.class_names) or CLASSES), MADE_UP)
        rows = len(classes)
        made_up = {"class": classes, "group": np.zeros_like(classes), "": np.arange(rows)}
        keys = {key: made_up[roles.get(key, "")] for key in _declared(source)}
    kept = np.arange(rows)
    if evaluator not in WHOLE:
        label = next(
            (keys[key] for key, role in roles.items() if role == "class" and key in keys), kept
        )
        kept = _few(label)
        keys = {key: values[kept] for key, values in keys.items()}
    features = np.random.default_rng(0).normal(size=(len(kept), 2)).astype(np.float32)
    index = data.readable()[kept] if isinstance(data, EvalData) and keys is known else None
    return Features(features, keys, source.source, index)


def _few(labels: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " k"]:
    """Return rows of the most frequent classes, as many of each as there are up to a limit."""
    classes, counts = np.unique(labels, return_counts=True)
    frequent = classes[np.argsort(-counts, kind="stable")[:CLASSES]]
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:EACH] for c in frequent]))
