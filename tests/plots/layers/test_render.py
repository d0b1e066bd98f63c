"""Pictures are files that hold every step, legibly."""

import itertools

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.plots.layers import panel, render
from cnnlab.plots.layers.backward import backward_frames
from cnnlab.plots.layers.forward import forward_frames
from cnnlab.plots.layers.frame import Frame, Span, grid

X, W = np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 4.0]])
DY = np.array([[1.0, 0.0], [0.0, 2.0]])


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_gif_has_a_frame_a_step_and_waits_at_the_end_of_a_pass(tmp_path):
    frames = backward_frames(X, W, DY)[3:6]
    render.save(frames, tmp_path / "new" / "b.gif", seconds=0.5)
    with Image.open(tmp_path / "new" / "b.gif") as image:
        assert image.n_frames == len(frames)
        times = []
        for n in range(image.n_frames):
            image.seek(n)
            times.append(image.info["duration"])
            # The ground stays white whatever the palette.
            assert image.convert("RGB").getpixel((3, 3)) == (255, 255, 255)
    # A weight, the bias and an input: three passes end.
    assert times == [1500, 1500, 1500]


def test_steps_of_a_gif_differ(tmp_path):
    render.save(forward_frames(X, W), tmp_path / "f.gif")
    with Image.open(tmp_path / "f.gif") as image:
        shown = []
        for n in range(image.n_frames):
            image.seek(n)
            shown.append(np.asarray(image.convert("RGB")))
    assert len(shown) == 4
    assert all((a != b).any() for a, b in itertools.pairwise(shown))


def test_sheet_writes_every_number_of_every_step():
    frames = forward_frames(X, W)
    figure = render.sheet(frames)
    written = texts(figure)
    for n in (37, 47, 67, 77):
        # An output stays from its step on.
        steps = [frame for frame in frames if (frame.grids[2].values == n).any()]
        assert written.count(str(n)) == len(steps)
    assert written.count("×4") == len(frames)
    assert [text for text in written if "/" in text] == [f"{n} / 4" for n in range(1, 5)]


def test_sheet_keeps_frames_apart():
    frames = forward_frames(X, W)
    assert len(render.sheet(frames, columns=1).axes[0].texts) > 0
    wide, tall = (render.sheet(frames, columns=n).get_size_inches() for n in (4, 1))
    assert wide[0] == pytest.approx(4 * tall[0])
    assert tall[1] == pytest.approx(4 * wide[1])


def test_png_is_written(tmp_path):
    render.save(forward_frames(X, W), tmp_path / "f.PNG")
    with Image.open(tmp_path / "f.PNG") as image:
        assert image.format == "PNG"


def test_padding_is_dashed_and_explained():
    figure = render.sheet(forward_frames(X, W, padding=1)[:1])
    dashed = [
        p
        for p in figure.axes[0].patches
        if isinstance(p, Rectangle)
        and p.get_linestyle() not in ("-", "solid")
        and p.get_width() == 1
    ]
    assert len(dashed) == 25 - 9
    assert "padding" in texts(figure)
    assert "padding" not in texts(render.sheet(forward_frames(X, W)[:1]))


def test_long_formula_is_broken_before_a_sign():
    spans = [Span("y"), Span(" = ")]
    for n in range(60):
        spans += [Span(" + " if n else ""), Span("12"), Span("·"), Span("34")]
    lines = panel.formula_lines((*spans, Span(" = "), Span("24480")), 12.0)
    assert len(lines) > 3
    assert all(line[0].text in (" + ", " = ") for line in lines[1:])
    assert [s for line in lines for s in line][:-2] == spans
    assert max(sum(len(s.text) for s in line) for line in lines) < 12 * panel.LETTERS


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    frames = [Frame("t", (grid("a", "input", [[1.0]]),))]
    with pytest.raises(UserError, match=r"must end in .gif or .png"):
        render.save(frames, tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"cannot write .*a\.png"):
        render.save(frames, tmp_path / "file" / "a.png")
    with pytest.raises(UserError, match=r"must end in .png"):
        render.save_figure(render.sheet(frames), tmp_path / "a.gif")
