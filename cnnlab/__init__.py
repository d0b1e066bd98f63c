"""Convolutional networks in JAX: layers, models, objectives, data, training and evaluation."""

import importlib
import importlib.util
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    # `cnnlab.models` after `import cnnlab` alone, which itself imports nothing.
    if name.startswith("_") or importlib.util.find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return importlib.import_module(f"{__name__}.{name}")
