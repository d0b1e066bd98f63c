"""Evaluators that a command line names, as the entries of a config."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from cnnlab import config as cfg
from cnnlab import config_file
from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest


def entries(given: Iterable[tuple[str, Mapping[str, str]]]) -> ConfigDict:
    """Return an entry for `representation.evaluators`.

    Args:
        given: name or place of each evaluator, and the text of its keywords.

    Raises:
        UserError: for an unknown evaluator or keyword, or a value of another type.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, keywords in given:
        short = name.rpartition(":")[2]
        # The same evaluator may come twice, with other keywords.
        copies = sum(key == short or key.startswith(f"{short}_") for key in found)
        key = f"{short}_{copies + 1}" if copies else short
        own = {"name": name} if key != name else {}
        known = cfg.evaluators(**{key: own})[key].to_dict()
        for word in keywords:
            if word not in known or word in ("name", "every", "splits"):
                names = [k for k in known if k not in ("name", "every", "splits")]
                hint = suggest(word, names)
                raise UserError(f"evaluator '{name}' has no keyword '{word}'{hint}")
        values = {
            word: config_file.typed(f"--{word} of '{name}'", _value(text, known[word]), known[word])
            if word != "endpoint"
            else _value(text, known[word], several=True)
            for word, text in keywords.items()
        }
        found[key] = {**own, **values}
    return cfg.evaluators(**found)


def _value(text: str, default: Any, *, several: bool = False) -> Any:
    """Return the value that a text stands for where a keyword has this default."""
    if isinstance(default, str):
        return tuple(text.split(",")) if several and "," in text else text
    if isinstance(default, tuple) and not text.startswith("("):
        text = f"({text},)"
    words = {"true": True, "false": False}
    try:
        return words[text] if text in words else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
