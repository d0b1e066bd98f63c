"""Unpooling: by switches, nearest neighbor and bed of nails.

Zeiler & Fergus 2014, section 2.1 (switches); Dosovitskiy et al. 2015 (bed of nails). Each value
goes back into the block it came from: to the place that won the maximum, to all places, or to the
first.
"""

import numpy as np
from jaxtyping import Float, Int

from cnnlab.errors import UserError
from cnnlab.plots.layers.frame import Cell, Frame, Grid, Span, cells, check, grid, indexed, number

KINDS = ("switches", "nearest", "nails")
TITLES = {
    "switches": "unpooling by switches",
    "nearest": "unpooling, nearest neighbor",
    "nails": "unpooling, bed of nails",
}


def unpooling_frames(
    x: Float[np.ndarray, "h w"],
    window: int,
    *,
    kind: str = "switches",
    switches: Int[np.ndarray, "h w"] | None = None,
) -> list[Frame]:
    """Return a frame an input: where its value goes.

    Args:
        x: the input, one channel.
        window: height and width of the block of a value.
        kind: "switches", "nearest" or "nails".
        switches: for "switches": index of each value's place in the flattened output.

    Raises:
        UserError: for an input too large to read, an unknown kind, switches missing or outside.
    """
    places = _places(x, window, kind, switches)
    y, frames = np.zeros([n * window for n in x.shape]), []
    for cell, to in places.items():
        for place in to:
            y[place] = x[cell]
        parts: list[Grid | str] = [grid("input", "input", x, current=[cell])]
        if switches is not None:
            parts += ["", grid("switches", "kernel", switches, current=[cell])]
        name = indexed("y", to[0]) if len(to) == 1 else f"{len(to)} times y"
        formula = Span(name, "output"), Span(" = "), Span(number(x[cell]), "input")
        block = _block(cell, window)
        out = grid("output", "output", y, marked=block, current=to)
        frames.append(Frame(TITLES[kind], (*parts, "→", out), formula))
    return frames


def unpooling_backward_frames(
    dy: Float[np.ndarray, "ho wo"],
    window: int,
    *,
    kind: str = "switches",
    switches: Int[np.ndarray, "h w"] | None = None,
) -> list[Frame]:
    """Return a frame an input: the derivatives of the places that its value went to, added up."""
    shape = tuple(n // window for n in dy.shape)
    places = _places(np.zeros(shape), window, kind, switches)
    dx, frames = np.full(shape, np.nan), []
    for cell, to in places.items():
        dx[cell] = sum(dy[place] for place in to)
        spans = [Span(indexed("∂x", cell), "input")]
        for n, place in enumerate(to):
            spans += [Span(" + " if n else " = "), Span(number(dy[place]), "output")]
        if len(to) > 1:
            spans += [Span(" = "), Span(number(dx[cell]), "input")]
        block = _block(cell, window)
        parts: list[Grid | str] = [grid("∂ output", "output", dy, marked=block, current=to)]
        if switches is not None:
            parts += ["", grid("switches", "kernel", switches, current=[cell])]
        out = grid("∂ input", "input", dx, current=[cell])
        frames.append(Frame(f"{TITLES[kind]}, backward", (*parts, "→", out), tuple(spans)))
    return frames


def _block(cell: Cell, window: int) -> list[Cell]:
    return [(cell[0] * window + u, cell[1] * window + v) for u, v in cells((window, window))]


def _places(x, window, kind, switches) -> dict[Cell, list[Cell]]:
    """Return the places of the output that each input goes to."""
    if kind not in KINDS:
        raise UserError(f"unpooling: kind='{kind}' is none of {', '.join(KINDS)}")
    if (switches is not None) != (kind == "switches"):
        raise UserError(f"unpooling: kind='{kind}' and switches={switches} do not go together")
    check({"input": x}, TITLES[kind])
    if kind != "switches":
        last = None if kind == "nearest" else 1
        return {cell: _block(cell, window)[:last] for cell in cells(x.shape)}
    width, count = x.shape[1] * window, x.size * window**2
    if switches.shape != x.shape or switches.min() < 0 or switches.max() >= count:
        raise UserError(
            f"unpooling: switches of shape {switches.shape} from {switches.min()} to "
            f"{switches.max()} for an input of {x.shape} and places 0 to {count - 1}"
        )
    return {cell: [divmod(int(switches[cell]), width)] for cell in cells(x.shape)}
