"""Names and numbers in figures are shown as they are, in the room that there is."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlab.plots import run_figures, style
from cnnlab.plots.learning_curves import learning_curves

# Mathematics to matplotlib, or nothing that a legend shows, if they were not taken as they are.
NAMES = ("$a$", "$x", "_^{", "\\frac", "a\nb", "%s & #", "π∑", "[red]", "x" * 200)


def test_names_are_shown_as_they_are(tmp_path):
    figure = run_figures.confusion_matrix(np.eye(len(NAMES), dtype=int), NAMES)
    style.save(figure, tmp_path / "c.png")
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown == [*(name.replace("\n", " ") for name in NAMES[:-1]), "x" * 12 + "…" + "x" * 11]
    image = np.zeros((4, 4, 1), np.uint8)
    sheet = run_figures.image_sheet([image] * len(NAMES), NAMES, title="$\\frac")
    style.save(sheet, tmp_path / "a" / "s.png")
    rows = [{"step": 1, f"{name}/loss": 1.0} for name in NAMES]
    figure = learning_curves(rows)
    style.save(figure, tmp_path / "l.png")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_a_long_name_loses_its_middle():
    assert style.short("alphabet87/character03", 12) == "alphab…ter03"
    assert style.short("dog", 3) == "dog"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("alphabet87/character03", ["alphabet87/", "character03"]),
        ("soft-coated wheaten terrier", ["soft-coated", "wheaten terrier"]),
        ("x" * 17, ["x" * 14, "xxx"]),
        ("dog", ["dog"]),
    ],
)
def test_a_name_is_wrapped_after_punctuation(name, lines):
    assert style.wrap(name, 15).split("\n") == lines


@pytest.mark.parametrize("name", ["x" * 200, "a b " * 50, "black-footed ferret, Mustela nigripes"])
@pytest.mark.parametrize("width", [8, 20])
def test_a_wrapped_name_never_takes_more_room(name, width):
    lines = style.wrap(name, width).split("\n")
    assert len(lines) <= 2 and max(map(len, lines)) <= width


def test_powers_on_logarithmic_axes_are_plain_numbers(tmp_path):
    figure = Figure()
    axes = figure.add_subplot(xscale="log", yscale="log")
    axes.plot([1e-3, 1], [1e-3, 1])
    style.percent(axes.xaxis, "far")
    style.save(figure, tmp_path / "l.png")
    assert {"0.01", "0.1", "1"} < {label.get_text() for label in axes.get_yticklabels()}
    assert {"1%", "10%", "100%"} < {label.get_text() for label in axes.get_xticklabels()}


def test_powers_of_two_are_plain_numbers_too():
    axes = Figure().add_subplot(ylim=(1, 16))
    axes.set_yscale("log", base=2)
    style.plain_log_labels(axes)
    assert {"2", "4", "8"} < {label.get_text() for label in axes.get_yticklabels()}


def test_only_shares_are_in_percent_and_never_above_100():
    axes = Figure().add_subplot(ylim=(0.5, 1.1))
    style.percent(axes.yaxis, "validation/loss")
    assert "1.0" in [label.get_text() for label in axes.get_yticklabels()]
    style.percent(axes.yaxis, "validation/accuracy")
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert "100%" in shown and "110%" not in shown
