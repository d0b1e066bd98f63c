import numpy as np
import pytest

from cnnlab.data.builders import shapes
from cnnlab.data.sources.source import load

EXAMPLES = [shapes.draw(np.random.default_rng((7, i))) for i in range(120)]


def test_boxes_are_the_extent_of_the_masks():
    for example in EXAMPLES:
        for box, mask in zip(example["boxes"], example["masks"], strict=True):
            rows, columns = np.nonzero(mask)
            expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            np.testing.assert_array_equal(box, expected)


def test_a_pixel_in_the_corner_has_a_box_of_one_pixel():
    mask = np.zeros((2, 4, 6), np.uint8)
    mask[0, 0, 0] = mask[1, 3, 5] = 1
    np.testing.assert_array_equal(shapes.boxes_of(mask), [[0, 0, 1, 1], [3, 5, 4, 6]])


def test_the_label_is_the_class_of_the_largest_visible_object():
    for example in EXAMPLES:
        areas = example["masks"].sum((1, 2))
        assert example["label"] == example["classes"][areas.argmax()]
        others = np.delete(areas, areas.argmax())
        assert (areas.max() >= shapes.LEAD * others).all()


def test_masks_do_not_overlap_and_none_is_tiny():
    for example in EXAMPLES:
        assert example["masks"].sum(0).max() == 1
        assert example["masks"].sum((1, 2)).min() >= shapes.MIN_AREA


def test_presence_marks_the_classes_that_are_there():
    for example in EXAMPLES:
        expected = [float(c in example["classes"]) for c in range(len(shapes.CLASSES))]
        np.testing.assert_array_equal(example["presence"], expected)


def test_all_shapes_have_the_area_of_the_unit_disc():
    grid = (np.arange(400, dtype=np.float32) + 0.5) / 100 - 2
    v, u = np.meshgrid(grid, grid, indexing="ij")
    for name in shapes.CLASSES:
        assert shapes._inside(name, u, v).sum() / 100**2 == pytest.approx(np.pi, rel=0.01)


def test_classes_and_numbers_of_objects_are_even():
    classes = np.concatenate([e["classes"] for e in EXAMPLES])
    for counts in (np.bincount(classes), np.bincount([len(e["boxes"]) for e in EXAMPLES])[1:]):
        mean = counts.mean()
        assert (abs(counts - mean) < 4 * np.sqrt(mean)).all()


def test_color_does_not_tell_the_class():
    colors: dict[int, list] = {c: [] for c in range(len(shapes.CLASSES))}
    for example in EXAMPLES:
        for label, mask in zip(example["classes"], example["masks"], strict=True):
            colors[int(label)].append(example["image"][mask == 1].mean(0))
    means = np.stack([np.mean(c, axis=0) for c in colors.values()])
    errors = np.stack([np.std(c, axis=0) / np.sqrt(len(c)) for c in colors.values()])
    assert (abs(means - means.mean(0)) < 4 * errors).all()


def test_the_set_is_what_the_seed_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "SPLITS", {"train": 6, "validation": 2, "test": 3})
    for number, (split, count) in enumerate(shapes.SPLITS.items()):
        source = load("shapes", split, data_dir=str(tmp_path))
        assert len(source) == count
        assert source.info.class_names == shapes.CLASSES
        for i in range(count):
            expected = shapes.draw(np.random.default_rng((shapes.SEED, number, i)))
            example = source[i]
            assert example.keys() == expected.keys() == source.info.spec.keys()
            for key, value in expected.items():
                np.testing.assert_array_equal(example[key], value)
                assert example[key].dtype == value.dtype == source.info.spec[key][1]


def test_the_first_image_is_pinned():
    # A change here changes everyone's results: then raise the builder's VERSION.
    example = shapes.draw(np.random.default_rng((shapes.SEED, 0, 0)))
    assert [shapes.CLASSES[c] for c in example["classes"]] == FIRST
    assert example["boxes"].astype(int).tolist() == BOXES


FIRST = ["square", "triangle", "disc", "disc", "triangle"]
BOXES = [[24, 12, 45, 34], [0, 21, 35, 57], [27, 49, 45, 64], [2, 9, 15, 23], [10, 0, 29, 19]]
