"""Checkpoint files as arrays by name: .safetensors, PyTorch's .pth and Keras' .h5, by content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors

from cnnlab.errors import UserError
from cnnlab.pretrained import keras_file, torch_file
from cnnlab.utils.files import parse_json

# What PyTorch wraps modules in, at any place of a name: torch.compile, FSDP, checkpointing.
WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")

# The header of a .safetensors file.
HEADER = {"__metadata__?": {str: str}, str: dict}

# How many names a message gives.
LISTED = 10


class Checkpoint(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by name, behind the names of the dicts that they lie in: "state_dict.conv1.weight";
            floating-point numbers are float32.
        metadata: texts in the header of a .safetensors file; of a .h5 file its `fields`.
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the arrays and the metadata in a .safetensors, .pth or .h5 file.

    Raises:
        UserError: no such file, or none of the three, a damaged one, or one without arrays by
            name; with what to do.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise UserError(f"the checkpoint {path} {what}")
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise UserError(f"{path}: the file is empty (0 bytes); get it again")
    if start.startswith((torch_file.ZIP_START, torch_file.LEGACY_START)):
        return Checkpoint(_named(torch_file.read(path), path), {})
    if start.startswith(keras_file.START):
        arrays, metadata = keras_file.read(path)
        return Checkpoint(_named(arrays, path), metadata)
    if start[8:9] == b"{":
        arrays, metadata = _read_safetensors(path)
        return Checkpoint(_named(arrays, path), metadata)
    raise UserError(
        f"{path} is no .pth, .safetensors or .h5 file of weights: it begins with {start[:24]!r}"
        + ("; a web page? Get the file itself" if start.lstrip()[:1] == b"<" else "")
    )


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the texts in the header of a .safetensors file; none for other files."""
    path = Path(path)
    if not path.is_file():
        return read_checkpoint(path).metadata
    with path.open("rb") as file:
        length, start = int.from_bytes(file.read(8), "little"), file.read(1)
        if start != b"{" or length > path.stat().st_size:
            return {}
        text = start + file.read(length - 1)
    return parse_json(text, HEADER, path, "cut short? get it again").get("__metadata__", {})


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except AttributeError as error:
        # numpy has no such type, as of 8-bit floating-point numbers.
        raise UserError(
            f"{path} holds numbers of a type that is not read ({error}): convert them to float32"
        ) from error
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is damaged or cut short, or no .safetensors file: get it again "
        f"({type(error).__name__}: {' '.join(str(error).split())})"
    )


def _named(content: Any, path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in dicts, and dicts of dicts, by name; what else lies there is not read."""
    arrays: dict[str, np.ndarray] = {}
    seen = set()

    def walk(part: Mapping, place: str) -> None:
        seen.add(id(part))
        for key, value in part.items():
            name = f"{place}{key}"
            if isinstance(value, np.ndarray):
                for wrapper in WRAPPERS:
                    name = name.replace(wrapper, "")
                arrays[name] = _as_float32(value)
            elif isinstance(value, Mapping) and id(value) not in seen:
                walk(value, f"{name}.")

    if isinstance(content, Mapping):
        walk(content, "")
    if not arrays:
        raise UserError(f"{path} holds {_describe(content)}, not a state dict of arrays by name")
    return arrays


def _as_float32(array: np.ndarray) -> np.ndarray:
    # numpy itself does not know bfloat16 as a floating-point number.
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _describe(content: Any) -> str:
    if isinstance(content, Mapping) and content:
        return f"only {', '.join(map(repr, list(content)[:LISTED]))}"
    return "nothing" if content in ({}, [], None) else f"an object of type {type(content).__name__}"
