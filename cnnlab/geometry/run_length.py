"""Run-length encoding (RLE) of instance masks as COCO stores them, and polygons.

A mask is read column by column. `counts` has the lengths of its runs, in turn of pixels outside and
inside; the first may be 0. The text packs each count, from the third on as the difference from the
one two before, in digits of five bits and a sign, from "0" on. Polygons become pixels as in
pycocotools: corners are rounded to fifths of a pixel, and a pixel is inside if the outline crosses
its column an odd number of times above it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from cnnlab.errors import UserError

Size = Sequence[int]
Mask = UInt8[np.ndarray, "h w"]
FIFTHS = 5
BITS, SIGN, MORE, ZERO = 5, 0x10, 0x20, 48


def decode(counts: Int[np.ndarray, "n"], size: Size) -> Mask:
    """Return the mask, of height and width `size`.

    Raises:
        UserError: counts below 0, or that do not add up to the pixels.
    """
    _check(counts, size)
    inside = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.repeat(inside, counts).reshape(size[1], size[0]).T


def extent(counts: Int[np.ndarray, "n"], size: Size) -> Float[np.ndarray, "4"]:
    """Return the box [y0, x0, y1, x1] around a mask, zeros of an empty one; raises as `decode`."""
    _check(counts, size)
    ends = np.cumsum(counts)
    first, last = ends[:-1:2], ends[1::2] - 1
    first, last = first[last >= first], last[last >= first]
    if not first.size:
        return np.zeros(4)
    # A run that goes on in the next column has a pixel in the last row and one in the first.
    within = first // size[0] == last // size[0]
    top = np.where(within, first % size[0], 0).min()
    bottom = np.where(within, last % size[0], size[0] - 1).max()
    return np.array([top, first[0] // size[0], bottom + 1, last[-1] // size[0] + 1], float)


def _check(counts: Int[np.ndarray, "n"], size: Size) -> None:
    if (counts < 0).any() or counts.sum() != size[0] * size[1]:
        raise UserError(
            f"run lengths of {int(counts.sum()):,} pixels, and the image has "
            f"{size[0]} x {size[1]} = {size[0] * size[1]:,}"
        )


def encode(mask: Mask) -> Int[np.ndarray, "n"]:
    """Return the run lengths of a mask."""
    pixels = mask.T.ravel() != 0
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    return np.diff(changes, prepend=0, append=pixels.size).astype(np.int64)


def from_text(text: str) -> Int[np.ndarray, "n"]:
    """Return the counts of a text.

    Raises:
        UserError: a letter that is no digit, or a number that does not end.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        digit = ord(letter) - ZERO
        if not 0 <= digit < 2 * MORE or shift > 60:
            raise UserError(f"{text[:20]!r} is no text of run lengths")
        value |= (digit & (MORE - 1)) << shift
        shift += BITS
        if digit & MORE:
            continue
        if digit & SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise UserError(f"the text of run lengths {text[:20]!r} ends within a number")
    return np.array(counts, np.int64)


def to_text(counts: Int[np.ndarray, "n"]) -> str:
    """Return the text of counts."""
    text = []
    for place, count in enumerate(counts.tolist()):
        value = count - counts[place - 2].item() if place > 2 else count
        while True:
            digit, value = value & (MORE - 1), value >> BITS
            # The last digit's sign bit is that of the number.
            more = value != (-1 if digit & SIGN else 0)
            text.append(chr(ZERO + digit + MORE * more))
            if not more:
                break
    return "".join(text)


def from_polygons(polygons: Iterable[Float[np.ndarray, "_k 2"]], size: Size) -> Mask:
    """Return the union of polygons, each a row (y, x) a corner."""
    mask = np.zeros(tuple(size), np.uint8)
    for polygon in polygons:
        mask |= _fill(polygon, size)
    return mask


def _fill(polygon: Float[np.ndarray, "k 2"], size: Size) -> Mask:
    height, width = size
    corners = np.trunc(FIFTHS * polygon + 0.5).astype(np.int64)
    following = np.roll(corners, -1, axis=0)
    y, x = np.concatenate([_line(a, b) for a, b in zip(corners, following, strict=True)]).T
    # Where the outline passes from one column of fifths to the next.
    moved = np.flatnonzero(x[1:] != x[:-1])
    column = (np.minimum(x[1:], x[:-1])[moved] + 0.5) / FIFTHS - 0.5
    row = np.ceil(np.clip((np.minimum(y[1:], y[:-1])[moved] + 0.5) / FIFTHS - 0.5, 0, height))
    kept = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    place = (column[kept] * height + row[kept]).astype(np.int64)
    crossings = np.bincount(place, minlength=height * width + 1)[: height * width]
    inside = np.cumsum(crossings) % 2
    return inside.astype(np.uint8).reshape(width, height).T


def _line(start: Int[np.ndarray, "2"], stop: Int[np.ndarray, "2"]) -> Int[np.ndarray, "n 2"]:
    """Return the fifths on a line, one in each step along its longer axis, both ends included."""
    length = np.abs(stop - start)
    # Along x where both are as long.
    axis = int(length[1] >= length[0])
    low, high = (start, stop) if start[axis] <= stop[axis] else (stop, start)
    steps = np.arange(length[axis] + 1)
    points = np.empty((len(steps), 2), np.int64)
    points[:, axis] = low[axis] + steps
    slope = (high[1 - axis] - low[1 - axis]) / max(length[axis], 1)
    points[:, 1 - axis] = np.trunc(low[1 - axis] + slope * steps + 0.5)
    return points if low is start else points[::-1]
