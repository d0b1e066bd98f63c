"""What the listings of models and layers show, kept in files so that listing them traces nothing.

`tests/models/test_summaries.py` and `tests/layers/test_table.py` compare them with what the code
computes, and write them anew under REWRITE_SUMMARIES=1. Reading them imports neither JAX nor Flax.
"""

import json
from importlib import resources
from typing import Any

Entry = dict[str, Any]


def models() -> dict[str, Entry]:
    """Return each model's row (`tables.COLUMNS`), with its fields as `arguments` and its `stages`.

    In the order of the models' history.
    """
    return {entry["name"]: entry for entry in _read("models")}


def layers() -> dict[str, Entry]:
    """Return the number of `parameters`, `paper` and `formula` of each layer, in order."""
    return {entry["name"]: entry for entry in _read("layers")}


def _read(name: str) -> list[Entry]:
    return json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
