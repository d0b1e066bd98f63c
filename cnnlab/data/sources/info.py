"""The interface of sources, the description of one, and the folder of prepared sets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from cnnlab.data.spatial_targets import NAMES, Pairs, Targets, has_rank
from cnnlab.errors import UserError
from cnnlab.utils.files import expand, is_text

# Kinds of source whose name has a path behind a colon, and the class that reads each, which is
# called with the path and the split.
PATH_SOURCES = {
    "folder": "cnnlab.data.sources.folder:FolderSource",
    "wav": "cnnlab.data.sources.wav:WavSource",
    "sound": "cnnlab.data.sources.sound:SoundSource",
    "npz": "cnnlab.data.sources.npz:NpzSource",
    "idx": "cnnlab.data.sources.idx:IdxSource",
    "cifar": "cnnlab.data.sources.cifar:CifarSource",
    "omniglot": "cnnlab.data.sources.omniglot:OmniglotSource",
    "voc": "cnnlab.data.sources.voc:VOCSource",
    "voc_segmentation": "cnnlab.data.sources.label_maps:VOCSegmentation",
    "cityscapes": "cnnlab.data.sources.label_maps:Cityscapes",
    "camvid": "cnnlab.data.sources.label_maps:CamVid",
    "flow": "cnnlab.data.sources.frame_pairs:FlowSource",
    "stereo": "cnnlab.data.sources.frame_pairs:StereoSource",
    "depth": "cnnlab.data.sources.frame_pairs:DepthSource",
    "coco": "cnnlab.data.sources.coco:CocoSource",
    "coco_masks": "cnnlab.data.sources.coco:CocoMasks",
    "coco_keypoints": "cnnlab.data.sources.coco:CocoKeypoints",
}
# Keys by which batches number their rows and tell real ones from padding.
COUNTERS = ("ordinal", "index", "valid")
# What models read, and how many axes one example of it has: [h, w, c], [t], [t, h, w, c].
INPUTS = {"image": 3, "waveform": 1, "video": 4}
Spec = Mapping[str, tuple[tuple[int | None, ...], str]]


@dataclass(frozen=True)
class Info:
    """What a source holds.

    Attributes:
        name, split: as it was asked for.
        class_names: name of each label, in order; empty if there are no classes.
        spec: for each key, the shape of one example (None where it varies) and the dtype.
        kinds: by key, the kind of a target with a place in the image (`spatial_targets.KINDS`).
            Where none is given, `spatial_targets.NAMES` has those of some names, if the number of
            axes fits, and a key of shape (None,), one number an object, is an `object`.
        left_right: by key of keypoints, pairs of numbers of those that trade places on a flip.
    """

    name: str
    split: str
    class_names: tuple[str, ...] = ()
    spec: Spec = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    left_right: Mapping[str, Pairs] = field(default_factory=dict)

    def __post_init__(self):
        """Fill in `kinds`; raise a `UserError` for one that does not exist."""
        named = {
            key: NAMES[key]
            for key, (shape, _) in self.spec.items()
            if key in NAMES and has_rank(NAMES[key], shape)
        }
        listed = {
            key: "object"
            for key, (shape, _) in self.spec.items()
            if shape == (None,) and key not in INPUTS
        }
        object.__setattr__(self, "kinds", {**listed, **named, **self.kinds})
        self.targets()

    def targets(self, min_visible: float = 0.0) -> Targets:
        """Return what geometric transforms need to know; see `spatial_targets.Targets`."""
        return Targets(self.kinds, self.left_right, min_visible)

    def output_names(self, count: int) -> tuple[str, ...]:
        """Return distinct names of so many outputs: of an output without a class, its number."""
        names: dict[str, None] = {}  # In order, and quick to look in.
        for number in range(count):
            known = number < len(self.class_names)
            name = self.class_names[number] if known else str(number)
            names[f"{name} [{number}]" if name in names else name] = None
        return tuple(names)


@runtime_checkable
class Source(Protocol):
    """Examples by index: the same at every call, from any thread.

    A source may have `check()`, which raises `CorruptFile` for what no pixels are needed to see.
    """

    info: Info

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


def path_of(name: str) -> tuple[str, str]:
    """Return kind and path of a source `kind:path`, two empty texts for the name of a set.

    TFDS has an `omniglot` too, without a colon.
    """
    kind, colon, path = name.partition(":")
    return (kind, path) if colon and kind in PATH_SOURCES else ("", "")


def no_path(name: str) -> UserError:
    """Return the error for a kind of source without its path."""
    return UserError(f"data set '{name}' names no path: write {name.rstrip(':')}:/path")


def data_folder(data_dir: str = "") -> str:
    """Return where prepared sets live.

    That is `data_dir`, or if it is empty CNNLAB_DATA, TFDS_DATA_DIR, ~/tensorflow_datasets.

    Raises:
        UserError: if TFDS cannot open it, whose reader needs paths of text.
    """
    variables = os.environ.get("CNNLAB_DATA") or os.environ.get("TFDS_DATA_DIR")
    folder = expand(data_dir or variables or "~/tensorflow_datasets")
    if not is_text(folder):
        raise UserError(f"data_dir={folder}: the path is no UTF-8; name another folder")
    return folder
