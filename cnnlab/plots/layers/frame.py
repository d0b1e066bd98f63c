"""What one step of a drawing shows: grids of numbers, the window over them, and the sum.

Nothing here is drawn: frames are data, made by one file an idea (`forward`, `backward`, ...), drawn
by `render`. A number that is not known yet is NaN.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from cnnlab.errors import UserError

Cell = tuple[int, int]
# Name, letter in formulas and color of the three that take part: two are combined to a third.
Actors = tuple[tuple[str, str, str], tuple[str, str, str], tuple[str, str, str]]

# What a cell holds: a value, a zero of the padding, a zero put between values, or nothing at all.
VALUE, PADDING, INSERTED = range(3)
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# More numbers along an axis no one reads; with what is put around and between them, twice that.
LARGEST = 12


class Span(NamedTuple):
    """A piece of a formula, in the color of a role: "input", "kernel", "output" or ""."""

    text: str
    role: str = ""


@dataclass(frozen=True)
class Grid:
    """A grid of numbers.

    Attributes:
        name: what is written above it.
        role: "input", "kernel" or "output"; decides its color.
        values: the numbers, NaN where there is none yet.
        kinds: VALUE, PADDING or INSERTED of each cell.
        marked: the cells that this step looks at.
        current: the cells that this step writes.
        notes: small text in the corner of a cell: the weight it is multiplied with.
    """

    name: str
    role: str
    values: Float[np.ndarray, "h w"]
    kinds: np.ndarray
    marked: Bool[np.ndarray, "h w"]
    current: Bool[np.ndarray, "h w"]
    notes: Mapping[Cell, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """One step: grids with the signs between them, what is computed, a title and what is below."""

    title: str
    parts: tuple[Grid | str, ...]
    formula: tuple[Span, ...] = ()
    subtitle: str = ""

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids, without the signs."""
        return tuple(part for part in self.parts if isinstance(part, Grid))

    @property
    def text(self) -> str:
        """The formula without its colors."""
        return "".join(span.text for span in self.formula)


def grid(
    name: str,
    role: str,
    values,
    *,
    kinds=None,
    marked: Iterable[Cell] = (),
    current: Iterable[Cell] = (),
    notes: Mapping[Cell, str] | None = None,
) -> Grid:
    """Return a `Grid`, cells given by their indices."""
    values = np.array(values, float)
    masks = []
    for cells in (marked, current):
        mask = np.zeros(values.shape, bool)
        for cell in cells:
            mask[cell] = True
        masks.append(mask)
    kinds = np.full(values.shape, VALUE) if kinds is None else kinds
    return Grid(name, role, values, kinds, masks[0], masks[1], notes or {})


def extended(
    x: Float[np.ndarray, "h w"],
    pads: Sequence[tuple[int, int]],
    insert: Sequence[int] = (1, 1),
    fill: float = 0.0,
) -> tuple[Float[np.ndarray, "hp wp"], np.ndarray]:
    """Return `x` with `insert` - 1 zeros between its values and padded by `pads`, and the kinds."""
    shape = [(n - 1) * s + 1 for n, s in zip(x.shape, insert, strict=True)]
    values, kinds = np.zeros(shape), np.full(shape, INSERTED)
    values[:: insert[0], :: insert[1]] = x
    kinds[:: insert[0], :: insert[1]] = VALUE
    values = np.pad(values, pads, constant_values=fill)
    check({"padded input": values}, "drawing", 2 * LARGEST)
    return values, np.pad(kinds, pads, constant_values=PADDING)


def number(value: float) -> str:
    """Return a number as it is written in a cell: at most two decimals, a true minus."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", "−")


def factor(value: float) -> str:
    """Return a number as it is written in a product, in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def indexed(letter: str, cell: Cell) -> str:
    """Return a letter with its indices below it."""
    between = "" if max(cell) < 10 else ","
    return letter + between.join(str(n).translate(SUBSCRIPT) for n in cell)


def products(
    target: str, terms: Sequence[tuple[float, float]], result: float, roles: tuple[str, str, str]
) -> tuple[Span, ...]:
    """Return a sum of products written out: y₀₀ = 1·1 + 2·2 + 4·3 + 5·4 = 37.

    Args:
        target: what it is the value of.
        terms: the factors of each product.
        result: the sum.
        roles: of the left factors, of the right factors and of the result.
    """
    spans = [Span(target, roles[2])]
    for n, (left, right) in enumerate(terms):
        sign = Span(" + " if n else " = ")
        spans += [sign, Span(factor(left), roles[0]), Span("·"), Span(factor(right), roles[1])]
    return (*spans, Span(" = "), Span(number(result), roles[2]))


def describe(window, stride, pads, dilation) -> str:
    """Return the geometry of a layer in words, each number once if both axes agree."""

    def both(numbers):
        return "×".join(map(str, numbers)) if len(set(numbers)) > 1 else str(numbers[0])

    ends = {end for pair in pads for end in pair}
    words = [f"window {'×'.join(map(str, window))}", f"stride {both(stride)}"]
    words.append(f"padding {ends.pop()}" if len(ends) == 1 else f"padding {pads[0]}, {pads[1]}")
    return " · ".join(words + ([f"dilation {both(dilation)}"] if max(dilation) > 1 else []))


def check(arrays: Mapping[str, np.ndarray], layer: str, largest: int = LARGEST) -> None:
    """Raise a `UserError` for arrays that are not grids of numbers small enough to read."""
    for name, array in arrays.items():
        if array.ndim != 2 or not 0 < min(array.shape) <= max(array.shape) <= largest:
            raise UserError(
                f"{layer}: {name} of shape {array.shape} cannot be drawn: it must have two axes of "
                f"1 to {largest} numbers"
            )


def cells(shape: Sequence[int]) -> list[Cell]:
    """Return the indices of a grid, row by row."""
    return [(i, j) for i in range(shape[0]) for j in range(shape[1])]


def reached(
    cell: Cell,
    taps: Sequence[Cell],
    stride: Sequence[int] = (1, 1),
    dilation: Sequence[int] = (1, 1),
    shift: Sequence[int] = (0, 0),
) -> list[Cell]:
    """Return where the taps of the window number `cell` lie."""
    top, left = (f + s * n for f, s, n in zip(shift, stride, cell, strict=True))
    return [(top + dilation[0] * u, left + dilation[1] * v) for u, v in taps]


def steps(
    shape: Sequence[int],
    value: Callable[[Cell], float],
    draw: Callable[[Cell, Float[np.ndarray, "h w"]], Frame],
) -> list[Frame]:
    """Return a frame a cell: `draw` gets the cell, and the values up to and including its own."""
    known = np.full(tuple(shape), np.nan)
    frames = []
    for cell in cells(shape):
        known[cell] = value(cell)
        frames.append(draw(cell, known.copy()))
    return frames
