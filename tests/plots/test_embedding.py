"""The view shows every point in its class's color, and says how far the points really spread."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlab.errors import UserError
from cnnlab.plots import style
from cnnlab.plots.embedding import embedding_view


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures instead of writing them only."""
    kept: list[Figure] = []
    save = style.save

    def keep(figure, path):
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(style, "save", keep)
    return kept


def points(classes, n, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    centers = 10 * rng.normal(size=(classes, 2))
    return (centers[labels] + rng.normal(size=(n, 2)) * 0.1).astype(np.float32), labels


@pytest.mark.parametrize("classes", [1, 10, 20])
def test_few_classes_have_a_color_each_and_a_legend(tmp_path, drawn, classes):
    x, labels = points(classes, 60)
    names = [f"class {i}" for i in range(classes - 1)]  # One is not named.
    embedding_view(x, labels, tmp_path / "a" / "view.png", names=names, title="digits")
    axes = drawn[0].axes[0]
    assert axes.get_title() == "digits"
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words == [*names, str(classes - 1)]
    cloud = axes.collections[0]
    # A color for a class: points that lie together share it, and no other class has it.
    colors = [tuple(color) for color in cloud.get_facecolors()]
    at = np.asarray(cloud.get_offsets())
    legend = [tuple(c.get_facecolors()[0]) for c in axes.collections[1:]]
    assert len(set(legend)) == classes and set(colors) == set(legend)
    for color in set(colors):
        own = at[[c == color for c in colors]]
        assert len(own) == 60 // classes
        assert np.ptp(own, axis=0).max() < 1.5
    image = matplotlib.image.imread(tmp_path / "a" / "view.png")
    assert image.shape[0] > 500 and image[..., :3].std() > 0.01


def test_of_many_classes_neighbors_differ_in_color_and_names_do_not_overlap(tmp_path, drawn):
    # A grid of 12 x 12 classes.
    places = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    labels = np.repeat(np.arange(144), 3)
    x = (places[labels] + 0.01 * np.random.default_rng(0).normal(size=(432, 2))).astype(np.float32)
    embedding_view(x, labels, tmp_path / "view.png")
    axes = drawn[0].axes[0]
    assert axes.get_legend() is None
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 100
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
    cloud = axes.collections[0]
    at, colors = np.asarray(cloud.get_offsets()), cloud.get_facecolors()
    distance = np.linalg.norm(at[:, None] - at, axis=2)
    beside = (distance > 0.5) & (distance < 1.2)
    apart = np.abs(colors[:, None] - colors).max(axis=2)
    # Of the pairs of classes side by side, hardly any look alike.
    assert np.quantile(apart[beside], 0.05) > 0.15
    assert (apart[distance < 0.3] == 0).all()


def test_a_collapse_can_be_read_off(tmp_path, drawn):
    x, labels = points(3, 30)
    embedding_view(1000 + 1e-3 * x, labels, tmp_path / "view.png")
    spread = np.sqrt((1e-3 * x).var(axis=0).sum() / 2e6)
    text = drawn[0].axes[0].get_xlabel()
    said = float(text.split("deviation ")[1].split(" ")[0])
    assert said == pytest.approx(spread, rel=0.05)
    embedding_view(np.ones((30, 4), np.float32), labels, tmp_path / "view.png")
    assert "deviation 0 of" in drawn[1].axes[0].get_xlabel()
    embedding_view(np.zeros((30, 4), np.float32), labels, tmp_path / "view.png")
    assert "deviation 0 of" in drawn[2].axes[0].get_xlabel()


def test_one_place_for_many_classes_has_one_name(tmp_path, drawn):
    embedding_view(np.ones((60, 4), np.float32), np.arange(60) % 30, tmp_path / "view.png")
    assert len(drawn[0].axes[0].texts) == 1


def test_more_points_than_the_limit_are_drawn_by_the_seed(tmp_path, drawn):
    x, labels = points(4, 300)
    for seed in (0, 0, 1):
        embedding_view(x, labels, tmp_path / "view.png", limit=100, seed=seed)
    clouds = [np.asarray(figure.axes[0].collections[0].get_offsets()) for figure in drawn]
    assert all(len(cloud) == 100 for cloud in clouds)
    assert (clouds[0] == clouds[1]).all() and (clouds[0] != clouds[2]).any()
    assert "100 of 300 points, 4 classes" in drawn[0].axes[0].get_xlabel()


def test_what_cannot_be_drawn_is_refused(tmp_path):
    x, labels = points(4, 20)
    with pytest.raises(UserError, match="unknown view of an embedding 'tsn'; did you mean 'tsne'"):
        embedding_view(x, labels, tmp_path / "view.png", view="tsn")
    x[3, 1] = np.nan
    with pytest.raises(UserError, match="NaN or infinity"):
        embedding_view(x, labels, tmp_path / "view.png")


def test_no_name_is_taken_for_markup_or_left_out_of_the_legend(tmp_path, drawn):
    x, labels = points(4, 40)
    names = ["_^{", "$a$", "[red]", "y" * 200]
    embedding_view(x, labels, tmp_path / "view.png", names=names, title="$\\frac")
    words = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert words == [*names[:3], "y" * 15 + "…" + "y" * 14]
