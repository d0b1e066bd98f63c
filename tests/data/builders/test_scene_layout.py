import numpy as np
import pytest

from cnnlab.data.builders import scene_layout
from cnnlab.data.builders.scene_layout import CLASSES, Object, Raster, masks_of, paint
from cnnlab.data.builders.shapes import boxes_of
from cnnlab.geometry import affine
from cnnlab.geometry.iou import pairwise_iou

SIZE = (90, 110)
LAYOUTS = [scene_layout.draw(np.random.default_rng((3, i)), SIZE, "square") for i in range(300)]
OBJECTS = [item for layout in LAYOUTS for item in layout.objects]


def share(hits, of):
    """Return a share, and four times its standard deviation."""
    return pytest.approx(hits, abs=4 * np.sqrt(hits * (1 - hits) / of))


def test_images_have_none_to_eight_objects():
    counts = np.array([len(layout.objects) for layout in LAYOUTS])
    assert (counts == 0).mean() == share(scene_layout.EMPTY, len(LAYOUTS))
    assert set(counts) == set(range(scene_layout.MAX_OBJECTS + 1))


def test_one_class_is_rare_one_absent_and_the_others_are_even():
    numbers = np.bincount([CLASSES.index(o.name) for o in OBJECTS], minlength=len(CLASSES))
    shares = dict(zip(CLASSES, numbers / len(OBJECTS), strict=True))
    assert shares.pop("square") == 0
    assert shares.pop(scene_layout.RARE) == share(scene_layout.RARE_SHARE, len(OBJECTS))
    # Small stars are left out more often than discs.
    assert min(shares.values()) > 0.12 and max(shares.values()) < 0.2


def test_sizes_span_three_octaves_evenly():
    areas = [affine.determinant(o.poses[0]) for o in OBJECTS if len(o.poses) == 1]
    diameters = 2 * np.sqrt(areas)
    assert diameters.min() < 9 and diameters.max() > 70
    octaves = np.histogram(diameters, [8, 16, 32, 64])[0] / len(diameters)
    assert (octaves > 0.2).all()


def test_boxes_overlap_by_as_much_as_the_limit_and_no_more():
    overlaps = []
    for layout in LAYOUTS:
        boxes = boxes_of(masks_of(layout.ids, len(layout.objects)))
        overlaps.extend(pairwise_iou(boxes, boxes)[np.triu_indices(len(boxes), 1)])
    overlaps = np.array(overlaps)
    assert overlaps.max() <= scene_layout.MAX_IOU
    assert (overlaps > 0.5).mean() > 0.004 and (overlaps > 0.3).mean() > 0.04


def test_crowds_have_eight_or_more_tiny_members():
    crowds = [o for o in OBJECTS if len(o.poses) > 1]
    assert len(crowds) / len(LAYOUTS) == share(0.92 * scene_layout.CROWD, len(LAYOUTS))
    assert {len(o.poses) for o in crowds} == set(range(8, 15))
    diameters = 2 * np.sqrt([affine.determinant(p) for o in crowds for p in o.poses])
    assert (diameters >= 4).all() and (diameters <= 7).all()


def test_the_lower_of_two_objects_is_in_front_and_stands_on_its_last_row():
    for layout in LAYOUTS:
        feet = [o.foot for o in layout.objects]
        assert (np.diff(feet) > 0).all()
    for layout in LAYOUTS[:30]:
        for item in layout.objects:
            corner, mask = item.raster()
            last = corner[0] + np.flatnonzero(mask.any(1))[-1]
            assert last + 0.5 <= item.foot <= last + 1


def test_what_is_left_is_seen():
    for layout in LAYOUTS:
        area = masks_of(layout.ids, len(layout.objects)).sum((1, 2))
        assert (area >= scene_layout.MIN_AREA).all()
        assert (area >= scene_layout.MIN_VISIBLE * layout.whole).all()
        assert (area <= layout.whole).all()


def test_the_last_object_covers_and_pixels_outside_are_cut_off():
    corner, mask = np.array([-1, 1]), np.ones((3, 2), bool)
    ids = paint([Raster(corner, mask), Raster(corner + 1, mask)], (3, 3))
    np.testing.assert_array_equal(ids, [[-1, 0, 1], [-1, 0, 1], [-1, -1, 1]])


def test_an_object_wholly_outside_paints_nothing():
    for corner in ([-9, 0], [9, 0], [0, -9], [0, 9]):
        raster = Raster(np.array(corner), np.ones((2, 2), bool))
        assert (paint([raster], (4, 4)) == -1).all()


def test_a_raster_has_the_pixels_whose_centers_are_covered():
    pose = np.array([[5.0, 0, 2], [0, 5, 3]])
    corner, mask = Object("disc", pose[None]).raster()
    rows, columns = np.nonzero(mask)
    y, x = rows + corner[0] + 0.5 - 2, columns + corner[1] + 0.5 - 3
    y = y / np.where(y > 0, 6, 4)
    assert (np.hypot(y, x / 5) <= 1).all()
    assert mask.sum() == pytest.approx(25 * np.pi, rel=0.05)


def test_a_motion_takes_what_an_object_covers_along():
    rng = np.random.default_rng(0)
    item = OBJECTS[0]
    motion = np.array([[0.9, 0.3, 4], [-0.2, 1.1, -7]])
    points = item.poses[0][:, 2] + rng.uniform(-30, 30, (500, 2))
    moved = item.moved(motion).covers(affine.transform(motion, points))
    np.testing.assert_array_equal(moved, item.covers(points))
