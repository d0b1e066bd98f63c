"""Figures show the numbers they are given."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlab.plots import run_figures


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures instead of writing them only."""
    kept: list[Figure] = []
    save = run_figures._save

    def keep(figure, path):
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(run_figures, "_save", keep)
    return kept


def test_curves_have_a_panel_a_metric_and_a_line_a_split(tmp_path, drawn):
    rows = [
        {"step": 1, "train/loss": 2.0, "learning_rate": 0.1, "epoch": 0.5, "time/x": 3.0},
        {"step": 2, "validation/loss": 1.5, "validation/ema/loss": 1.25},
        {"step": 3, "train/loss": 1.0, "learning_rate": 0.2, "epoch": 1.0},
    ]
    run_figures.learning_curves(rows, tmp_path / "curves.png")
    panels = {axes.get_title(): axes for axes in drawn[0].axes}
    assert set(panels) == {"loss", "learning_rate"}
    lines = {line.get_label(): line.get_xydata().tolist() for line in panels["loss"].lines}
    assert lines == {
        "train": [[1, 2.0], [3, 1.0]],
        "validation": [[2, 1.5]],
        "validation/ema": [[2, 1.25]],
    }
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_drawn_of_nothing(tmp_path):
    run_figures.learning_curves([], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_confusion_matrix_writes_every_count(tmp_path, drawn):
    counts = np.array([[8, 2], [0, 5]])
    run_figures.confusion_matrix(counts, ("cat", "dog"), tmp_path / "c.png")
    axes = drawn[0].axes[0]
    assert axes.get_title() == "13 of 15 right (86.67%)"
    texts = {tuple(map(int, t.get_position())): t.get_text() for t in axes.texts}
    # Position is (column, row), row the true class.
    assert texts == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}


def test_image_sheet_shows_gray_color_and_float_images(tmp_path, drawn):
    images = [
        np.full((4, 4, 1), 128, np.uint8),
        np.full((4, 4, 3), 255, np.uint8),
        np.full((4, 2, 1), 0.5),
    ]
    path = tmp_path / "sheet.png"
    run_figures.image_sheet(images, ["a", "b", "c"], path, title="t", columns=2)
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c"]
    # Left to right, then down; images keep their sides' ratio.
    places = [image.get_extent() for image in axes.images]
    np.testing.assert_allclose(places, [(0, 1, -1, 0), (1.1, 2.1, -1, 0), (0, 0.5, -2.3, -1.3)])
    assert matplotlib.image.imread(path).ndim == 3


def test_schedule_is_drawn_to_its_last_step(tmp_path, drawn):
    run_figures.schedule(lambda step: step / 10, 20, tmp_path / "s.png")
    (line,) = drawn[0].axes[0].lines
    assert line.get_xydata()[-1].tolist() == [20, 2.0]


# Mathematics to matplotlib, or nothing that a legend shows, if they were not taken as they are.
NAMES = ("$a$", "$x", "_^{", "\\frac", "a\nb", "%s & #", "π∑", "[red]", "x" * 200)


def test_names_are_shown_as_they_are_and_cut_to_the_room_there_is(tmp_path, drawn):
    run_figures.confusion_matrix(np.eye(len(NAMES), dtype=int), NAMES, tmp_path / "c.png")
    shown = [label.get_text() for label in drawn[0].axes[0].get_xticklabels()]
    assert shown == [*(name.replace("\n", " ") for name in NAMES[:-1]), "x" * 29 + "…"]
    image = np.zeros((4, 4, 1), np.uint8)
    run_figures.image_sheet([image] * len(NAMES), NAMES, tmp_path / "s.png", title="$\\frac")
    rows = [{"step": 1, f"{name}/loss": 1.0} for name in NAMES]
    run_figures.learning_curves(rows, tmp_path / "l.png")
    legend = [text.get_text() for text in drawn[2].axes[0].get_legend().get_texts()]
    assert legend == list(NAMES)


def test_powers_on_logarithmic_axes_are_plain_numbers(tmp_path, drawn):
    rows = [{"step": step, "train/loss": 10.0**-step} for step in range(4)]
    run_figures.learning_curves(rows, tmp_path / "l.png")
    ticks = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert "1e−02" in ticks and not any("$" in tick for tick in ticks)


def test_curves_are_drawn_on_both_scales(tmp_path, monkeypatch):
    kept = []
    save = run_figures._save
    monkeypatch.setattr(run_figures, "_save", lambda f, p: (kept.append(f), save(f, p)))
    curves = {
        "triplet": (np.array([0, 0, 0.002, 1]), np.array([0, 0.5, 1, 1])),
        "perfect": (np.array([0.0, 0, 1]), np.array([0.0, 1, 1])),
    }
    run_figures.roc_curves(curves, tmp_path / "roc.png", title="glyphs")
    (figure,) = kept
    linear, log = figure.axes
    assert (linear.get_xscale(), log.get_xscale()) == ("linear", "log")
    for axes in figure.axes:
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert set(lines) == {"chance", "triplet", "perfect"}
        for name, curve in curves.items():
            np.testing.assert_array_equal(lines[name], np.stack(curve, axis=1))
        chance = lines["chance"]
        np.testing.assert_array_equal(chance[:, 0], chance[:, 1])
    assert log.get_xlim()[0] == 0.002
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
