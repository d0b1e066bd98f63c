"""Figures show the numbers they are given."""

import matplotlib.image
import numpy as np
import pytest

from cnnlab.plots import run_figures, style


def test_confusion_matrix_writes_every_count():
    figure = run_figures.confusion_matrix(np.array([[8, 2], [0, 5]]), ("cat", "dog"), title="pets")
    assert figure.get_suptitle() == "pets: 13 of 15 right (86.67%)"
    texts = {tuple(map(int, t.get_position())): t.get_text() for t in figure.axes[0].texts}
    # Position is (column, row), row the true class.
    assert texts == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}


def test_every_class_of_a_matrix_is_named():
    names = [f"class {i}" for i in range(run_figures.MATRIX_CLASSES)]
    axes = run_figures.confusion_matrix(np.eye(len(names), dtype=int), names).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == names


def test_of_many_classes_the_most_confused_pairs_are_drawn():
    counts = np.zeros((2400, 2400), int)
    counts[np.arange(100), np.arange(100)] = 8
    counts[7, 12], counts[12, 7], counts[99, 2399] = 3, 5, 1
    names = [f"alphabet{i // 24:02d}/character{i % 24:02d}" for i in range(2400)]
    figure = run_figures.confusion_matrix(counts, names)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "alphabet00/character12 → alphabet00/character07",
        "alphabet00/character07 → alphabet00/character12",
        "alphabet04/character03 → alphabet99/character23",
    ]
    assert [bar.get_width() for bar in axes.patches] == [5, 3, 1]
    assert [text.get_text().strip() for text in axes.texts] == ["5 of 13", "3 of 11", "1 of 9"]
    assert "100 classes of 2,400" in figure.get_suptitle()


def test_many_classes_without_a_mistake_say_so():
    figure = run_figures.confusion_matrix(np.eye(70, dtype=int), [str(i) for i in range(70)])
    assert figure.axes[0].texts[0].get_text() == "no class was taken for another"


def test_image_sheet_shows_gray_color_and_float_images(tmp_path):
    images = [
        np.full((4, 4, 1), 128, np.uint8),
        np.full((4, 4, 3), 255, np.uint8),
        np.full((4, 2, 1), 0.5),
    ]
    figure = run_figures.image_sheet(images, ["a", "b", "c"], columns=2)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c"]
    brightest = [image.get_clim()[1] for image in axes.images if image.get_array().ndim == 2]
    assert brightest == [255, 1.0]
    # Two side by side, and the third, half as wide, below.
    places = [image.get_extent() for image in axes.images]
    np.testing.assert_allclose([p[:2] for p in places], [(0, 1), (1.1, 2.1), (0, 0.5)])
    assert places[2][3] < places[0][2]
    path = tmp_path / "sheet.png"
    style.save(figure, path)
    assert matplotlib.image.imread(path).ndim == 3


@pytest.mark.parametrize("name", ["alphabet87/character03", "x" * 200, "a very long name " * 9])
def test_captions_of_any_length_stay_clear_of_each_other_and_of_the_images(tmp_path, name):
    images, caption = [np.zeros((4, 4, 1), np.uint8)] * 10, f"{name}\n→ {name}\n100%"
    figure = run_figures.image_sheet(images, [caption, *["short"] * 8, caption], columns=8)
    style.save(figure, tmp_path / "sheet.png")
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    boxes += [image.get_window_extent() for image in axes.images]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_short_caption_is_one_line():
    figure = run_figures.image_sheet([np.zeros((4, 4, 1), np.uint8)], ["3\n→ 8\n95%"])
    assert figure.axes[0].texts[0].get_text() == "3 → 8 95%"


def test_schedule_is_drawn_from_step_0_to_its_last():
    (line,) = run_figures.schedule(lambda step: step / 10, 20).axes[0].lines
    assert line.get_xydata()[[0, -1]].tolist() == [[0, 0.0], [20, 2.0]]


def test_roc_curves_have_a_color_an_encoder_and_a_line_style_an_endpoint():
    curve = (np.array([0, 0, 0.002, 1]), np.array([0, 0.5, 1, 1]))
    keys = [("trained", "embedding"), ("trained", "features"), ("random", "features")]
    figure = run_figures.roc_curves(dict.fromkeys([*keys, ("pixels", "pixels")], curve))
    linear, log = figure.axes
    assert (linear.get_xscale(), log.get_xscale()) == ("linear", "log")
    assert log.get_xlim()[0] == 0.002
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["chance", *(f"{a}, {b}" for a, b in keys), "pixels"]
    for axes in figure.axes:
        chance, *lines = axes.lines
        np.testing.assert_array_equal(chance.get_xdata(), chance.get_ydata())
        for line in lines:
            np.testing.assert_array_equal(line.get_xydata(), np.stack(curve, axis=1))
        one, two, three, pixels = lines
        assert one.get_color() == two.get_color() != three.get_color() != pixels.get_color()
        assert one.get_linestyle() != two.get_linestyle() == three.get_linestyle()


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_large_images_are_drawn_small_and_any_channels_are_drawn(channels):
    image = np.random.default_rng(0).integers(0, 256, (1000, 500, channels), dtype=np.uint8)
    small = run_figures.thumbnail(image)
    assert small.shape == (256, 128, channels) and small.dtype == np.uint8
    # Areas are averaged, so that the mean stays.
    np.testing.assert_allclose(small.mean(), image.mean(), atol=0.5)
    assert run_figures.thumbnail(small) is small
    (axes,) = run_figures.image_sheet([image], ["one"]).axes
    (drawn,) = axes.images
    assert drawn.get_array().shape == ((256, 128, 3) if channels == 3 else (256, 128))
