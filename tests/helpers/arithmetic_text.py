"""Read what is written on a drawing as arithmetic."""

import re


def evaluate(text):
    """Return the number before the last "=" as computed, and the one after it as written."""
    plain = text.replace("·", "*").replace("−", "-").replace("max(", "maximum(")
    _, *parts = plain.split(" = ")
    names = {"maximum": lambda *numbers: max(numbers)}
    return [float(eval(part, {"__builtins__": {}}, names)) for part in parts]


def target(text):
    """Return the letters and the indices of what a formula is about: ∂w₀₁ is ("∂w", (0, 1))."""
    digits = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
    letters, indices = re.match(r"([^₀-₉]+)([₀-₉,]+)", text).groups()
    indices = indices.translate(digits)
    return letters, tuple(map(int, indices.split(",") if "," in indices else indices))
