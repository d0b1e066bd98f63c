"""From a config's `data` entry to batches: what is read, where it is held, in which order."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.data.augment import check as check_augment
from cnnlab.data.loading import in_memory
from cnnlab.data.loading.batches import EvalData, PreprocessedSource, TrainData
from cnnlab.data.loading.samplers import Sampler
from cnnlab.data.preprocess.transforms import RANDOM, is_random
from cnnlab.data.preprocess.transforms import check as check_preprocess
from cnnlab.data.sources import source as sources
from cnnlab.data.sources.splits import UnknownSplit
from cnnlab.data.sources.subset import Subset, labels_of
from cnnlab.errors import UserError
from cnnlab.utils.memory import check as check_memory
from cnnlab.utils.registry import pick

PLACEMENTS = {
    "auto": "memory if the set fits and its preprocessing is not random, else grain",
    "memory": "arrays in the host's memory, gathered by index",
    "device": "arrays on the device, gathered inside the step",
    "grain": "read and decoded again every epoch by Grain's threads",
}
# Key by which subsets and samplers know the class of an example.
LABEL = "label"
ON_CORRUPT = {"stop": "name the file and stop", "skip": "leave it out and count it"}


def open_split(data: Mapping[str, Any], split: str, *, per_class: int = 0, seed: int = 0) -> Any:
    """Return the source of a split, with the classes that `data` keeps.

    Args:
        data: a config's `data` entry; with a key `class_names`, labels are numbered as these.
        split: the split expression.
        per_class: examples to draw of each class; 0 for all.
        seed: of the draw.

    Raises:
        UserError: as `source.load` and `Subset`.
        CorruptFile: of the source's own `check`, unless `data` skips what is corrupt.
    """
    source = sources.load(data["source"], split, data_dir=data["data_dir"], exif=data["exif"])
    if data["on_corrupt"] == "stop" and hasattr(source, "check"):
        source.check()
    if data["classes"] or per_class:
        few = {"per_class": per_class, "seed": seed}
        source = Subset(source, classes=data["classes"], **few, key=LABEL)
    names = data.get("class_names", ())
    return Subset.numbered_as(source, names, LABEL) if names else source


def _open(
    data: Mapping[str, Any], split: str, part: Mapping[str, Any], seed: int = 0
) -> PreprocessedSource:
    check_preprocess(part["preprocess"])
    source = open_split(data, split, per_class=part.get("per_class", 0), seed=seed)
    if len(source) == 0:
        raise UserError(f"'{data['source']}' split '{split}' is empty")
    return PreprocessedSource(source, part["preprocess"], tuple(data["keys"]), data["min_visible"])


def _readable(prepared: PreprocessedSource, *, flag_valid: bool = False) -> PreprocessedSource:
    source = sources.SkipCorrupt(prepared.source, flag_valid=flag_valid)
    return PreprocessedSource(source, prepared.chosen, prepared.keys, prepared.targets.min_visible)


def _placement(data: Mapping[str, Any], prepared: PreprocessedSource) -> str:
    placement = data["placement"]
    pick(PLACEMENTS, placement, "data.placement")
    random = is_random(prepared.chosen)
    if placement in ("memory", "device") and random:
        drawing = ", ".join(name for name in prepared.chosen if name in RANDOM)
        raise UserError(
            f"data.placement='{placement}' preprocesses once, but data.train.preprocess is random "
            f"({drawing}): use placement='grain', or a random augmentation"
        )
    if placement == "grain":
        return placement
    size = in_memory.size_in_bytes(prepared)
    if placement != "auto":
        check_memory(size, f"data.placement='{placement}' of {len(prepared)} examples")
        return placement
    fits = not random and size <= in_memory.AUTO_LIMIT_BYTES
    return "memory" if fits else "grain"


def train_data(
    data: Mapping[str, Any], *, seed: int, batch_size: int, host: int = 0, hosts: int = 1
) -> TrainData:
    """Open the training split that a config's `data` entry describes.

    Raises:
        UserError: for whatever in the entry or in the files cannot work, with what to do.
    """
    check_augment({**data["train"]["augment"], "normalize": data["normalize"]})
    pick(ON_CORRUPT, data["on_corrupt"], "data.on_corrupt")
    skip = data["on_corrupt"] == "skip"
    raw = _open(data, data["train"]["split"], data["train"], seed)
    prepared = _readable(raw) if skip else raw
    placement = _placement(data, prepared)
    held: dict[str, np.ndarray] = {}
    corrupt: list[int] = []
    if placement != "grain":
        # Held in memory a set can do without its corrupt examples; read one by one it cannot
        # know them beforehand, and the next readable one takes their place.
        held, corrupt = in_memory.collect(raw, skip_corrupt=skip)
    count = len(raw) - len(corrupt)
    if batch_size > count:
        raise UserError(
            f"batch_size={batch_size} is larger than the training set of {count} examples: "
            f"set --config.batch_size={count} or less"
        )
    on_device = placement == "device"
    options = {
        "seed": seed,
        "batch_size": batch_size,
        "host": host,
        "hosts": hosts,
        **data["grain"],
    }

    def labels() -> np.ndarray:
        if LABEL not in prepared.keys:
            raise UserError(f"data.train.sampler needs the classes: add '{LABEL}' to data.keys")
        return held[LABEL] if LABEL in held else labels_of(raw.source, LABEL)

    sampler = Sampler(
        data["train"]["sampler"], seed=seed, batch_size=batch_size, count=count, labels=labels
    )
    arrays, rest = (held, {}) if on_device else ({}, held)
    return TrainData(prepared, count, arrays, corrupt, rest, options, sampler)


def eval_source(
    data: Mapping[str, Any],
    split: str,
    *,
    source: str = "",
    per_class: int = 0,
    seed: int = 0,
) -> PreprocessedSource:
    """Return the examples of a split as evaluation sees them, with those that are corrupt."""
    elsewhere = {**data, "source": source} if source else data
    try:
        prepared = _open(elsewhere, split, {**data["eval"], "per_class": per_class}, seed)
    except UnknownSplit as error:
        raise UserError(f"{error}{error.remedy(data['eval']['splits'])}") from error
    if is_random(prepared.chosen):
        raise UserError("data.eval.preprocess is random: evaluate with resize and center_crop")
    return prepared


def eval_data(
    data: Mapping[str, Any],
    split: str,
    *,
    batch_size: int,
    source: str = "",
    per_class: int = 0,
    seed: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> EvalData:
    """Open a split for evaluation; every example of it is seen exactly once.

    Args:
        data: a config's `data` entry.
        split: the split expression.
        batch_size: over all hosts.
        source: of another data set, in place of `data["source"]`.
        per_class, seed: as `open_split`.
        host, hosts: number of this process, and how many there are.
    """
    raw = eval_source(data, split, source=source, per_class=per_class, seed=seed)
    skip = data["on_corrupt"] == "skip"
    prepared = _readable(raw, flag_valid=True) if skip else raw
    held: dict[str, np.ndarray] = {}
    row = np.arange(len(raw))
    if _placement(data, prepared) != "grain":
        held, corrupt = in_memory.collect(raw, skip_corrupt=skip)
        kept = np.setdiff1d(row, corrupt)
        row = np.full(len(raw), -1)
        row[kept] = np.arange(len(kept))
        if skip:
            prepared.source.leave_out(np.array(corrupt, np.int64))
    options = {"batch_size": batch_size, "host": host, "hosts": hosts, **data["grain"]}
    return EvalData(prepared, held, row, options)
