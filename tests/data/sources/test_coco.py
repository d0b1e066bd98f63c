"""COCO's annotations: boxes, ids, masks, keypoints, both layouts, and entries that cannot be."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources import source
from cnnlab.errors import MissingData, UserError
from cnnlab.geometry import run_length

SIZE = (20, 30)
SQUARE = [[2.0, 3.0, 12.0, 3.0, 12.0, 9.0, 2.0, 9.0]]


def annotation(number, image=7, category=9, bbox=(2, 3, 10, 6), **more):
    row = {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox)}
    return row | {"segmentation": SQUARE, "area": 60, "iscrowd": 0} | more


def content(*annotations, **changes):
    images = [
        {"id": n, "file_name": f"{n}.jpg", "height": SIZE[0], "width": SIZE[1]} for n in (7, 8)
    ]
    categories = [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}]
    return {
        **{"images": images, "categories": categories, "annotations": list(annotations)},
        **changes,
    }


def write(root, data, split="val", task="instances"):
    for folder in ("annotations", split):
        (root / folder).mkdir(parents=True, exist_ok=True)
    text = data if isinstance(data, str) else json.dumps(data)
    (root / f"annotations/{task}_{split}.json").write_text(text)
    for number in (7, 8):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / split / f"{number}.jpg")
    return root


def load(root, kind="coco", split="val"):
    return source.load(f"{kind}:{root}", split)


def test_boxes_classes_areas_and_crowds(tmp_path):
    rows = [annotation(1), annotation(2, category=4, bbox=(25, 15, 20, 20), area=99, iscrowd=1)]
    found = load(write(tmp_path, content(*rows)))
    example = found[0]
    # The second is cut at the border, its area is the annotated one.
    np.testing.assert_array_equal(example["boxes"], [[3, 2, 9, 12], [15, 25, 20, 30]])
    np.testing.assert_array_equal(example["area"], [60, 99])
    np.testing.assert_array_equal(example["crowd"], [False, True])
    # Ids have gaps: classes are their places, and lead back.
    assert found.info.class_names == ("cat", "dog") and found.category_ids == (4, 9)
    np.testing.assert_array_equal(example["classes"], [1, 0])
    assert example["image_id"] == 7 and example["image"].shape == (*SIZE, 3)


def test_an_image_without_annotations_stays(tmp_path):
    found = load(write(tmp_path, content(annotation(1))))
    assert len(found) == 2
    assert found[1]["boxes"].shape == (0, 4) and found[1]["classes"].shape == (0,)
    masks = load(tmp_path, "coco_masks")[1]["masks"]
    assert masks.shape == (0, *SIZE)


def test_masks_are_polygons_run_lengths_or_their_text(tmp_path):
    expected = np.zeros(SIZE, np.uint8)
    expected[3:9, 2:12] = 1
    counts = [43, *([6, 14] * 9), 6, 371]
    rows = [
        annotation(1),
        annotation(2, segmentation={"counts": counts, "size": list(SIZE)}),
        annotation(
            3, segmentation={"counts": run_length.to_text(np.array(counts)), "size": list(SIZE)}
        ),
    ]
    masks = load(write(tmp_path, content(*rows)), "coco_masks")[0]["masks"]
    np.testing.assert_array_equal(masks, [expected] * 3)


def test_keypoints_are_y_x_visible(tmp_path):
    categories = [{"id": 9, "name": "person", "keypoints": ["nose", "tail"]}]
    rows = [annotation(1, keypoints=[5, 6, 2, 0, 0, 0], num_keypoints=1)]
    write(tmp_path, content(*rows, categories=categories), task="person_keypoints")
    found = load(tmp_path, "coco_keypoints")
    np.testing.assert_array_equal(found[0]["keypoints"], [[[6, 5, 2], [0, 0, 0]]])
    assert found.info.spec["keypoints"] == ((None, 2, 3), "float32")
    assert found.info.kinds["keypoints"] == "keypoints"


def test_splits_are_files_and_only_those_asked_for_are_read(tmp_path):
    write(tmp_path, content(annotation(1)), split="train2017")
    write(tmp_path, "no JSON", split="val2017")
    assert len(load(tmp_path, split="train2017[:1]")) == 1
    with pytest.raises(UserError, match="val2017"):
        load(tmp_path, split="test")


def test_a_file_of_ones_own_has_its_images_beside_it(tmp_path):
    write(tmp_path, content(annotation(1)))
    (tmp_path / "val").rename(tmp_path / "images")
    (tmp_path / "annotations/instances_val.json").rename(tmp_path / "mine.json")
    found = source.load(f"coco:{tmp_path}/mine.json", "train")
    assert found[0]["image"].shape == (*SIZE, 3) and found.files()[0] == "images/7.jpg"


def test_boxes_without_a_pixel_are_left_out_and_named(tmp_path, caplog):
    rows = [annotation(1), annotation(2, bbox=(5, 5, 0, 4)), annotation(3, bbox=(40, 5, 9, 4))]
    with caplog.at_level(logging.WARNING):
        found = load(write(tmp_path, content(*rows)))
    assert len(found[0]["boxes"]) == 1
    assert "2 object(s) without a pixel" in caplog.text
    assert "image 7, annotation 2: [x, y, width, height] = [5, 5, 0, 4]" in caplog.text


def test_corners_taken_for_sizes_are_noticed(tmp_path, caplog):
    rows = [annotation(n, bbox=(14, 12, 28, 18)) for n in (1, 2, 3)]
    with caplog.at_level(logging.WARNING):
        load(write(tmp_path, content(*rows)))
    assert "3 of 3 boxes end outside of their image" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "instances_val.json is damaged"),
        ("[]", "has no 'images', it has: a list"),
        ({"info": {}}, "has no 'images'"),
        (content(categories=[]), "declares no categories"),
        (content(annotation(1), annotation(1)), "the id 1 is that of two annotations"),
        (content(annotation("a")), "annotation number 0 has the id 'a'"),
        (content(annotation(1, image=3)), "image 3, annotation 1: there is no such image"),
        (content(annotation(1, category=5)), "annotation 1: category 5 is not declared"),
        (content(annotation(1, bbox=(1, 2, 3))), "annotation 1: bbox is .* not 4 numbers"),
        (content(annotation(1, bbox=(1, 2, 3, "x"))), "not 4 numbers"),
        (content(images=[{"id": 7}]), "image 7: no height, width or file_name"),
        (content(images=[3]), "has no 'images'"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(tmp_path, data, message):
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, data))


def test_no_number_is_refused(tmp_path):
    write(tmp_path, content(annotation(1, bbox=(1, 2, 3, float("nan")))))
    with pytest.raises(UserError, match=r"annotation 1: bbox is .*nan.* not 4 numbers"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"segmentation": {"counts": [3, 4], "size": list(SIZE)}},
            "run lengths of 7",
        ),
        ({"segmentation": {"counts": "\t", "size": list(SIZE)}}, "no text of run lengths"),
        ({"segmentation": {"counts": [30], "size": [5, 6]}}, "5 x 6 pixels, and the image has 20"),
        ({"segmentation": {"counts": [600]}}, "no mask: 'size'"),
        ({"segmentation": [[1, 2, 3]]}, "odd number of coordinates"),
        ({"segmentation": [[1, 2, float("nan"), 3]]}, "no finite number"),
        ({"segmentation": "mask.png"}, "no mask"),
    ],
)
def test_a_mask_that_cannot_be_is_named(tmp_path, more, message):
    with pytest.raises(UserError, match=rf"image 7, annotation 1: .*{message}"):
        load(write(tmp_path, content(annotation(1, **more))), "coco_masks")


def test_masks_that_do_not_fill_their_boxes_are_a_warning(tmp_path, caplog):
    counts = run_length.encode(np.eye(*SIZE, dtype=np.uint8)).tolist()
    rows = [
        annotation(1),
        annotation(2, bbox=(20, 3, 10, 6)),
        annotation(3, segmentation=[]),
        annotation(4, bbox=(0, 0, 20, 20), segmentation={"counts": counts, "size": list(SIZE)}),
    ]
    with caplog.at_level(logging.WARNING):
        load(write(tmp_path, content(*rows)), "coco_masks")
    assert "2 of 4 masks do not fill their boxes" in caplog.text
    assert "the first: " in caplog.text and "image 7, annotation 2" in caplog.text


def test_an_image_of_another_size_or_none_is_corrupt(tmp_path):
    found = load(write(tmp_path, content(annotation(1))))
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "val/7.jpg")
    (tmp_path / "val/8.jpg").unlink()
    other = "5 x 5 pixels, and the annotations of image 7 have 20 x 30"
    with pytest.raises(CorruptImage, match=other):
        found[0]
    with pytest.raises(CorruptImage, match="cannot be read"):
        found[1]
    with pytest.raises(CorruptImage, match=r"8\.jpg \(index 1\): there is no such file"):
        found.check()
    (tmp_path / "val/7.jpg").rename(tmp_path / "val/8.jpg")
    write(tmp_path, content(), split="other")
    (tmp_path / "other/7.jpg").rename(tmp_path / "val/7.jpg")
    with pytest.raises(CorruptImage, match="5 x 5 pixels, and the annotations of image 8"):
        found.check()


@pytest.mark.parametrize(("exif", "stored"), [("apply", SIZE[::-1]), ("ignore", SIZE)])
def test_annotations_are_of_the_image_as_shown_or_as_stored(tmp_path, exif, stored):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    write(tmp_path, content(annotation(1)))
    photo = Image.fromarray(np.zeros((*stored, 3), np.uint8))
    photo.save(tmp_path / "val/7.jpg", exif=orientation)
    found = source.load(f"coco:{tmp_path}", "val", exif=exif)
    found.check()
    assert found[0]["image"].shape == (*SIZE, 3)
    other = {"apply": "ignore", "ignore": "apply"}[exif]
    with pytest.raises(CorruptImage, match=r"if EXIF rotates it: data\.exif is apply or ignore"):
        source.load(f"coco:{tmp_path}", "val", exif=other).check()


def test_a_place_that_is_not_there_says_how_the_set_lies(tmp_path):
    with pytest.raises(MissingData, match=r"PATH/annotations/instances_SPLIT\.json"):
        load(tmp_path / "none")
    with pytest.raises(UserError, match=r"has no annotations/person_keypoints_SPLIT\.json"):
        load(tmp_path, "coco_keypoints")
