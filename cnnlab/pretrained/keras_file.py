"""Weights in Keras' HDF5 files (.h5), of a whole model or alone, in the layout of PyTorch.

A file has a group for each of its `layer_names`, with an array for each of the group's
`weight_names`: "conv2d_3/kernel:0". It becomes "conv2d_3.weight", in the layout that
`cnnlab.pretrained.param_map` describes. Keras numbers layers without a name through the whole
process; here the first of a kind is "conv2d", the second "conv2d_1". What the file's
`model_config` says of padding, epsilon and activation is kept with the arrays: it is the same for
all layers of a model of ours.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import UserError

START = b"\x89HDF\r\n\x1a\n"
MISSING = "is an HDF5 file, and reading those needs the extra keras: pip install h5py"
LEAVES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
NUMBERED = re.compile(r"(conv2d|depthwise_conv2d|batch_normalization|dense)(?:_(\d+))?")
# Of activations that are none of a hidden layer.
OUTPUTS = ("linear", "softmax", "sigmoid")
# How many names a message gives.
LISTED = 5


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays by name, and texts: `fields` of our models that the file says (JSON).

    Raises:
        UserError: h5py is not installed, or the file is damaged or has no layers of Keras.
    """
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path} {MISSING}") from None
    try:
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
            layers = [] if config is None else list(_layers(json.loads(config)["config"]))
            kinds = {options["name"]: kind for kind, options in layers}
            arrays = _arrays(file, kinds)
            fields = _fields(layers)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        # The library raises nearly anything for a damaged file.
        raise UserError(
            f"{path} is a damaged HDF5 file, or none of Keras: get it again "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
    return arrays, {"fields": json.dumps(fields)} if fields else {}


def _arrays(file: Any, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    weights = file.get("model_weights", file)
    found: dict[tuple[str, str], np.ndarray] = {}
    for layer in _listed(weights, "layer_names"):
        for name in _listed(weights[layer], "weight_names"):
            # Within a model in a model the inner layer comes last but one.
            *_, owner, leaf = (layer, *name.removesuffix(":0").split("/"))
            if (owner, leaf) in found:
                raise UserError(f"two layers are named '{owner}'")
            array = _values(weights[layer][name], name, file)
            # Keras 3 names this kernel as any other.
            depthwise = leaf == "depthwise_kernel" or kinds.get(owner) == "DepthwiseConv2D"
            found[owner, leaf] = _as_torch(array, leaf, depthwise)
    if not found:
        raise UserError(
            f"no layers of Keras are in it, only {', '.join(list(file)[:LISTED]) or 'nothing'}: "
            "in Keras, write it with model.save('name.h5')"
        )
    names = _renumbered({owner for owner, _ in found})
    return {
        f"{names.get(owner, owner)}.{LEAVES.get(leaf, leaf)}": array
        for (owner, leaf), array in found.items()
    }


def _listed(group: Any, key: str) -> list[str]:
    """Return the names in an attribute; long lists are split over `key0`, `key1`, ..."""
    parts = [key] if key in group.attrs else []
    if not parts:
        numbered = (f"{key}{n}" for n in itertools.count())
        parts = list(itertools.takewhile(lambda part: part in group.attrs, numbered))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _values(dataset: Any, name: str, file: Any) -> np.ndarray:
    # Other files can be linked to, and a few compressed bytes can unfold to any size.
    if dataset.external or dataset.is_virtual or dataset.file.filename != file.filename:
        raise UserError(f"{name} lies in another file")
    if dataset.dtype.kind not in "fiu":
        raise UserError(f"{name} holds {dataset.dtype}, which are no weights")
    if dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize:
        raise UserError(f"the numbers of {name} are compressed or missing: write it anew in Keras")
    return dataset[()]


def _as_torch(array: np.ndarray, leaf: str, depthwise: bool) -> np.ndarray:
    if depthwise and leaf.endswith("kernel"):
        height, width, channels, multiplier = array.shape
        kernels = array.transpose(2, 3, 0, 1)
        return kernels.reshape(channels * multiplier, 1, height, width)
    if leaf == "kernel" and array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    return array.T if leaf == "kernel" and array.ndim == 2 else array


def _renumbered(names: Iterable[str]) -> dict[str, str]:
    """Return the names that Keras numbered, each with its number among those of its kind."""
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := NUMBERED.fullmatch(name):
            kinds.setdefault(match[1], []).append((int(match[2] or 0), name))
    return {
        name: f"{kind}_{n}" if n else kind
        for kind, found in kinds.items()
        for n, (_, name) in enumerate(sorted(found))
    }


def _layers(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield class and options of each layer of a model, and of models in it."""
    # Keras 2.0 has a bare list for a Sequential model.
    for layer in config["layers"] if isinstance(config, Mapping) else config:
        if "layers" in layer["config"]:
            yield from _layers(layer["config"])
        else:
            yield layer["class_name"], layer["config"]


def _fields(layers: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of our models that a model's layers say.

    Raises:
        UserError: layers that differ in them.
    """
    found: dict[str, set] = {"norm_epsilon": set(), "padding": set(), "activation": set()}
    for kind, options in layers:
        if kind == "BatchNormalization":
            found["norm_epsilon"].add(float(f"{options['epsilon']:.6g}"))
        elif kind in ("Conv2D", "DepthwiseConv2D") and max(options["kernel_size"]) > 1:
            found["padding"].add(options["padding"].upper())
        elif kind == "ReLU":
            found["activation"].add("relu6" if options.get("max_value") == 6 else "relu")
        elif kind == "Activation" and options["activation"] not in OUTPUTS:
            found["activation"].add(options["activation"])
    for key, values in found.items():
        if len(values) > 1:
            differing = " and ".join(map(str, sorted(values)))
            raise UserError(f"its layers differ in {key}, {differing}: no model here does")
    return {key: value for key, values in found.items() for value in values}
