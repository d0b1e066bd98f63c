"""The picture of a model: slabs and bars as long as what they stand for."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Polygon, Rectangle

from cnnlab.analysis.receptive_field import Field
from cnnlab.analysis.summary import Row, Summary
from cnnlab.plots.layers import stages
from cnnlab.plots.layers.stages import compact, stages_figure

MODEL = {
    "name": "small",
    "paper": "Nobody 1999",
    "input": [64, 64, 4],
    "paper_top1": 99.0,
    "paper_top5": None,
    "protocol": "digits",
}
ROWS = (
    Row("conv", (1, 16, 16, 32), 300, 1000, 9, (Field(7, 1.0, 0.0), Field(5, 1.0, 0.0))),
    Row("pool", (1, 4, 4, 32), 0, 0, 0, (Field(128, 1.0, 0.0),) * 2),
    Row("logits", (1, 10), 100, 500, 9, (Field(None, 1.0, 0.0),) * 2),
)
SUMMARY = Summary(ROWS, Row("total", (1, 10), 460, 1500, 18, ROWS[-1].fields))


@pytest.fixture(scope="module")
def axes():
    return stages_figure(MODEL, SUMMARY).axes[0]


def lengths(axes, left):
    bars = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_x() == left]
    return np.array([bar.get_width() for bar in bars]) / stages.BAR


def test_bars_are_as_long_as_their_share_of_the_largest(axes):
    parameters, macs, fields = (lengths(axes, left) for left in stages.BARS)
    np.testing.assert_allclose(parameters, [1, 0, 1 / 3])
    np.testing.assert_allclose(macs, [1, 0, 1 / 2])
    np.testing.assert_allclose(fields, [7 / 128, 1, 1])


def test_line_marks_the_size_of_the_image_among_the_fields(axes):
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [stages.BARS[2] + stages.BAR * 64 / 128]


def test_line_touches_no_number(axes):
    (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    numbers = [t for t in axes.texts if t.get_text() in ("7×5", "128", "all")]
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    right = line.get_window_extent(renderer).x1
    assert len(numbers) == 3
    assert all(text.get_window_extent(renderer).x0 > right for text in numbers)


def test_slabs_shrink_with_the_root_of_the_side_and_the_cube_root_of_the_channels(axes):
    fronts = [p.get_xy()[:4] for p in axes.patches if isinstance(p, Polygon)][::3]
    width, height = np.transpose([np.ptp(corners, axis=0) for corners in fronts])
    np.testing.assert_allclose(width / width[0], [1, 1 / 2, 1 / 4, 1 / 8])
    np.testing.assert_allclose(height / height[1], [1 / 2, 1, 1, (10 / 32) ** (1 / 3)])


def test_everything_is_written_next_to_it(axes):
    texts = {text.get_text() for text in axes.texts}
    assert {"conv", "16×16×32", "300", "1 k", "7×5", "128", "all", "image: 64"} <= texts
    assert "Nobody 1999: top-1 99.0 % (digits)" in texts
    assert {"460", "1.5 k", "60 of them in training only"} <= texts


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (9_472, "9.47 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (25_557_032, "25.6 M"),
        (15_470_264_320, "15.5 G"),
    ],
)
def test_numbers_have_three_digits(number, text):
    assert compact(number) == text
