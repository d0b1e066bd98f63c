"""Figures of a sweep: everything is in them, on the right axes, and nothing covers a label."""

import itertools

import fabricated_sweep as fabricated
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from cnnlab.sweeps import report_figures, summary
from cnnlab.sweeps.space import choice, draws, grid, integers, log_uniform, uniform

RATE = "optimizer.learning_rate"
DRAWINGS = (
    report_figures.metric_by_parameter,
    report_figures.parallel_coordinates,
    report_figures.learning_curves,
)
SIX = draws(
    {
        RATE: log_uniform(1e-4, 1.0),
        "optimizer.weight_decay": log_uniform(1e-6, 1e-1),
        "schedule.warmup": uniform(0.0, 0.3),
        "data.train.augment.affine.degrees": integers(0, 30),
        "model.hidden": choice((16,), (128,), (128, 64), (256, 128, 64)),
        "optimizer.name": choice("sgd", "adamw", "lars", "rmsprop"),
    },
    count=60,
)


def overlapping(figure):
    """Return the pairs of texts that cover one another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = []
    for axes in figure.axes:
        texts += [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            # Ticks outside the axis have a label that is not drawn.
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            texts += [label for place, label in ticks if limits[0] <= place <= limits[1]]
    boxes = [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()).padded(-1))
        for text in texts
        if text.get_text() and text.get_visible()
    ]
    return [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    """Return a sweep of 60 trials and 6 parameters, with failures of every kind."""
    folder = fabricated.sweep(tmp_path_factory.mktemp("six") / "s", SIX)
    for trial in folder.trials():
        best = 0.9 - 0.05 * abs(np.log10(trial.overrides[RATE]) + 2)
        curve = [float(best * (1 - 0.5**n)) for n in range(1, 9)]
        if trial.number % 10 == 3:
            fabricated.record(trial, curve[:3])
            folder.finish(trial, "pruned", "pruned at step 30")
        elif trial.number % 10 == 5:
            folder.finish(trial, "failed", "boom")
        elif trial.number == 7:
            fabricated.finished(folder, trial, [0.01])
        else:
            fabricated.finished(folder, trial, curve)
    return summary.read(folder)


@pytest.mark.parametrize("draw", DRAWINGS)
def test_no_text_covers_another_with_six_parameters_and_sixty_trials(sixty, draw):
    assert overlapping(draw(sixty)) == []


def test_there_is_a_panel_a_parameter_with_a_point_a_trial(sixty):
    figure = report_figures.metric_by_parameter(sixty)
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    assert list(panels) == list(SIX.distributions)
    scales = [axes.get_xscale() for axes in panels.values()]
    assert scales == ["log", "log", "linear", "linear", "linear", "linear"]
    measured = sum(row.value is not None for row in sixty.rows)
    for axes in panels.values():
        assert sum(len(drawn.get_offsets()) for drawn in axes.collections) == measured
    ticks = [text.get_text() for text in panels["optimizer.name"].get_xticklabels()]
    assert ticks == ["adamw", "lars", "rmsprop", "sgd"]


def test_what_did_far_worse_is_at_the_edge_and_counted(sixty):
    figure = report_figures.metric_by_parameter(sixty)
    low, _ = figure.axes[0].get_ylim()
    assert low > 0.1
    heights = [y for drawn in figure.axes[0].collections for _, y in drawn.get_offsets()]
    assert min(heights) > low
    marks = [text.get_text() for text in figure.legends[0].get_texts()]
    assert marks == ["best", "finished", "not finished", "1 beyond the axis"]


def test_lines_cross_every_axis_at_the_value_of_their_trial(sixty):
    (axes,) = report_figures.parallel_coordinates(sixty).axes
    (lines,) = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    finished = [row for row in sixty.rows if row.counts]
    segments = np.array(lines.get_segments()).reshape(len(finished), 6, 2, 2)
    # A piece begins where the one before ends: at the axis.
    np.testing.assert_array_equal(segments[:, :-1, 1], segments[:, 1:, 0])
    np.testing.assert_array_equal(segments[0, :, 0, 0], range(6))
    assert segments[..., 1].min() == 0.0
    assert segments[..., 1].max() == 1.0
    best = sixty.ranked[0].rows[0]
    rates = [np.log(row.trial.overrides[RATE]) for row in finished]
    expected = (np.log(best.trial.overrides[RATE]) - min(rates)) / (max(rates) - min(rates))
    # The best is drawn last, and its metric is at the top.
    np.testing.assert_allclose(segments[-1, [0, -1], [0, 1], 1], [expected, 1.0], atol=1e-9)


def test_labels_of_an_axis_are_above_the_lines_with_a_halo(sixty):
    (axes,) = report_figures.parallel_coordinates(sixty).axes
    (lines,) = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    assert not axes.patches
    for text in axes.texts:
        assert text.get_zorder() > lines.get_zorder()
        assert [type(effect) for effect in text.get_path_effects()] == [withStroke]


def test_the_best_is_thick_and_colored_by_its_metric_as_all_are(sixty):
    (axes,) = report_figures.parallel_coordinates(sixty).axes
    (lines,) = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    widths = np.array(lines.get_linewidths())
    assert (widths[-6:] >= 3 * widths[0]).all() and len(set(widths[:-6])) == 1
    best = sixty.ranked[0].rows[0]
    np.testing.assert_allclose(lines.get_array()[-6:], best.value)
    # No line of another color lies on it.
    assert all(len(set(line.get_xdata())) == 1 for line in axes.lines)


def tried(folder):
    """Return a sweep over few values."""
    space = grid({RATE: (5e-4, 2e-3, 8e-3), "optimizer.weight_decay": (0.0, 0.01, 0.1)})
    folder = fabricated.sweep(folder / "s", space)
    for trial in folder.trials():
        fabricated.finished(folder, trial, [0.5 + trial.number / 100])
    return summary.read(folder)


def test_ticks_are_at_the_values_that_were_tried(tmp_path):
    found = tried(tmp_path)
    rates, decays = report_figures.metric_by_parameter(found).axes
    assert [label.get_text() for label in rates.get_xticklabels()] == ["0.0005", "0.002", "0.008"]
    assert [label.get_text() for label in decays.get_xticklabels()] == ["0", "0.1"]
    texts = [text.get_text() for text in report_figures.parallel_coordinates(found).axes[0].texts]
    assert texts[:6] == ["0.0005", "0.002", "0.008", "0", "0.01", "0.1"]


def test_ticks_of_many_values_are_round(sixty):
    texts = [text.get_text() for text in report_figures.parallel_coordinates(sixty).axes[0].texts]
    assert {"0.001", "0.01", "0.1", "0.15", "20"} <= set(texts)


def test_the_last_axis_is_the_key_to_the_colors(sixty):
    (axes,) = report_figures.parallel_coordinates(sixty).axes
    (lines,) = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    (strip,) = axes.images
    assert strip.get_extent()[0] == 6 and strip.get_cmap() == lines.get_cmap()
    assert "colors: validation/accuracy" in axes.get_title()


def test_every_curve_is_drawn_and_the_best_is_named(sixty):
    figure = report_figures.learning_curves(sixty)
    (axes,) = figure.axes
    curves = [drawn for drawn in axes.collections if isinstance(drawn, LineCollection)]
    number = sum(len(drawn.get_segments()) for drawn in curves)
    # The best is a line of its own.
    assert number + 1 == sum(bool(row.curve) for row in sixty.rows)
    best = sixty.ranked[0].rows[0].trial.name
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["finished (47)", "pruned (6)", f"best: {best}"]
    title = "validation/accuracy of each trial over its steps; 48 of 60 finished"
    assert axes.get_title() == title


@pytest.mark.parametrize("draw", DRAWINGS)
def test_all_seeds_of_the_best_point_stand_out(tmp_path, draw):
    folder = fabricated.sweep(tmp_path / "s", repeat=3)
    for trial in folder.trials():
        value = 0.5 + 0.1 * trial.point + 0.01 * trial.overrides["seed"]
        fabricated.finished(folder, trial, [value / 2, value])
    figure = draw(summary.read(folder))
    if draw is report_figures.learning_curves:
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names[-1] == "best: 0006, 0007, 0008"
    if draw is report_figures.metric_by_parameter:
        stars = figure.axes[0].collections[-2].get_offsets()
        np.testing.assert_allclose(sorted(y for _, y in stars), [0.7, 0.71, 0.72])
    assert overlapping(figure) == []


def test_a_loss_that_spans_decades_is_on_a_logarithmic_axis_with_less_at_its_best(tmp_path):
    folder = fabricated.sweep(tmp_path / "s", metric="validation/loss", mode="min")
    for trial, loss in zip(folder.trials(), (0.01, 0.02, 100.0), strict=True):
        fabricated.record(trial, [10.0, loss], metric="validation/loss", test=0.5)
        folder.finish(trial, "finished")
    found = summary.read(folder)
    assert report_figures.learning_curves(found).axes[0].get_yscale() == "log"
    low, high = report_figures.metric_by_parameter(found).axes[0].get_ylim()
    assert low < 0.01
    assert 0.02 < high < 1
    texts = [text.get_text() for text in report_figures.parallel_coordinates(found).axes[0].texts]
    assert "≥ 0.05" in texts


@pytest.mark.parametrize("draw", DRAWINGS)
@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [0.25, 0.5]])
def test_a_sweep_of_hardly_anything_is_drawn(tmp_path, draw, values):
    space = grid({RATE: (0.1, 0.2, 0.3), "name": ("a" * 40, "b" * 40, "c")})
    folder = fabricated.sweep(tmp_path / "s", space)
    for trial, value in zip(folder.trials(), values, strict=False):
        fabricated.finished(folder, trial, [value])
    assert overlapping(draw(summary.read(folder))) == []


@pytest.mark.parametrize("draw", [DRAWINGS[0], DRAWINGS[2]])
def test_trials_that_run_are_drawn_before_any_has_finished(tmp_path, draw):
    folder = fabricated.sweep(tmp_path / "s")
    fabricated.record(folder.trials()[0], [0.25, 0.5])
    fabricated.record(folder.trials()[1], [0.75])
    (axes,) = draw(summary.read(folder)).axes
    heights = {y for drawn in axes.collections for _, y in np.array(drawn.get_offsets())}
    assert {0.5, 0.75} <= heights
