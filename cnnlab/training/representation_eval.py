"""Evaluation of the representation by the config's evaluators, on any endpoint, at any cadence.

`representation_entries` describes the entries. The bank is the training split, not augmented; what
has to be chosen is chosen on the first of `evaluate.splits`. Where splits overlap, an example that
is evaluated is left out of the bank and of what chooses. A row of the result names encoder,
protocol, split, endpoint and setting.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.evaluators import EvalResult, Features, find
from cnnlab.evaluators.similarities import DISTANCES
from cnnlab.launch import distributed, kv_store
from cnnlab.training import representation_entries as entries
from cnnlab.training.feature_extraction import BANK, PIXELS, FeatureExtractor, Stopped
from cnnlab.training.progress import say_result, say_start
from cnnlab.utils.console import LOG


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


class RepresentationEval:
    """The evaluators of a config, over its splits."""

    def __init__(
        self,
        representation: Any,
        experiment: Any,
        *,
        choosing: Sequence[str],
        seed: int,
        **parts: Any,
    ):
        """Collect the endpoints that the evaluators need.

        Args:
            representation: the config's entry.
            experiment: whose representation it is.
            choosing: `evaluate.splits`, those of model selection.
            seed: of what evaluators draw.
            parts: what else a `FeatureExtractor` needs.
        """
        self._experiment, self._parallel = experiment, parts["parallel"]
        self._choosing, self._seed = tuple(choosing), seed
        self._splits = sorted(parts["evaluations"])
        self._evaluators = representation.evaluators.to_dict()
        wanted = {name for entry in self._evaluators.values() for name in entries.endpoints(entry)}
        view = representation.embedding_view
        if view.split:
            wanted.add(view.endpoint)
        self._view = view
        self._extract = functools.partial(FeatureExtractor, experiment, **parts)
        self._want(wanted)

    def _want(self, endpoints: Iterable[str]) -> None:
        self._wanted = sorted(endpoints)
        self._extractor = self._extract(endpoints=tuple(self._wanted))

    def check(self, shapes: tuple[PyTree, PyTree], batch: PyTree) -> None:
        """Raise a `UserError` for an endpoint that there is not, before a run is trained for it.

        An evaluator at the default endpoint takes "embedding", which there always is, instead.

        Args:
            shapes: of `(params, model_state)`.
            batch: a prepared one, or its shapes.
        """

        def missing(*names: str) -> UserError | None:
            try:
                jax.eval_shape(
                    functools.partial(self._experiment.embed, names=names), *shapes, batch
                )
            except UserError as error:
                return error
            return None

        if not self._wanted or not missing(*self._wanted):
            return
        kept = {self._view.endpoint} if self._view.split else set()
        for name, entry in self._evaluators.items():
            path = f"representation.evaluators.{name}.endpoint"
            error = missing(*entries.endpoints(entry))
            if error and entry["endpoint"] == entries.COMMON["endpoint"]:
                LOG.info("%s: %s; it evaluates 'embedding'", name, error)
                entry["endpoint"] = "embedding"
            elif error:
                raise UserError(
                    f"{name}: {error}; set --config.{path}=, or --endpoint= behind "
                    f"--evaluator={entries.kind(name, entry)} of eval"
                )
            kept.update(entries.endpoints(entry))
        if error := missing(*kept):
            raise UserError(f"representation.embedding_view.endpoint: {error}")
        self._want(kept)

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
        rows = self.rows("", variables, due, self._choosing, stop=stop) if due else []
        if rows is None:
            return None
        values = {}
        for row in rows:
            for name, value in row.values.items():
                scalar = entries.scalar_name(row.split, row.protocol, name, row.endpoint, due)
                values[scalar] = value
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
        """Return a row for each evaluator, split and endpoint; print it once it is known.

        Args:
            encoder: what to call it; "": print nothing.
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

        def embed(split: str, endpoint: str, what: str) -> Features:
            if split not in embedded:
                if encoder:
                    data = "the training split" if split == BANK else f"'{split}'"
                    say_start(f"{what}: {'reading' if raw else 'embedding'} {data}")
                embedded[split] = self._extractor.embed(variables, split, raw=raw, stop=stop)
            return embedded[split][endpoint]

        found: list[Row] = []
        for name, entry in evaluators.items():
            evaluator = entries.kind(name, entry)
            if raw and evaluator == "collapse":
                continue
            own = entries.keywords(entry)
            if raw and own.get("distance") in DISTANCES:
                own["distance"] = "euclidean"
            for split in entry["splits"] or self._splits:
                if splits and split not in splits:
                    continue
                for endpoint in (PIXELS,) if raw else entries.endpoints(entry):
                    what = f"{name} on '{split}'" + (f" of {encoder}" if encoder else "")
                    began = time.monotonic()
                    with distributed.optional(f"{what}, {endpoint}", missing, shared=True):
                        try:
                            read = functools.partial(embed, endpoint=endpoint, what=what)
                            rows = self._rows_of(evaluator, split, read)
                        except Stopped:
                            return None
                        compare = None
                        if learned and endpoint == "embedding":
                            compare = self._experiment.similarity(self._on_host(variables[0]))
                        with distributed.optional(f"{what}, {endpoint}", missing):
                            score = self._score(evaluator, rows, entry["key"], compare, own)
                            place = (encoder, name, split, endpoint, score.setting)
                            found.append(Row(*place, score.values, score.curves))
                            if encoder:
                                say_result(
                                    what if raw else f"{what}, {endpoint}", score.values, began
                                )
        return found

    def _rows_of(
        self, evaluator: str, split: str, embed: Callable[[str], Features]
    ) -> dict[str, Features]:
        """Return what an evaluator is given on a split: `query`, `train` and `val`."""
        query = embed(split)
        rows = {"query": query, "train": query, "val": query}
        if entries.needs_bank(evaluator):
            rows["train"] = embed(BANK)
        if entries.needs_tuning(evaluator):
            rows["val"] = embed(self._choosing[0] if self._choosing else BANK)
        return rows

    def _score(
        self,
        evaluator: str,
        rows: Mapping[str, Features],
        key: str,
        similarity: Any,
        own: Mapping[str, Any],
    ) -> EvalResult:
        """Let process 0 evaluate; only it draws, and the others get no curves."""
        made: list[EvalResult] = []

        def plain() -> list[Any]:
            query, train, val = (rows[x].labeled_by(key) for x in ("query", "train", "val"))
            given = {"train": train, "val": val, "seed": self._seed, "similarity": similarity}
            made.append(find(evaluator)(query, **given, **own))
            setting = made[0].setting if key == "label" else f"{key}: {made[0].setting}"
            return [setting, made[0].values]

        setting, values = distributed.on_first_process(plain)
        return EvalResult(setting, values, made[0].curves if made else {})
