import numpy as np
import pytest
from PIL import Image
from published import omniglot, real

from cnnlab.data.sources.omniglot import OmniglotSource
from cnnlab.data.sources.source import load
from cnnlab.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return omniglot(tmp_path_factory.mktemp("omniglot"), runs=2)


def test_drawings_come_by_alphabet_character_and_drawer(root):
    source = load(f"omniglot:{root}", "train+test")
    assert source.files()[:4] == [
        *(f"images_background/Greek/character01/0001_0{i}.png" for i in (1, 2, 3)),
        "images_background/Greek/character02/0002_01.png",
    ]
    assert source.labels().tolist() == [*[0] * 3, *[1] * 3, *np.repeat(np.arange(2, 45), 2)]
    assert source.info.class_names[:3] == (
        *("Greek/character01", "Greek/character02", "Gurmukhi/character01"),
    )
    keys = [[int(source[i][key]) for key in ("label", "alphabet", "drawer")] for i in (2, 5, 7)]
    assert keys == [[0, 0, 2], [1, 0, 2], [2, 1, 1]]


def test_ink_is_dark_on_white(root):
    source = OmniglotSource(str(root), "train")
    with Image.open(root / source.files()[1]) as image:
        np.testing.assert_array_equal(source[1]["image"][..., 0], 255 * np.asarray(image))
    assert source[1]["image"].mean() > 200
    assert source.info.spec["image"] == ((105, 105, 1), "uint8")


def test_background_and_evaluation_are_other_names(root):
    for name, alias in (("background", "train"), ("evaluation", "test")):
        one, other = (OmniglotSource(str(root), key) for key in (name, alias))
        np.testing.assert_array_equal(one.ids(), other.ids())


def test_vinyals_splits_have_rotations_as_classes(root):
    train = OmniglotSource(str(root), "vinyals_train")
    # 2 characters of 3 drawers, 41 of 2 drawers, each in 4 rotations.
    assert len(train) == 4 * (2 * 3 + 41 * 2)
    assert len(np.unique(train.labels())) == 4 * 43
    for k in range(4):
        example = train[3 * k + 1]
        np.testing.assert_array_equal(example["image"], np.rot90(train[1]["image"], k))
        assert train.info.class_names[example["label"]] == (
            f"Greek/character01{f'/rot{90 * k:03}' if k else ''}"
        )
    assert len(np.unique(train.ids())) == len(train)
    test = OmniglotSource(str(root), "vinyals_test")
    names = {test.info.class_names[label] for label in test.labels()}
    assert names == {
        f"Gurmukhi/character{c}{r}" for c in (42, 43) for r in ("", "/rot090", "/rot180", "/rot270")
    }
    assert test.info.class_names == train.info.class_names


def test_runs_give_each_drawing_the_class_of_its_example(root):
    source = OmniglotSource(str(root), "runs")
    assert len(source) == 12
    assert source.info.class_names == tuple(
        f"run0{run}/class{c}" for run in (1, 2) for c in (0, 1, 2)
    )
    for i, place in enumerate(source.files()):
        example, part = source[i], place.split("/")[2]
        assert example["drawer"] == (part == "test")
        given = root / "all_runs" / (source.info.class_names[example["label"]] + ".png")
        given = given.parent / "training" / given.name
        with Image.open(given) as image:
            moved = (3, -2, 0) if part == "test" else (0, 0, 0)
            np.testing.assert_array_equal(
                np.roll(255 * np.asarray(image)[..., None], moved, (0, 1, 2)), example["image"]
            )
    with pytest.raises(UserError, match="their labels differ"):
        OmniglotSource(str(root), "test+runs")


def test_a_missing_set_says_where_it_is_published(tmp_path):
    with pytest.raises(UserError, match="repository 'omniglot' of Brenden Lake"):
        OmniglotSource(str(tmp_path), "train")


def test_the_real_set_has_the_published_numbers_of_classes():
    classes = {"train": 964, "test": 659, "vinyals_train": 4 * 1028, "vinyals_test": 4 * 423}
    for split, count in {**classes, "vinyals_validation": 4 * 172, "runs": 400}.items():
        source = OmniglotSource(str(real("omniglot")), split)
        assert len(np.unique(source.labels())) == count
        assert len(source) == count * (2 if split == "runs" else 20)
    assert source[0]["image"].shape == (105, 105, 1)
