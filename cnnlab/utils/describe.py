"""What a value is, in a few words, for messages."""

from typing import Any


def describe(value: Any) -> str:
    """Return such as "float32[2,3]", "(float32[2], a dict)", "an int 3", "None"."""
    if value is None:
        return "None"
    if type(value) is tuple:
        return f"({', '.join(map(describe, value))})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, type) or callable(value):
        kind = "class" if isinstance(value, type) else type(value).__name__
        return f"{article(kind)} '{getattr(value, '__name__', kind)}'"
    text = f" {value!r:.40}" if isinstance(value, str | int | float) else ""
    return f"{article(type(value).__name__)}{text}"


def article(noun: str) -> str:
    """Return the noun behind "a" or "an"."""
    return f"{'an' if noun[:1].lower() in ('a', 'e', 'i', 'o', 'u') else 'a'} {noun}"


def place_of(value: Any) -> str:
    """Return `package.module:Name` of a class, or of that of an object."""
    cls = value if isinstance(value, type) else type(value)
    return f"{cls.__module__}:{cls.__qualname__}"
