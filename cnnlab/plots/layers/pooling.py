"""Max and average pooling: forward, and where the derivatives go.

Of a maximum only the winner, whose place is the *switch*, gets the derivative; of a mean every
value of the window gets an equal share. Where windows overlap, what comes in adds up.
"""

from functools import partial

import numpy as np
from jaxtyping import Float, Int

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, windows
from cnnlab.plots.layers.frame import (
    VALUE,
    Frame,
    Grid,
    Span,
    cells,
    check,
    describe,
    extended,
    factor,
    grid,
    indexed,
    number,
    reached,
    steps,
)

KINDS = ("max", "average")


def pooling_frames(
    x: Float[np.ndarray, "h w"],
    window: int,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    kind: str = "max",
) -> list[Frame]:
    """Return a frame an output; for "max" with the switches, indices of the flattened input.

    Args:
        x: the input, one channel.
        window: height and width of the window.
        stride: steps between windows; the window itself unless given.
        padding: see `padding.pads_of`; never wins, and counts as zeros in a mean.
        kind: "max" or "average".

    Raises:
        UserError: for an input too large to read, an unknown kind, geometry that cannot be.
    """
    size, seen, values, kinds, pads, words = _geometry(x, window, stride, padding, kind)
    won = np.full(size, np.nan)

    def value(cell):
        inside = [values[a] for a in seen(cell)]
        return max(inside) if kind == "max" else sum(inside) / len(inside)

    def draw(cell, known):
        inside = seen(cell)
        winners = [_winner(values, inside)] if kind == "max" else []
        parts: list[Grid | str] = [
            grid("input", "input", values, kinds=kinds, marked=inside, current=winners),
            "→",
            grid("output", "output", known, current=[cell]),
        ]
        if kind == "max":
            won[cell] = _switch(winners[0], pads, x.shape)
            parts += ["", grid("switches", "kernel", won.copy(), current=[cell])]
        return Frame(
            f"{kind} pooling, forward",
            tuple(parts),
            _formula(indexed("y", cell), kind, [values[a] for a in inside], known[cell]),
            words,
        )

    return steps(size, value, draw)


def pooling_backward_frames(
    x: Float[np.ndarray, "h w"],
    dy: Float[np.ndarray, "ho wo"],
    window: int,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    kind: str = "max",
) -> list[Frame]:
    """Return a frame an output: where its derivative goes, added to what was there."""
    size, seen, values, kinds, pads, words = _geometry(x, window, stride, padding, kind)
    if dy.shape != tuple(size):
        raise UserError(f"{kind} pooling: derivative of shape {dy.shape} for an output of {size}")
    dx, frames = np.zeros(values.shape), []
    rows, columns = (slice(low, low + n) for n, (low, _) in zip(x.shape, pads, strict=True))
    for cell in cells(size):
        inside = seen(cell)
        to = [_winner(values, inside)] if kind == "max" else inside
        won = to if kind == "max" else []
        before = dx[to[0]]
        for a in to:
            dx[a] += dy[cell] / len(to)
        true = [a for a in to if kinds[a] == VALUE]
        cut = [(i - pads[0][0], j - pads[1][0]) for i, j in true]
        share = [Span(factor(dy[cell]), "output")]
        if kind == "max":
            after = Span(number(before + dy[cell]), "input")
            name = Span(indexed("∂x", cut[0]), "input")
            formula = (name, Span(f" = {factor(before)} + "), *share, Span(" = "), after)
        else:
            each = Span(number(dy[cell] / len(to)), "input")
            formula = (Span("each gets "), *share, Span(f"/{len(to)} = "), each)
        frames.append(
            Frame(
                f"{kind} pooling, backward",
                (
                    grid("input", "input", values, kinds=kinds, marked=inside, current=won),
                    "",
                    grid("∂ output", "output", dy, current=[cell]),
                    "→",
                    grid("∂ input", "input", dx[rows, columns], current=cut),
                ),
                formula,
                words,
            )
        )
    return frames


def switches(
    x: Float[np.ndarray, "h w"], window: int
) -> tuple[Float[np.ndarray, "ho wo"], Int[np.ndarray, "ho wo"]]:
    """Return the maxima of the tiles of `x`, and where in the flattened `x` each of them is."""
    size, seen, values, _, pads, _ = _geometry(x, window, None, 0, "max")
    winners = [_winner(values, seen(cell)) for cell in cells(size)]
    maxima = np.array([values[a] for a in winners])
    places = np.array([_switch(a, pads, x.shape) for a in winners])
    return maxima.reshape(size), places.reshape(size)


def _geometry(x, window, stride, padding, kind):
    """Return the output size, the cells of a window, the extended input, its kinds, pads, words."""
    if kind not in KINDS:
        raise UserError(f"pooling: kind='{kind}' is none of {', '.join(KINDS)}")
    layer = f"{kind} pooling"
    check({"input": x}, layer)
    taps = cells((window, window))
    over = windows(
        x.shape, (window,) * 2, stride=stride or window, padding=padding, dilation=1, layer=layer
    )
    if max(max(low, high) for low, high in over.pads) >= window:
        raise UserError(f"{layer}: padding={padding} must be below window={window}")
    values, kinds = extended(x, over.pads, fill=-np.inf if kind == "max" else 0.0)
    words = describe(over.taps, over.stride, over.pads, over.dilation)
    reads = partial(reached, taps=taps, stride=over.stride)
    return over.out, reads, values, kinds, over.pads, words


def _winner(values, inside):
    """Return the first of the largest, row by row."""
    return max(inside, key=lambda a: values[a])


def _switch(cell, pads, shape) -> int:
    """Return the index of a cell of the extended input in the flattened input."""
    return (cell[0] - pads[0][0]) * shape[1] + cell[1] - pads[1][0]


def _formula(target, kind, inside, result):
    numbers: list[Span] = []
    for n, value in enumerate(inside):
        sign = ", " if kind == "max" else " + "
        numbers += [Span(sign if n else ""), Span(number(value), "input")]
    before, after = (" = max(", ") = ") if kind == "max" else (" = (", f")/{len(inside)} = ")
    result = Span(number(result), "output")
    return (Span(target, "output"), Span(before), *numbers, Span(after), result)
