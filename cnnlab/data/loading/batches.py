"""The batches of one host: of training, without end, and of an evaluation, every example once."""

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cnnlab.data.loading import grain_loader
from cnnlab.data.loading.order import eval_indices
from cnnlab.data.loading.samplers import Sampler
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources import source as sources
from cnnlab.data.sources.info import COUNTERS
from cnnlab.data.sources.subset import Subset
from cnnlab.errors import UserError


class PreprocessedSource:
    """A source after per-example preprocessing, with the keys that a run asked for."""

    def __init__(
        self,
        source: Any,
        chosen: Mapping[str, Mapping],
        keys: tuple[str, ...],
        min_visible: float = 0.0,
    ):
        """Check the keys against the source; for `min_visible` see `spatial_targets`."""
        for key in set(COUNTERS) & set(keys):
            raise UserError(
                f"data.keys={keys}: batches use '{key}' themselves; rename it in the data set"
            )
        missing = [key for key in keys if key not in source.info.spec]
        if missing:
            raise UserError(
                f"data.keys: '{source.info.name}' has no '{missing[0]}'; "
                f"it has: {', '.join(sorted(source.info.spec))}"
            )
        self.source, self.chosen, self.keys, self.info = source, chosen, keys, source.info
        self.targets = source.info.targets(min_visible)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.at(index, np.random.default_rng(0))

    def at(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return an example, preprocessed with these random numbers."""
        example = self.source[index]
        kept = {key: example[key] for key in (*self.keys, "valid") if key in example}
        return preprocess(kept, rng, self.targets, **self.chosen)


def skipped(prepared: PreprocessedSource) -> int:
    """Return how many examples a source has passed over as corrupt."""
    return getattr(prepared.source, "skipped", 0)


@dataclasses.dataclass
class TrainData:
    """The training batches of one host.

    Attributes:
        source: where they come from.
        count: number of training examples that can be read.
        arrays: the whole set, where it is to live on the device; empty otherwise.
        corrupt: indices of the examples left out of memory.
    """

    source: PreprocessedSource
    count: int
    arrays: dict[str, np.ndarray]
    corrupt: list[int]
    _held: dict[str, np.ndarray]
    _options: dict[str, Any]
    _sampler: Sampler

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield this host's part of batch `start`, `start` + 1, … without end.

        Rows of pairs have a second axis, of 2, behind that of the batch.
        """
        seed, size = self._options["seed"], self._options["batch_size"]
        host, hosts = self._options["host"], self._options["hosts"]
        part = size // hosts
        if not self._held and not self.arrays:
            view = grain_loader.TrainOrder(
                self.source,
                self._sampler,
                seed=seed,
                batch_size=size,
                steps=2**31,
                host=host,
                hosts=hosts,
            )
            threads, workers = self._options["threads"], self._options["workers"]
            yield from grain_loader.stream(
                view, part, start=start, threads=threads, workers=workers
            )
            return
        for step in itertools.count(start):
            first = step * size + host * part
            indices = self._sampler.batch(step)[host * part : (host + 1) * part]
            ordinal = np.arange(first, first + part).astype(np.uint32)
            if self.arrays:
                yield {"index": indices.astype(np.int32), "ordinal": ordinal}
            else:
                rows = {key: values[indices] for key, values in self._held.items()}
                yield {**rows, "ordinal": ordinal}

    def example(self, rows: int, *, grouped: bool = False) -> dict[str, np.ndarray]:
        """Return a batch of `rows` times the first example, with the shapes of training.

        Args:
            rows: of the batch.
            grouped: with pairs as rows where the sampler makes pairs.
        """
        first = {key: np.asarray(x) for key, x in self.source[0].items() if key != "valid"}
        group = self._sampler.batch(0).shape[1:] if grouped else ()
        return {k: np.broadcast_to(x, (rows, *group, *x.shape)).copy() for k, x in first.items()}

    def readable(self) -> int:
        """Return how many examples can be read, as far as is known by now."""
        return self.count if self.corrupt else self.count - skipped(self.source)

    def skipped(self) -> int:
        """Return how many examples have been found corrupt so far."""
        # What was left out of memory is not read again, and cannot count twice.
        return len(self.corrupt) or skipped(self.source)

    def integers(self) -> dict[str, np.ndarray]:
        """Return the integers of the examples by key, those that are known without decoding."""
        return _integers(self.source, self._held or self.arrays)

    def position(self) -> dict[str, Any]:
        """Return what, with a step, fixes every later batch; saved beside each checkpoint."""
        keep = {key: self._options[key] for key in ("seed", "batch_size")}
        if self._sampler.name != "shuffle":
            keep["sampler"] = self._sampler.name
        info = self.source.info
        found = {"source": info.name, "split": info.split, "examples": self.count, **keep}
        return {**found, "classes": list(info.class_names)}


@dataclasses.dataclass
class EvalData:
    """The batches of one host that cover a split exactly once."""

    source: PreprocessedSource
    _held: dict[str, np.ndarray]
    _row: np.ndarray
    _options: dict[str, Any]

    @property
    def count(self) -> int:
        """Number of examples, without those found corrupt so far."""
        return len(self.source) - self.skipped()

    def skipped(self) -> int:
        """Return how many examples have been found corrupt so far."""
        return skipped(self.source)

    def share_skipped(self, gather: Callable[[np.ndarray], np.ndarray]) -> None:
        """Leave out what any host has found corrupt; `gather` joins the hosts' rows."""
        source = self.source.source
        if isinstance(source, sources.SkipCorrupt):
            source.leave_out(gather(source.corrupt()))

    def description(self) -> dict[str, Any]:
        """Return what says whether two splits are of the same examples, JSON-like.

        `content` is a checksum of what is held in memory, None for a split that is read from disk.
        """
        info, content = self.source.info, None
        if self._held:
            content = 0
            for _, values in sorted(self._held.items()):
                content = zlib.crc32(np.ascontiguousarray(values).data, content)
        found = {"source": info.name, "split": info.split, "examples": len(self.source)}
        return {**found, "classes": list(info.class_names), "content": content}

    def whole(self) -> "EvalData":
        """Return the same split with the batches of all hosts."""
        return dataclasses.replace(self, _options={**self._options, "host": 0, "hosts": 1})

    def integers(self) -> dict[str, np.ndarray]:
        """Return the integers of the examples by key, those that are known without decoding."""
        return _integers(self.source, self._held)

    def readable(self) -> np.ndarray:
        """Return the indices of the examples that `integers` has."""
        return np.flatnonzero(self._row >= 0)

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield batches with `index` and `valid`, False where a row is padding or corrupt."""
        size, host, hosts = (self._options[k] for k in ("batch_size", "host", "hosts"))
        if not self._held:
            view = grain_loader.EvalOrder(self.source, batch_size=size, host=host, hosts=hosts)
            yield from grain_loader.stream(view, size // hosts, threads=self._options["threads"])
            return
        for indices, valid in eval_indices(len(self._row), size, host, hosts):
            # What is corrupt has no row: the last one stands in, and `valid` is False.
            row = self._row[indices]
            rows = {key: values[row] for key, values in self._held.items()}
            yield {**rows, "index": indices.astype(np.int32), "valid": valid & (row >= 0)}


def _integers(
    prepared: PreprocessedSource, held: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if held:
        return {
            key: values
            for key, values in held.items()
            if values.ndim == 1 and np.issubdtype(values.dtype, np.integer)
        }
    source = prepared.source
    while isinstance(source, sources.SkipCorrupt):
        source = source.source
    inner = source.source if isinstance(source, Subset) else source
    listed = hasattr(inner, "labels") and not getattr(inner, "reads_labels", False)
    return {"label": np.asarray(source.labels())} if listed and "label" in prepared.keys else {}
