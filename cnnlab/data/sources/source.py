"""Sources: data sets by name, as deterministic random-access sequences of examples.

    digits, shapes, scenes, glyphs, tones embedded; built on first use, no download
    mnist, cifar10, imagenette/320px-v2   TensorFlow Datasets, prepared as array_record
    folder:/path                          a folder of images per class
    wav:/path, sound:/path                a folder of sounds per class
    wav:/path/{label}_{speaker}.wav       class, and more, in the name: likewise folder:, sound:
    npz:/path/to/file.npz                 arrays
    idx:/path, cifar:/path                MNIST and CIFAR in the files they are published in
    omniglot:/path                        Omniglot, likewise
    voc:/path, coco:/path                 boxes, in the layouts of PASCAL VOC and COCO; coco_masks:
                                          and coco_keypoints: have those too
    cityscapes:/path, camvid:/path,       a class for every pixel
    voc_segmentation:/path
    flow:/path, stereo:/path, depth:/path two images, or one, and a number for every pixel
    package.module:Name                   one's own: called with the split, returns a `Source`

An example is a flat dict of numpy arrays: `image` uint8 of shape (h, w, c), or `waveform` of shape
(t,), int16 or float32 from -1 to 1; `label` an int32 scalar; and whatever else the set has.
"""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from cnnlab.data.preprocess.decode import UNREADABLE
from cnnlab.data.sources import contract
from cnnlab.data.sources.file_pattern import relocated
from cnnlab.data.sources.info import PATH_SOURCES, Source, data_folder, no_path, path_of
from cnnlab.errors import UserError
from cnnlab.utils import import_path
from cnnlab.utils.registry import pick

# A training set in which so many neighbors are unreadable is broken, not blemished.
MAX_CORRUPT_RUN = 100


EXIF = {
    "apply": "rotate images as it says: so viewers show, and most people annotate them",
    "ignore": "take the pixels as they are stored",
}


def load(name: str, split: str, *, data_dir: str = "", exif: str = "apply") -> Source:
    """Return a data set, or the part of it that a split expression selects.

    Args:
        name: see the module's docstring.
        split: such as `train`, `train[:80%]`, `train[1200:]` or `train+validation`.
        data_dir: where prepared sets live; see `data_folder`.
        exif: of `EXIF`.

    Raises:
        UserError: if the set is unknown, not prepared or badly laid out, or if it has no such
            split. Nothing is ever downloaded here: `tfds_prepare.prepare` does that.
    """
    pick(EXIF, exif, "data.exif")
    options = {} if exif == "apply" else {"exif": False}
    kind, path = path_of(name)
    if kind and not path:
        raise no_path(name)
    if kind:
        module, _, loader = PATH_SOURCES[kind].partition(":")
        reader = getattr(importlib.import_module(module), loader)
        if options and "exif" not in signature(reader).parameters:
            raise _no_exif(name)
        return reader(path, split, **options)
    place, _, attribute = name.partition(":")
    parts = (*place.split("."), *([attribute] if attribute else []))
    if (attribute and not place) or (len(parts) > 1 and all(part.isidentifier() for part in parts)):
        if options:
            raise _no_exif(name)
        return _own(name, split)
    from cnnlab.data.builders import EMBEDDED
    from cnnlab.data.sources.tfds import TFDSSource, find

    folder = data_folder(data_dir)
    if name in EMBEDDED and options:
        raise _no_exif(name)
    if name in EMBEDDED:
        from cnnlab.data.sources.tfds_prepare import prepare

        return TFDSSource(prepare(name, folder), split, name=name)
    return TFDSSource(find(name, folder), split, name=name, **options)


def _no_exif(name: str) -> UserError:
    return UserError(f"data.exif=ignore: '{name}' reads no EXIF orientation; leave it at apply")


def _own(name: str, split: str) -> Source:
    """Return what is at `package.module:Name`, called with the split.

    Raises:
        UserError: there is none, or it returns no source.
    """
    made: Any = import_path.pick({}, name, "data set", callable, "class or function")
    with import_path.explained(f"data set '{name}' fails"):
        return contract.checked(name, made(split))


def moved(data: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a config's `data` entry for data that lies elsewhere now.

    Args:
        data: the entry.
        place: in place of the path of `data["source"]`, if that has one; what
            `data["eval"]["sources"]` has at or below that path moves along. Otherwise in place of
            `data["data_dir"]`.
    """
    kind, old = path_of(data["source"])
    if not kind:
        return {**data, "data_dir": place}

    def follow(name: str) -> str:
        own, path = path_of(name)
        if not own or not Path(path).is_relative_to(old):
            return name
        return f"{own}:{Path(place) / Path(path).relative_to(old)}"

    others = {split: follow(name) for split, name in data["eval"]["sources"].items()}
    return {
        **data,
        "source": f"{kind}:{relocated(old, place)}",
        "eval": {**data["eval"], "sources": others},
    }


class SkipCorrupt:
    """A source whose unreadable files are passed over and counted.

    Attributes:
        skipped: number of distinct unreadable examples met so far.
    """

    def __init__(self, source: Any, *, flag_valid: bool = False):
        """Wrap `source`.

        Args:
            source: the source. In place of an unreadable example stands the next readable one
                (after the last comes the first).
            flag_valid: all examples get a key `valid`, False on those that stand in for another.
        """
        self.source, self.flag_valid, self.info = source, flag_valid, source.info
        if flag_valid:
            self.info = replace(source.info, spec={**source.info.spec, "valid": ((), "bool")})
        self._corrupt: set[int] = set()  # adding to a set is atomic: no lock, so it pickles

    @property
    def skipped(self) -> int:
        """Number of distinct unreadable examples met so far."""
        return len(self._corrupt)

    def corrupt(self) -> Integer[np.ndarray, "n"]:
        """Return the indices of the unreadable examples met so far."""
        return np.array(sorted(self._corrupt), np.int64)

    def leave_out(self, indices: Integer[np.ndarray, "n"]) -> None:
        """Take these examples for unreadable, as others have found them."""
        self._corrupt.update(indices.tolist())

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        tries = min(len(self), MAX_CORRUPT_RUN)
        for offset in range(tries):
            example = self._read((index + offset) % len(self))
            if example is not None:
                return {**example, "valid": np.asarray(not offset)} if self.flag_valid else example
        raise UserError(
            f"'{self.info.name}' split '{self.info.split}': {tries} examples in a row, from index "
            f"{index}, cannot be decoded: the set is damaged, prepare or copy it again"
        )

    def _read(self, index: int) -> dict[str, np.ndarray] | None:
        if index in self._corrupt:
            return None
        try:
            return self.source[index]
        except UNREADABLE:
            self._corrupt.add(index)
            return None
