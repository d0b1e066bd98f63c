"""How good the representation is: the config's evaluators, on any endpoint, at any cadence.

`config.representation.evaluators` names protocols (`cnnlab.evaluators`), each with its keywords
and

    every     steps between two evaluations during training, a multiple of `evaluate.every`;
              0: at the end only
    endpoint  of the model, averaged over space, or "embedding"; several as a tuple
    splits    of `data.eval.splits`; () for all
    key       integers that are taken for the classes, where it is not "label"

and an entry under a name of one's own also

    name      of the evaluator, or its place: `package.module:function`

The bank is the training split, not augmented; what has to be chosen is chosen on the first of
`evaluate.splits`. Where splits overlap, an example that is evaluated is left out of the bank and of
what chooses. A row of the result names encoder, protocol, split, endpoint and setting.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.evaluators import EvalResult, Features, find
from cnnlab.launch import distributed, kv_store
from cnnlab.plots import projections
from cnnlab.training.feature_extraction import BANK, PIXELS, FeatureExtractor, Stopped
from cnnlab.utils import import_path
from cnnlab.utils.registry import check_keywords, pick, suggest

# Of an entry of the config, beside the keywords of the evaluator.
COMMON: dict[str, Any] = {"every": 0, "endpoint": "features", "splits": (), "key": "label"}
# Evaluators that compare with the training split, and that choose something.
WITH_BANK = ("knn", "linear_probe", "verification")
WITH_TUNING = ("linear_probe", "verification")


@dataclasses.dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        encoder: what made the features, as "trained (step 500)" or "pixels".
        protocol, split, endpoint: of the evaluation.
        setting: k, C and the like.
        values: numbers by name.
        curves: pairs of arrays (x, y) by name, for figures.
    """

    encoder: str
    protocol: str
    split: str
    endpoint: str
    setting: str
    values: dict[str, float]
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)


def check(config: Any) -> None:
    """Raise a `UserError` for an evaluator, a keyword, a split or a cadence that cannot be."""
    for name, entry in config.representation.evaluators.to_dict().items():
        path = f"representation.evaluators.{name}"
        function = find(kind(name, entry))
        for key in COMMON:
            if key not in entry:
                raise UserError(f"{path} has no '{key}': make it with cfg.evaluators")
        if not _endpoints(entry):
            raise UserError(f"{path}.endpoint names none")
        own = keywords(entry)
        check_keywords(function, own, path)
        for split in entry["splits"]:
            if split not in config.data.eval.splits:
                hint = suggest(split, config.data.eval.splits)
                raise UserError(f"{path}.splits: no split '{split}'{hint}")
        cadence = f"{path}.every={entry['every']}"
        if entry["every"] < 0 or entry["every"] % config.evaluate.every:
            raise UserError(
                f"{cadence}: needs a multiple of evaluate.every={config.evaluate.every}, or 0"
            )
    view = config.representation.embedding_view
    if view.split and view.split not in config.data.eval.splits:
        hint = suggest(view.split, config.data.eval.splits)
        raise UserError(f"representation.embedding_view.split: no split '{view.split}'{hint}")
    pick(projections.VIEWS, view.view, "representation.embedding_view.view")
    if view.split:
        projections.check(view.view)
        if view.limit < 1:
            raise UserError(
                f"representation.embedding_view.limit={view.limit}: needs to be at least 1"
            )


class RepresentationEval:
    """The evaluators of a config, over its splits."""

    def __init__(self, config: Any, experiment: Any, **parts: Any):
        """Take the config, the experiment, and what else a `FeatureExtractor` needs."""
        self._config, self._experiment, self._parallel = config, experiment, parts["parallel"]
        self._evaluators = config.representation.evaluators.to_dict()
        wanted = {name for entry in self._evaluators.values() for name in _endpoints(entry)}
        view = config.representation.embedding_view
        if view.split:
            wanted.add(view.endpoint)
        self._wanted = sorted(wanted)
        self._extractor = FeatureExtractor(
            config, experiment, endpoints=tuple(self._wanted), **parts
        )

    def check(self, shapes: tuple[PyTree, PyTree], batch: PyTree) -> None:
        """Raise a `UserError` for an endpoint that there is not, before a run is trained for it.

        Args:
            shapes: of `(params, model_state)`.
            batch: a prepared one, or its shapes.
        """
        if self._wanted:
            embed = functools.partial(self._experiment.embed, names=self._wanted)
            jax.eval_shape(embed, *shapes, batch)

    def _on_host(self, params: PyTree) -> PyTree:
        # Process 0 alone computes with them.
        return params if kv_store.process_count() == 1 else self._parallel.fetch(params)

    def embed(self, variables: PyTree, split: str, endpoint: str) -> Features:
        """Return a split as the network sees it."""
        return self._extractor.embed(variables, split)[endpoint]

    def scalars(
        self, variables: PyTree, step: int, *, stop: Callable[[], bool] = bool
    ) -> dict[str, float] | None:
        """Return what is due at a step on `evaluate.splits`, by name; None once `stop` is true."""
        due = {
            name: entry
            for name, entry in self._evaluators.items()
            if entry["every"] and step % entry["every"] == 0
        }
        splits = tuple(self._config.evaluate.splits)
        rows = self.rows("", variables, due, splits, stop=stop) if due else []
        if rows is None:
            return None
        values = {}
        for row in rows:
            for name, value in row.values.items():
                values[_scalar(row.split, row.protocol, name, row.endpoint, due)] = value
        return values

    def rows(
        self,
        encoder: str,
        variables: PyTree,
        evaluators: Mapping[str, Any] | None = None,
        splits: tuple[str, ...] = (),
        *,
        learned: bool = True,
        raw: bool = False,
        stop: Callable[[], bool] = bool,
        missing: dict[str, str] | None = None,
    ) -> list[Row] | None:
        """Return a row for each evaluator, split and endpoint.

        Args:
            encoder: what to call it.
            variables: `(params, model_state)`.
            evaluators: entries of the config; None for all.
            splits: those to evaluate; () for all.
            learned: whether "embedding" is compared by what the network has learned to compare
                it by, where it has.
            raw: evaluate the inputs themselves, by Euclidean distance.
            stop: asked between batches; once true, the result is None.
            missing: gets the rows that fail, with the reason.
        """
        if evaluators is None:
            evaluators = self._evaluators
        embedded: dict[str, dict[str, Features]] = {}

        def embed(split: str, endpoint: str) -> Features:
            if split not in embedded:
                embedded[split] = self._extractor.embed(variables, split, raw=raw, stop=stop)
            return embedded[split][endpoint]

        found: list[Row] = []
        for name, entry in evaluators.items():
            if raw and kind(name, entry) == "collapse":
                continue
            own = keywords(entry)
            if raw and "distance" in own:
                own["distance"] = "euclidean"
            for split in entry["splits"] or sorted(self._config.data.eval.splits):
                if splits and split not in splits:
                    continue
                for endpoint in (PIXELS,) if raw else _endpoints(entry):
                    what = f"{name} on '{split}'" + (f" of {encoder}" if encoder else "")
                    with distributed.optional(f"{what}, {endpoint}", missing, shared=True):
                        try:
                            rows = self._rows_of(
                                name, split, functools.partial(embed, endpoint=endpoint)
                            )
                        except Stopped:
                            return None
                        compare = None
                        if learned and endpoint == "embedding":
                            compare = self._experiment.similarity(self._on_host(variables[0]))
                        with distributed.optional(f"{what}, {endpoint}", missing):
                            score = self._score(name, rows, entry["key"], compare, own)
                            place = (encoder, name, split, endpoint, score.setting)
                            found.append(Row(*place, score.values, score.curves))
        return found

    def _rows_of(
        self, name: str, split: str, embed: Callable[[str], Features]
    ) -> dict[str, Features]:
        """Return what an evaluator is given on a split: `query`, `train` and `val`."""
        query = embed(split)
        rows = {"query": query, "train": query, "val": query}
        if needs(kind(name, self._evaluators.get(name, {})), WITH_BANK):
            rows["train"] = embed(BANK)
        if needs(kind(name, self._evaluators.get(name, {})), WITH_TUNING):
            choosing = tuple(self._config.evaluate.splits)
            rows["val"] = embed(choosing[0] if choosing else BANK)
        return rows

    def _score(
        self,
        name: str,
        rows: Mapping[str, Features],
        key: str,
        similarity: Any,
        own: Mapping[str, Any],
    ) -> EvalResult:
        """Let process 0 evaluate; only it draws, and the others get no curves."""
        made: list[EvalResult] = []

        def plain() -> list[Any]:
            query, train, val = (rows[x].labeled_by(key) for x in ("query", "train", "val"))
            seed = self._config.seed
            made.append(
                find(kind(name, self._evaluators.get(name, {})))(
                    query, train=train, val=val, seed=seed, similarity=similarity, **own
                )
            )
            setting = made[0].setting if key == "label" else f"{key}: {made[0].setting}"
            return [setting, made[0].values]

        setting, values = distributed.on_first_process(plain)
        return EvalResult(setting, values, made[0].curves if made else {})


def kind(name: str, entry: Mapping[str, Any]) -> str:
    """Return the evaluator of an entry of the config: its `name`, or the key that it is under."""
    return entry.get("name", name)


def keywords(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluator's own keywords of an entry of the config."""
    return {key: value for key, value in entry.items() if key not in COMMON and key != "name"}


def needs(evaluator: str, those: tuple[str, ...]) -> bool:
    """Return whether an evaluator is among `those`, as all of a person's own are taken to be."""
    return evaluator in those or import_path.is_place(evaluator)


def scalar_names(
    split: str, protocol: str, entries: Mapping[str, Any], values: Iterable[str]
) -> list[str]:
    """Return what the values of a protocol are called in metrics.jsonl.

    Args:
        split: that is evaluated.
        protocol: its name.
        entries: of the config, `evaluators`.
        values: names of its values.
    """
    endpoints = _endpoints(entries[protocol])
    return [_scalar(split, protocol, name, e, entries) for name in values for e in endpoints]


def _scalar(split: str, protocol: str, name: str, endpoint: str, entries: Mapping[str, Any]) -> str:
    where = f"@{endpoint}" if len(_endpoints(entries[protocol])) > 1 else ""
    return f"{split}/{protocol}_{name}{where}"


def _endpoints(entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = entry["endpoint"]
    return (names,) if isinstance(names, str) else tuple(names)
