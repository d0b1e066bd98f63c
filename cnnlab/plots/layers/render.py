"""Frames written to a file: an animated GIF, or one PNG with all steps side by side."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.plots.layers.frame import Frame
from cnnlab.plots.layers.panel import CELL, draw, panel_size

mpl.use("Agg")

FORMATS = (".gif", ".png")


def save(frames: Sequence[Frame], path: Path, *, seconds: float = 0.9) -> None:
    """Draw frames in a file, animated in a .gif, all at once in a .png.

    Args:
        frames: at least one.
        path: of the file; its folder is made.
        seconds: how long a GIF shows a step; the last of a pass stays thrice as long.

    Raises:
        UserError: for another ending, and a place where nothing can be written.
    """
    check_path(path)
    with _written(path):
        if path.suffix.lower() == ".gif":
            _animate(frames, path, seconds)
        else:
            sheet(frames).savefig(path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; errors as for `save`."""
    check_path(path, (".png",))
    with _written(path):
        figure.savefig(path, bbox_inches="tight")


def check_path(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """Raise a `UserError` for a file with another ending than these, and for a folder."""
    if path.suffix.lower() not in formats:
        raise UserError(f"'{path}' must end in {' or '.join(formats)}, which says how to draw it")
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name a file in it")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _animate(frames: Sequence[Frame], path: Path, seconds: float) -> None:
    titles = [frame.title for frame in frames]
    ends = [a != b for a, b in zip(titles, [*titles[1:], None], strict=True)]
    first, *rest = _with_palette(images_of(frames))
    first.save(
        path,
        save_all=True,
        append_images=rest,
        duration=[int(1000 * seconds * (3 if end else 1)) for end in ends],
        loop=0,
        optimize=False,
        disposal=1,
    )


def _with_palette(images: Sequence[np.ndarray]) -> list[Image.Image]:
    """Return images with one palette for all: a palette a step would make flat colors flicker.

    The commonest colors keep exactly what they are; Pillow's own choice would tint the ground.
    """
    codes = np.stack([image.astype(np.int32) @ (65536, 256, 1) for image in images])
    found, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    palette = colors[np.argsort(counts)[::-1][:128]]
    nearest = [int(np.abs(palette - color).sum(axis=1).argmin()) for color in colors]
    flat = np.array(nearest, np.uint8)[index].reshape(codes.shape)
    shown = [Image.fromarray(image) for image in flat]
    for image in shown:
        image.putpalette(palette.astype(np.uint8).ravel().tolist())
    return shown


def images_of(frames: Sequence[Frame]) -> list[np.ndarray]:
    """Return each frame as an image (h w 3, uint8), all of one size."""
    width, height = panel_size(frames)
    images = []
    for n, frame in enumerate(frames):
        figure, axes = _canvas(width, height, 100.0)
        draw(axes, frame, (0.0, 0.0), (width, height), f"{n + 1} / {len(frames)}")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        images.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return images


def sheet(frames: Sequence[Frame], columns: int | None = None) -> Figure:
    """Return a figure with all frames, row by row."""
    width, height = panel_size(frames)
    if columns is None:
        # As wide as a screen is, or a slide.
        columns = max(1, min(len(frames), round(math.sqrt(len(frames) * 1.6 * height / width))))
    rows = -(-len(frames) // columns)
    total = columns * width, rows * height
    figure, axes = _canvas(*total, min(110.0, 4000 / (CELL * max(total))))
    for n, frame in enumerate(frames):
        row, column = divmod(n, columns)
        corner = float(column * width), float(row * height)
        draw(axes, frame, corner, (width, height), f"{n + 1} / {len(frames)}")
        if len(frames) > 1:
            box = Rectangle(corner, width, height, fill=False, edgecolor="#d0d0d0", linewidth=0.8)
            axes.add_patch(box)
    return figure


def _canvas(width: float, height: float, dpi: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(CELL * width, CELL * height), dpi=dpi, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return figure, axes
