"""Embedded data sets: generated here by TFDS builders of our own, without a download."""

import importlib
from typing import Any

# Name -> module and class; imported only when one is built, as the library takes a while.
EMBEDDED = {
    "digits": ("cnnlab.data.builders.digits", "Digits"),
    "shapes": ("cnnlab.data.builders.shapes", "Shapes"),
    "scenes": ("cnnlab.data.builders.scenes", "Scenes"),
    "glyphs": ("cnnlab.data.builders.glyphs", "Glyphs"),
    "tones": ("cnnlab.data.builders.tones", "Tones"),
}


def builder_class(name: str) -> type[Any]:
    """Return the TFDS builder of an embedded set."""
    module, attribute = EMBEDDED[name]
    return getattr(importlib.import_module(module), attribute)
