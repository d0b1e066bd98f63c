"""A pen: curves through points, and pictures of them, for `glyphs`.

Catmull & Rom 1974, "A Class of Local Interpolating Splines": the uniform cubic one, tension 1/2.
"""

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

SIZE, SCALE = 32, 4  # pixels a side; drawn SCALE times as large
PENS = (1.4, 1.9, 2.4, 2.9)  # widths in pixels
STEPS = 8  # points on the curve from one anchor to the next
# What each of the four points around a segment weighs at each step of it.
SPLINE = np.vander(np.arange(STEPS) / STEPS, 4, increasing=True) @ (
    np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
)

Points = Float64[np.ndarray, "n 2"]


def curve(points: Points) -> Float64[np.ndarray, "m 2"]:
    """Return STEPS points for each segment of the Catmull-Rom spline through `points`, and its end.

    The first and the last segment are as if the first and the last step were made once more.
    """
    ends = 2 * points[[0, -1]] - points[[1, -2]]
    padded = np.concatenate([ends[:1], points, ends[1:]])
    around = np.stack([padded[i : len(points) - 1 + i] for i in range(4)])
    return np.concatenate([np.einsum("tk,knx->ntx", SPLINE, around).reshape(-1, 2), points[-1:]])


def corners(points: np.ndarray) -> np.ndarray:
    """Return `points` with two more near the ends of each segment, which its curve follows."""
    start, end = points[:-1], points[1:]
    inner = np.stack([start, start + 0.1 * (end - start), end - 0.1 * (end - start)], 1)
    return np.concatenate([inner.reshape(-1, 2), points[-1:]])


def render(lines: list[np.ndarray], pen: float) -> UInt8[np.ndarray, "h w 1"]:
    """Return lines (x and y in pixels, from the corner) of a pen of this width, white on black."""
    canvas = np.zeros((SIZE * SCALE, SIZE * SCALE), np.uint8)
    # The centers of pixels have whole numbers; the last four bits are fractions.
    fixed = [np.round((SCALE * line - 0.5) * 16).astype(np.int32) for line in lines]
    # OpenCV's smooth lines are wider by 1.75 pixels than an even number that they are asked for.
    cv2.polylines(canvas, fixed, False, 255, round(SCALE * pen - 1.75), cv2.LINE_AA, 4)
    return cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)[..., None]
