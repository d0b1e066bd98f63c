"""Learning curves show every number of a run, and what it is to be compared with."""

import math

import numpy as np
import pytest

from cnnlab.plots.learning_curves import learning_curves

ROWS = [
    {"step": 1, "train/loss": 2.0, "learning_rate": 0.1, "epoch": 0.5, "time/x": 3.0},
    {"step": 2, "validation/loss": 1.5, "validation/ema/loss": 1.25, "validation/accuracy": 0.5},
    {"step": 3, "train/loss": 1.0, "learning_rate": 0.2, "epoch": 1.0},
]


def panels(figure):
    return {axes.get_title(): axes for axes in figure.axes}


def points(axes):
    return [line.get_xydata().tolist() for line in axes.lines]


def test_curves_have_a_panel_a_metric_and_a_color_a_split():
    figure = learning_curves(ROWS, title="a run")
    found = panels(figure)
    assert list(found) == ["loss", "accuracy", "learning_rate"]
    assert points(found["loss"]) == [[[1, 2.0], [3, 1.0]], [[2, 1.5]], [[2, 1.25]]]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["train", "validation", "validation/ema"]
    colors = [line.get_color() for line in legend.get_lines()]
    assert [line.get_color() for line in found["loss"].lines] == colors
    # The same split has the same color in every panel.
    assert found["accuracy"].lines[0].get_color() == colors[1]
    assert figure.get_suptitle() == "a run"


@pytest.mark.parametrize("rows", [[], [{"step": 1, "train/loss": math.nan}], [{"step": 1}]])
def test_nothing_is_drawn_of_nothing(rows):
    assert learning_curves(rows) is None


def test_a_metric_that_is_never_finite_has_no_panel():
    rows = [{"step": 1, "train/loss": math.inf, "train/accuracy": 0.5}]
    assert list(panels(learning_curves(rows))) == ["accuracy"]


@pytest.mark.parametrize("count", [1, 25, 26])
def test_few_points_have_markers(count):
    rows = [{"step": step, "train/loss": 1.0} for step in range(1, count + 1)]
    (axes,) = learning_curves(rows).axes
    assert (axes.lines[0].get_marker() == "o") == (count <= 25)


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("loss", (0.5, 0.1), "linear"),
        ("loss", (5.0, 0.1), "log"),
        ("loss", (5.0, 0.0), "linear"),
        ("loss", (-5.0, 1.0), "linear"),
        ("grad_norm", (50.0, 1.0), "log"),
        ("accuracy", (0.001, 1.0), "linear"),
        ("embedding_std", (0.001, 1.0), "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_a_loss_spans_a_decade(name, values, scale):
    rows = [{"step": i, f"train/{name}": value} for i, value in enumerate(values)]
    assert learning_curves(rows).axes[0].get_yscale() == scale


def test_only_shares_are_in_percent():
    found = panels(learning_curves(ROWS))
    assert any("%" in label.get_text() for label in found["accuracy"].get_yticklabels())
    assert not any("%" in label.get_text() for label in found["loss"].get_yticklabels())


def test_the_learning_rate_is_drawn_from_step_0():
    figure = learning_curves(ROWS, schedule=(lambda step: step / 10, 3))
    (line,) = points(panels(figure)["learning_rate"])
    assert line == [[0, 0.0], [1, 0.1], [2, 0.2], [3, pytest.approx(0.3)]]
    assert {axes.get_xlim() for axes in figure.axes} == {figure.axes[0].get_xlim()}


def test_the_best_checkpoint_is_marked_on_the_curve_that_chose_it():
    figure = learning_curves(ROWS, best=("validation/accuracy", 2))
    found = panels(figure)
    stars = [line for line in found["accuracy"].lines if line.get_marker() == "*"]
    assert [star.get_xydata().tolist() for star in stars] == [[[2, 0.5]]]
    assert not [line for line in found["loss"].lines if line.get_marker() == "*"]
    assert figure.legends[0].get_texts()[-1].get_text() == (
        "best checkpoint by validation/accuracy: step 2"
    )


def test_baselines_are_lines_with_names_and_distant_ones_are_named_at_the_edge():
    rows = [{"step": i, "validation/accuracy": 0.8 + 0.05 * i} for i in range(3)]
    baselines = {
        "svm": {"test/accuracy": 0.95},
        "nearest": {"test/accuracy": 0.95},
        "knn": {"test/accuracy": 0.949, "test/other": 0.1},
        "majority": {"test/accuracy": 0.1},
    }
    (axes,) = learning_curves(rows, baselines=baselines).axes
    assert sorted(line.get_ydata()[0] for line in axes.lines[1:]) == [0.949, 0.95]
    assert axes.get_ylim()[0] > 0.7
    texts = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert list(texts) == [
        "svm, nearest 95.00% (test)",
        "knn 94.90% (test)",
        "↓ majority 10.00% (test)",
    ]
    # Names stay apart, and inside the panel.
    heights = np.array(list(texts.values()))
    assert (np.diff(heights) < -0.07).all() and heights[0] < 0.95 and heights[-1] > 0


@pytest.mark.parametrize("value", [0.96, 0.31])
def test_the_name_of_a_baseline_is_beside_its_line(value):
    rows = [{"step": 20, "train/accuracy": 0.4, "validation/accuracy": 0.75}]
    (axes,) = learning_curves(rows, baselines={"svm": {"test/accuracy": value}}).axes
    (text,) = axes.texts
    low, high = axes.get_ylim()
    gap = text.get_position()[1] - (value - low) / (high - low)
    # Below a line that is high, above one that is low; a line of text is 0.07 high.
    assert -0.11 < gap < -0.07 if value > 0.5 else 0 < gap < 0.05


def test_steps_are_whole_numbers():
    rows = [{"step": step, "train/loss": 1.0} for step in range(1, 5)]
    (axes,) = learning_curves(rows).axes
    assert all(float(place).is_integer() for place in axes.get_xticks())


@pytest.mark.parametrize("count", range(1, 11))
def test_panels_fill_their_rows(count):
    rows = [{"step": 1, **{f"train/m{i}": 1.0 for i in range(count)}}]
    spans = [axes.get_subplotspec() for axes in learning_curves(rows).axes]
    for row in {span.rowspan.start for span in spans}:
        covered = [c for span in spans if span.rowspan.start == row for c in span.colspan]
        assert covered == list(range(6))
