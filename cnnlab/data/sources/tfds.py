"""Sets prepared by TensorFlow Datasets, read without TensorFlow: array_record by random access.

A set is found on disk, so one prepared with other versions of the library, or by a builder of
your own, is read as well. Images are decoded by `preprocess/decode.py`, so that a corrupt one is
named; nested features become keys such as `objects/bbox`; Python lists become arrays. Boxes come
in pixels too: see `tfds_objects`.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from cnnlab.data.builders import EMBEDDED
from cnnlab.data.preprocess.decode import decode
from cnnlab.data.sources import tfds_objects
from cnnlab.data.sources.identity import row_ids
from cnnlab.data.sources.info import PATH_SOURCES, Info, no_path
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.registry import nearest, suggest

# For suggestions only; any set of the library will do.
COMMON = (
    *("mnist", "fashion_mnist", "kmnist", "emnist", "omniglot", "svhn_cropped", "eurosat"),
    *("cifar10", "cifar100", "stl10", "imagenette", "imagewoof", "imagenet2012", "food101"),
    *("imagenet_resized", "oxford_flowers102", "oxford_iiit_pet", "stanford_dogs", "caltech101"),
    *("cars196", "tf_flowers", "cats_vs_dogs", "beans", "voc", "coco", "cityscapes"),
)


def _base(name: str) -> str:
    return name.replace(":", "/").partition("/")[0]  # without config and version


def is_known(name: str) -> bool:
    """Return whether the library has a builder of this name (configs and versions ignored)."""
    try:
        tfds.builder_cls(_base(name))
    except ImportError:
        return True  # there is one, whose own requirements are missing
    except (tfds.core.DatasetNotFoundError, ValueError):
        return False
    return True


def unknown(name: str) -> UserError:
    """Return the error for a name that is neither a set nor a path."""
    if name in PATH_SOURCES:
        return no_path(name)
    if name and Path(name).expanduser().exists():
        kind = "npz" if name.endswith(".npz") else "folder"
        return UserError(f"unknown data set '{name}'; for files of your own write '{kind}:{name}'")
    prefix, colon, path = name.partition(":")
    if colon and (near := nearest(prefix, PATH_SOURCES, cutoff=0.6)):
        return UserError(f"unknown data set '{name}'; did you mean '{near}:{path}'?")
    hint = suggest(name, [*EMBEDDED, *COMMON]).partition("; there are")[0]
    return UserError(
        f"unknown data set '{name}'{hint}; embedded: {', '.join(EMBEDDED)}; TFDS: mnist, "
        "cifar10, imagenette, imagenet2012, ...; your own: folder:/path, wav:/path, "
        "npz:/path/to/file.npz, idx:/path, cifar:/path, omniglot:/path"
    )


def find(name: str, folder: str) -> Path:
    """Return where a set lies that was prepared in `folder` (or below `name/config`).

    Raises:
        UserError: if it is unknown or has not been prepared.
    """
    from tensorflow_datasets.core import read_only_builder

    if not _base(name).isidentifier():
        raise unknown(name)
    try:
        return Path(read_only_builder.builder_from_files(name, data_dir=folder).data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError):
        pass  # not there, or no name at all; what to do about it follows
    except Exception as error:  # a damaged JSON raises whatever its parser does
        raise _unreadable(name, folder, error) from error
    there = _prepared(name, folder)
    if not there and not is_known(name):
        raise unknown(name)
    raise MissingData(
        f"'{name}' is not prepared in {folder}"
        + (f", only {', '.join(there)} is" if there else "")
        + f": run `CNNLAB_DATA={shlex.quote(str(folder))} python launch.py data prepare {name}`, "
        "or point CNNLAB_DATA or --config.data.data_dir to where it is"
    )


def _prepared(name: str, folder: str) -> list[str]:
    """List what there is of a set, in the library's notation: name/config:version."""
    root = Path(folder) / _base(name)
    places = {file.parent for depth in ("*", "*/*") for file in root.glob(f"{depth}/features.json")}
    complete = (place for place in places if not place.name.startswith("incomplete"))
    return sorted(f"{place.parent.relative_to(folder)}:{place.name}" for place in complete)


class TFDSSource:
    """A split of a prepared set.

    Attributes:
        reads_labels: `labels` reads every record.
    """

    reads_labels = True

    def __init__(self, folder: Path, split: str, *, name: str, exif: bool = True):
        """Open the set in `folder`, which holds a dataset_info.json.

        Raises:
            UserError: if it is not in array_record format, if files are missing, or if there is
                no such split.
        """
        builder = _open(folder, name)
        infos = builder.info.splits
        shards = {key: infos[key].shard_lengths for key in infos}
        self._ranges = resolve(split, shards, name=name)
        self._place, self._exif = str(Path(folder).resolve()), exif
        for path in infos[split].filepaths:
            if not path.exists():
                raise UserError(
                    f"'{name}' is damaged, {path} is missing: delete {folder} and run "
                    f"`python launch.py data prepare {name}`"
                )
        features = builder.info.features
        self._images = _image_channels(features)
        self._source = builder.as_data_source(split=split, decoders=_skip_decoding(self._images))
        tensors = _flatten(features.get_tensor_info())
        self._stored = {key: (tuple(t.shape), _dtype(key, t)) for key, t in tensors.items()}
        label, spec = dict(features.items()).get("label"), dict(self._stored)
        self._boxes_of = builder.name if tfds_objects.has_boxes(features) else ""
        if self._boxes_of:
            spec |= tfds_objects.spec_of(spec)
            label = label or dict(features["objects"].feature.items()).get("label")
        # What features cannot say, the embedded sets have in their metadata.
        facts = builder.info.metadata or {} if name in EMBEDDED else {}
        named = label.names if isinstance(label, tfds.features.ClassLabel) else None
        class_names = tuple(named or facts.get("class_names", ()))
        self.info = Info(name, split, class_names, spec, left_right=facts.get("left_right", {}))

    def __len__(self) -> int:
        return len(self._source)

    def labels(self) -> np.ndarray:
        """Return every label; images are read and not decoded."""
        return np.array([self._source[i]["label"] for i in range(len(self))], np.int32)

    def ids(self) -> np.ndarray:
        """Return the identity of every example; see `cnnlab.data.sources.identity`."""
        return row_ids(self._place, self._ranges)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        example = _flatten(self._source[int(index)])
        file = f"of '{self.info.name}' split '{self.info.split}'"
        if "file_name" in example:  # ImageNet has it
            file = f"{example['file_name'].decode(errors='replace')} {file}"
        for key, channels in self._images.items():
            example[key] = decode(
                example[key], channels=channels, exif=self._exif, file=file, index=int(index)
            )
        arrays = {key: self._array(key, value) for key, value in example.items()}
        return arrays | (tfds_objects.read(arrays, self._boxes_of) if self._boxes_of else {})

    def _array(self, key: str, value: Any) -> np.ndarray:
        shape, dtype = self._stored[key]
        array = np.asarray(value, None if dtype == "bytes" else dtype)
        # A list without entries has lost the shape of its entries.
        known = array.size or array.ndim == len(shape)
        return array if known else array.reshape([n or 0 for n in shape])


def _unreadable(name: str, folder: Path | str, error: Exception) -> UserError:
    return UserError(
        f"'{name}' in {folder} is damaged, {error}: delete it and run "
        f"`python launch.py data prepare {name}`"
    )


def _open(folder: Path, name: str) -> Any:
    try:
        builder = tfds.builder_from_directory(folder)
        file_format = builder.info.file_format.value
    except Exception as error:
        raise _unreadable(name, folder, error) from error
    if file_format != "array_record":
        raise UserError(
            f"'{name}' in {folder} is in {file_format} format, which has no random access: move "
            f"it away and run `python launch.py data prepare {name}`, which writes array_record"
        )
    return builder


def _image_channels(features: Any, prefix: str = "") -> dict[str, int]:
    """Map the keys of the images that `decode` reads right to their channels."""
    channels: dict[str, int] = {}
    for key, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            channels |= _image_channels(feature, f"{prefix}{key}/")
        # Not a subclass: in a LabeledImage the numbers are classes, not brightness.
        elif type(feature) is tfds.features.Image and feature.np_dtype == np.uint8:
            channels[prefix + key] = feature.shape[-1] or 3
    return {key: count for key, count in channels.items() if count in (1, 3)}


def _skip_decoding(keys: Mapping[str, int]) -> dict[str, Any]:
    decoders: dict[str, Any] = {}
    for key in keys:
        *parents, last = key.split("/")
        place = decoders
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = tfds.decode.SkipDecoding()
    return decoders


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}/")
        else:
            flat[prefix + key] = value
    return flat


def _dtype(key: str, tensor: Any) -> str:
    dtype = np.dtype(tensor.np_dtype)
    if dtype.kind not in "biuf":
        return "bytes"
    return "int32" if key == "label" and dtype.kind in "iu" else dtype.name
