"""VOC's layout: boxes counted from 1, lists, classes, and annotations that cannot be."""

import logging

import numpy as np
import pytest
from PIL import Image
from published import real

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources import source
from cnnlab.errors import MissingData, UserError

OBJECT = """<object><name>{}</name><difficult>{}</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def annotate(root, name, objects=(), size=(20, 30), file=None):
    """Write an image and its XML; objects are (name, difficult, x0, y0, x1, y1)."""
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(root / f"JPEGImages/{name}.jpg")
    inside = "".join(OBJECT.format(*item) for item in objects)
    (root / f"Annotations/{name}.xml").write_text(
        f"<annotation><filename>{file or name + '.jpg'}</filename><size><width>{size[1]}</width>"
        f"<height>{size[0]}</height><depth>3</depth></size>{inside}</annotation>"
    )


def write_list(root, name, text):
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/Main/{name}.txt").write_text(text)


@pytest.fixture
def root(tmp_path):
    annotate(tmp_path, "a", [("dog", 0, 1, 2, 10, 12), ("cat", 1, 5, 5, 5, 5)])
    annotate(tmp_path, "b", [])
    annotate(tmp_path, "c", [("cat", 0, 1, 1, 30, 20)])
    write_list(tmp_path, "train", "a\nb\n")
    write_list(tmp_path, "val", "c\n")
    write_list(tmp_path, "cat_train", "a  1\nb -1\n")
    return tmp_path


def test_corners_are_counted_from_one_and_inside(root):
    train = source.load(f"voc:{root}", "train")
    example = train[0]
    np.testing.assert_array_equal(example["boxes"], [[1, 0, 12, 10], [4, 4, 5, 5]])
    np.testing.assert_array_equal(example["difficult"], [False, True])
    assert example["image"].shape == (20, 30, 3) and example["boxes"].dtype == np.float32
    # Both are of VOC's twenty, in their order.
    assert [train.info.class_names[c] for c in example["classes"]] == ["dog", "cat"]
    assert len(train.info.class_names) == 20
    np.testing.assert_array_equal(source.load(f"voc:{root}", "val")[0]["boxes"], [[0, 0, 20, 30]])
    assert train.info.kinds["boxes"] == "box" and train.info.kinds["difficult"] == "object"


def test_an_image_without_objects_stays(root):
    train = source.load(f"voc:{root}", "train")
    assert len(train) == 2
    empty = train[1]
    assert empty["boxes"].shape == (0, 4) and empty["classes"].shape == (0,)


def test_splits_are_lists_and_without_any_all_is_train(root, tmp_path):
    assert len(source.load(f"voc:{root}", "train+val")) == 3
    assert source.load(f"voc:{root}", "val")[0]["image_id"] == 2
    with pytest.raises(UserError, match="val"):
        source.load(f"voc:{root}", "test")
    for file in (root / "ImageSets/Main").iterdir():
        file.unlink()
    assert len(source.load(f"voc:{root}", "train[:2]")) == 2


def test_names_of_ones_own_are_sorted_and_alike_in_all_splits(tmp_path):
    annotate(tmp_path, "a", [("rbc", 0, 1, 1, 5, 5)])
    annotate(tmp_path, "b", [("platelet", 0, 1, 1, 5, 5)])
    write_list(tmp_path, "train", "a")
    found = source.load(f"voc:{tmp_path}", "train")
    assert found.info.class_names == ("platelet", "rbc") and found[0]["classes"] == [1]


def test_a_folder_around_the_set_will_do_but_not_around_two(tmp_path):
    annotate(tmp_path / "VOC2007", "a", [("dog", 0, 1, 1, 5, 5)])
    assert len(source.load(f"voc:{tmp_path}", "train")) == 1
    annotate(tmp_path / "VOC2012", "a", [("dog", 0, 1, 1, 5, 5)])
    with pytest.raises(UserError, match="name one of VOC2007, VOC2012"):
        source.load(f"voc:{tmp_path}", "train")


def test_boxes_without_a_pixel_are_left_out_and_named(tmp_path, caplog):
    objects = [("dog", 0, 9, 9, 8, 8), ("dog", 0, 40, 1, 50, 5), ("dog", 0, 25, 15, 99, 99)]
    annotate(tmp_path, "a", objects)
    with caplog.at_level(logging.WARNING):
        found = source.load(f"voc:{tmp_path}", "train")
    assert "2 object(s) without a pixel" in caplog.text and "a.xml, object 1" in caplog.text
    np.testing.assert_array_equal(found[0]["boxes"], [[14, 24, 20, 30]])


def test_an_image_is_found_by_the_annotations_name_where_it_names_another(tmp_path):
    annotate(tmp_path, "a", file="/elsewhere/old.png")
    assert source.load(f"voc:{tmp_path}", "train")[0]["image"].shape == (20, 30, 3)


def broken(text):
    return lambda root: (root / "Annotations/a.xml").write_text(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (broken("<annotation><obj"), "a.xml is no XML"),
        (broken("<!DOCTYPE x [<!ENTITY a 'b'>]><annotation/>"), "declares entities"),
        (broken("<annotation/>"), "size/height is missing, not a number"),
        (
            lambda root: annotate(root, "a", [("dog", 0, "nan", 1, 2, 3)]),
            "a.xml, object 1: bndbox/xmin is 'nan', not a number",
        ),
        (lambda root: annotate(root, "a", [("", 0, 1, 1, 2, 3)]), "object 1 has no name"),
        (lambda root: write_list(root, "train", "a\nmissing\n"), "has 'missing', without an XML"),
        (lambda root: [f.unlink() for f in root.glob("Annotations/*")], "has no annotations"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(root, damage, message):
    damage(root)
    with pytest.raises(UserError, match=message):
        source.load(f"voc:{root}", "train")


def test_an_image_of_another_size_or_none_is_corrupt(root):
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(root / "JPEGImages/a.jpg")
    (root / "JPEGImages/b.jpg").unlink()
    train = source.load(f"voc:{root}", "train")
    with pytest.raises(CorruptImage, match=r"5 x 5 pixels, and a.xml has 20 x 30"):
        train[0]
    with pytest.raises(CorruptImage, match=r"JPEGImages/b.jpg.*cannot be read"):
        train[1]


def test_a_folder_that_is_not_there_says_how_the_set_lies(tmp_path):
    with pytest.raises(MissingData, match=r"PATH/Annotations/NAME\.xml"):
        source.load(f"voc:{tmp_path}/none", "train")


def test_blood_cells_have_their_published_counts():
    place = real("bccd")
    for split, images, counts in (
        ("train", 205, {"RBC": 2382, "WBC": 214, "Platelets": 209}),
        ("val", 87, {"RBC": 968, "WBC": 87, "Platelets": 83}),
        ("test", 72, {"RBC": 805, "WBC": 71, "Platelets": 69}),
    ):
        found = source.load(f"voc:{place}", split)
        assert len(found) == images
        labels = np.concatenate([found[i]["classes"] for i in range(images)])
        names = np.array(found.info.class_names)[labels]
        assert {n: int((names == n).sum()) for n in counts} == counts
        boxes = np.concatenate([found[i]["boxes"] for i in range(images)])
        # Two have both corners on one pixel, which is inside.
        assert ((boxes[:, 2:] - boxes[:, :2]) == 1).all(1).sum() == (split != "test")
