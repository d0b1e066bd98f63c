"""Frames of a window of weights that slides over an array: every pass of a convolution."""

from collections.abc import Sequence

import numpy as np

from cnnlab.plots.layers.frame import (
    VALUE,
    Actors,
    Frame,
    cells,
    factor,
    grid,
    indexed,
    products,
    reached,
    steps,
)


def sliding_frames(
    ground: np.ndarray,
    kinds: np.ndarray,
    weights: np.ndarray,
    size: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1),
    dilation: Sequence[int] = (1, 1),
    shift: Sequence[int] = (0, 0),
    actors: Actors,
    title: str,
    caption: str,
) -> list[Frame]:
    """Return a frame for each cell of a result: the sum of weights times what they lie on.

    Args:
        ground: values, with the padding and the zeros between them.
        kinds: which of its cells are values; the others do not enter the sum that is written.
        weights: that slide over it.
        size: of the result.
        stride: steps of the window.
        dilation: distance of the weights on the ground.
        shift: where on the ground the first window begins.
        actors: name, letter and color of ground, weights and result.
        title: what is written on top.
        caption: what is written below it.
    """
    taps = cells(weights.shape)
    (ground_name, _, ground_role), (name, _, role), (result_name, letter, result_role) = actors

    def window(cell):
        return reached(cell, taps, stride, dilation, shift)

    def terms(cell):
        found = zip(window(cell), taps, strict=True)
        return [(ground[a], weights[tap]) for a, tap in found if kinds[a] == VALUE]

    def draw(cell, known):
        seen, roles = window(cell), (ground_role, role, result_role)
        notes = {a: f"×{factor(weights[tap])}" for a, tap in zip(seen, taps, strict=True)}
        return Frame(
            title,
            (
                grid(ground_name, ground_role, ground, kinds=kinds, marked=seen, notes=notes),
                "∗",
                grid(name, role, weights, marked=taps),
                "=",
                grid(result_name, result_role, known, current=[cell]),
            ),
            products(indexed(letter, cell), terms(cell), known[cell], roles),
            caption,
        )

    return steps(size, lambda cell: sum(a * b for a, b in terms(cell)), draw)
