"""Text about a layer of the catalog: attributes, shapes, parameters, worked example."""

import dataclasses
import inspect
import math
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from cnnlab.layers.catalog.layer import Layer

# Worked examples are given to four decimals at least.
TOLERANCE = 1e-4


def variables_of(layer: Layer) -> tuple[Any, Any, Any]:
    """Return shapes of the inputs, of the output and of the variables; nothing is computed."""

    def made():
        inputs = layer.inputs(jax.random.key(0))
        keys = {"params": jax.random.key(1), "dropout": jax.random.key(2)}
        output, variables = layer.module().init_with_output(keys, *inputs, **layer.call)
        return inputs, output, variables

    return jax.eval_shape(made)


def parameters(layer: Layer) -> int:
    """Return the number of trainable parameters of the instance."""
    _, _, variables = variables_of(layer)
    return sum(math.prod(x.shape) for x in jax.tree.leaves(variables.get("params", {})))


def entry(name: str, layer: Layer) -> dict[str, Any]:
    """Return the row of a layer in the list of layers: `name`, `parameters`, `paper`, `formula`."""
    return {
        "name": name,
        "parameters": parameters(layer),
        "paper": layer.paper,
        "formula": layer.formula,
    }


def arrays(part: Any) -> list[np.ndarray]:
    """Return computed or expected values as arrays; nested lists of numbers are one array."""
    leaves = jax.tree.leaves(part, is_leaf=lambda x: isinstance(x, list))
    return [np.asarray(leaf) for leaf in leaves]


def compare(layer: Layer) -> tuple[bool, str]:
    """Return whether the worked example is as expected, and "ok" or the difference."""
    computed, expected = (arrays(part) for part in layer.example())
    shapes = [[a.shape for a in part] for part in (computed, expected)]
    if shapes[0] != shapes[1]:
        return False, f"shapes {shapes[0]}, expected {shapes[1]}"
    off = 0.0
    for found, right in zip(computed, expected, strict=True):
        distance = np.abs(found.astype(np.float64) - right)
        off = max(off, float(np.max(distance / np.maximum(np.abs(right), 1), initial=0)))
        if np.isnan(distance).any():
            return False, "not a number"
    return off <= TOLERANCE, "ok" if off <= TOLERANCE else f"off by {off:.2g}"


def describe(name: str, layer: Layer) -> str:
    """Return text about a layer: its docstring, attributes, shapes, parameters and example."""
    module = layer.module()
    inputs, output, variables = variables_of(layer)
    kind = type(module)
    first, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
    lines = [
        f"{name}: {kind.__name__} in {kind.__module__}",
        *(f"  {line}" for line in first.splitlines()),
        f"paper       {layer.paper}",
        f"formula     {layer.formula}",
        "attributes",
        *_attributes(module),
        f"input       {_shapes(inputs)}",
        f"output      {_shapes(output)}",
    ]
    total = sum(math.prod(x.shape) for x in jax.tree.leaves(variables.get("params", {})))
    lines.append(f"parameters  {total:,}")
    for path, value in jax.tree_util.tree_leaves_with_path(dict(variables)):
        collection, *names = (str(getattr(entry, "key", entry)) for entry in path)
        note = "" if collection == "params" else f" ({collection}, not trained)"
        lines.append(f"  {'.'.join(names):16} {list(value.shape)}{note}")
    computed, expected = (arrays(part) for part in layer.example())
    for title, part in (("computed", computed), ("expected", expected)):
        lines.append(f"example, {title}")
        for leaf in part:
            text = np.array2string(leaf, precision=6, suppress_small=True)
            lines += [f"  {line}" for line in text.splitlines()]
    return "\n".join(lines)


def _attributes(module: nn.Module) -> list[str]:
    lines = []
    for entry in dataclasses.fields(module):
        if entry.name in ("parent", "name"):
            continue
        value = getattr(module, entry.name)
        default = entry.default
        if default is dataclasses.MISSING:
            note = ""
        else:
            same = value is default or _text(value) == _text(default)
            note = " (default)" if same else f" (default: {_text(default)})"
        lines.append(f"  {entry.name:16} {_text(value)}{note}")
    return lines


def _text(value: Any) -> str:
    """Return a value as in source code; functions and types by name."""
    name = getattr(value, "__qualname__", None) or repr(value)
    # A closure, as initializers are, is named by the function that returns it.
    return name.partition(".<locals>")[0]


def _shapes(tree: Any) -> str:
    leaves = jax.tree.leaves(tree)
    return ", ".join(f"{list(leaf.shape)} {leaf.dtype}" for leaf in leaves)
