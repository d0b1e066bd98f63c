"""Each of a model's arrays, with its name and layout in another library.

PyTorch's kernels are [out, in / groups, h, w], ours [h, w, in / groups, out]; its dense layers
[out, in], ours [in, out]. Where a dense layer sees a flattened map, PyTorch counts its inputs
channel by channel and we place by place. BatchNorm's `scale`, `bias`, `mean` and `var` are
`weight`, `bias`, `running_mean` and `running_var`; `num_batches_tracked`, which no result depends
on, is left out here and 0 there.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import freeze
from flax.traverse_util import flatten_dict

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.pretrained.zoo import OWN, Source

LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
COUNTER = "num_batches_tracked"

Shape = tuple[int, ...]


class Slot(NamedTuple):
    """One array here and in another library.

    Attributes:
        name: there.
        shape: here.
        side: height and width of the map that a dense layer sees flattened; 0 for none.
        same: whether the layout there is the same.
    """

    name: str
    shape: Shape
    side: int = 0
    same: bool = False

    @property
    def shape_there(self) -> Shape:
        """The shape in the other library."""
        return self.shape if self.same else self._there(np.broadcast_to(0, self.shape)).shape

    def to_there(self, array: np.ndarray) -> np.ndarray:
        """Return our array as the other library has it, contiguous."""
        return np.ascontiguousarray(array if self.same else self._there(array))

    def to_here(self, array: np.ndarray) -> np.ndarray:
        """Return the other library's array as we have it."""
        if self.same or array.ndim < 2:
            return array
        if array.ndim == 4:
            return array.transpose(2, 3, 1, 0)
        if self.side:
            maps = array.reshape(len(array), -1, self.side, self.side)
            return maps.transpose(2, 3, 1, 0).reshape(-1, len(array))
        return array.T

    def _there(self, array: np.ndarray) -> np.ndarray:
        if array.ndim == 4:
            return array.transpose(3, 2, 0, 1)
        if array.ndim == 2 and self.side:
            maps = array.reshape(self.side, self.side, -1, array.shape[-1])
            return maps.transpose(3, 2, 0, 1).reshape(array.shape[-1], -1)
        return array.T


def shapes_of(model_name: str, channels: int = 0, /, **arguments: Any) -> dict[str, Shape]:
    """Return the shape of each array of a model, by "<collection>/<path>": traced, not computed.

    Args:
        model_name: as for `models.create`.
        channels: of the images; 0 for the paper's.
        arguments: fields of the model.

    Raises:
        UserError: an unknown model or argument.
    """
    models.architecture(model_name)
    # From configs tuples can come as lists.
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    given = {k: freeze(v) if isinstance(v, Mapping) else v for k, v in given.items()}
    return dict(_trace(model_name, channels, tuple(sorted(given.items()))))


# Looking for a model that a file fits traces many, up to a second each.
@functools.cache
def _trace(
    model_name: str, channels: int, arguments: tuple[tuple[str, Any], ...]
) -> tuple[tuple[str, Shape], ...]:
    *size, usual = models.architecture(model_name).input
    images = jax.ShapeDtypeStruct((1, *size, channels or usual), jnp.float32)
    model = models.create(model_name, **dict(arguments))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    shapes = [(path, leaf.shape) for path, leaf in flatten_dict(variables, sep="/").items()]
    # Parameters first, also in messages.
    return tuple(sorted(shapes, key=lambda item: not item[0].startswith("params/")))


def slots_for(
    model_name: str, arrays: Mapping[str, np.ndarray], source: Source, **arguments: Any
) -> dict[str, Slot]:
    """Return the slots of a model for images with as many channels as the arrays take.

    Args:
        model_name: as for `models.create`.
        arrays: in the layout of the source, by its names.
        source: as for `slots_of`.
        arguments: fields of the model.

    Raises:
        UserError: as `shapes_of` and `slots_of`.
    """
    slots = slots_of(shapes_of(model_name, **arguments), source)
    image = models.architecture(model_name).input
    for slot in slots.values():
        # Of all kernels the first alone has as few inputs as an image has channels.
        if len(image) != 3 or len(slot.shape) != 4 or slot.shape[2] != image[2]:
            continue
        there = slot.to_here(arrays[slot.name]).shape if slot.name in arrays else slot.shape
        if len(there) == 4 and there != slot.shape:
            return slots_of(shapes_of(model_name, there[2], **arguments), source)
    return slots


def slots_of(shapes: Mapping[str, Shape], source: Source) -> dict[str, Slot]:
    """Return for each of a model's arrays what it is in a library.

    Raises:
        UserError: arrays that the library has no name for.
    """
    if source is OWN:
        return {path: Slot(path, shape, same=True) for path, shape in shapes.items()}
    modules = {path: path.partition("/")[2].rpartition("/")[0] for path in shapes}
    names = source.names(modules.values())
    unknown = [path for path, module in modules.items() if module not in names]
    if unknown:
        raise UserError(
            f"{source.layout} has nothing like {unknown[0]}, so its layout does not fit these "
            "arguments of the model"
        )
    return {
        path: Slot(
            f"{names[modules[path]]}.{LEAVES[path.rpartition('/')[2]]}",
            shape,
            source.flattened.get(modules[path], 0),
        )
        for path, shape in shapes.items()
    }


def counters(slots: Mapping[str, Slot]) -> list[str]:
    """Return the names of BatchNorm's counters in the library."""
    means = (slot.name for slot in slots.values() if slot.name.endswith(".running_mean"))
    return [name.replace("running_mean", COUNTER) for name in means]
