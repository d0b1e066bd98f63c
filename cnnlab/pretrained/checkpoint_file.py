"""Checkpoint files as arrays by name: .safetensors, and .pth of PyTorch, told by their content."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors

from cnnlab.errors import UserError
from cnnlab.pretrained import torch_file

# What a state dict may lie in, and what its names may begin with (DataParallel, torch.compile).
WRAPPERS = ("state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")


class Checkpoint(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by name; floating-point numbers are float32.
        metadata: texts in the header of a .safetensors file.
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return the arrays and the metadata in a .safetensors or .pth file.

    Raises:
        UserError: no such file, or none of the two, a damaged one, or one that holds more than
            weights; with what to do.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise UserError(f"the checkpoint {path} {what}")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith((torch_file.ZIP_START, torch_file.LEGACY_START)):
        return Checkpoint(_state_dict(torch_file.read(path), path), {})
    if start[8:9] == b"{":
        arrays, metadata = _read_safetensors(path)
        return Checkpoint(_state_dict(arrays, path), metadata)
    raise UserError(
        f"{path} is no .pth or .safetensors file of weights: it begins with {start[:24]!r}"
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
        try:
            return json.loads(start + file.read(length - 1)).get("__metadata__", {})
        except ValueError as error:
            raise _damaged(path, error) from error


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is damaged or cut short, or no .safetensors file: get it again "
        f"({type(error).__name__}: {error})"
    )


def _state_dict(content: Any, path: Path) -> dict[str, np.ndarray]:
    """Return the arrays by name, out of what they are wrapped in."""
    while isinstance(content, Mapping):
        inner = next((content[k] for k in WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds {_describe(content)}, not a state dict of arrays by name")
    others = [name for name, value in content.items() if not isinstance(value, np.ndarray)]
    if others:
        raise UserError(
            f"{path} holds {_describe(content[others[0]])} under '{others[0]}', where a state "
            f"dict has arrays only, or lies under one of {WRAPPERS}"
        )
    arrays = {str(name): _as_float32(value) for name, value in content.items()}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in arrays):
            arrays = {name.removeprefix(prefix): value for name, value in arrays.items()}
    return arrays


def _as_float32(array: np.ndarray) -> np.ndarray:
    # numpy itself does not know bfloat16 as a floating-point number.
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _describe(content: Any) -> str:
    return "nothing" if content in ({}, [], None) else f"an object of type {type(content).__name__}"
