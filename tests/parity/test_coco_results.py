"""`predictions.json` is read by pycocotools, which finds the numbers that an evaluation found."""

import contextlib
import io

import numpy as np
import pytest

from cnnlab.metrics import detection
from cnnlab.metrics.coco_results import write_predictions

pytestmark = pytest.mark.parity
SIZE, FOUND, OBJECTS, POINTS = 48, 8, 5, 17
CATEGORIES = (3, 18, 90)


def pixels(boxes):
    """Return a mask of each box, an ellipse in it."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    centers, radii = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    off = [
        (grid - centers[..., i, None, None]) / radii[..., i, None, None]
        for i, grid in enumerate((y, x))
    ]
    return (off[0] ** 2 + off[1] ** 2 <= 1).astype(np.uint8)


@pytest.fixture(scope="module", params=range(6))
def batch(request):
    """Return nine images with objects, and detections near to them."""
    rng, images = np.random.default_rng(request.param), 9
    start = rng.integers(0, 20, (images, OBJECTS, 2))
    boxes = np.concatenate([start, start + rng.integers(6, 28, (images, OBJECTS, 2))], axis=2)
    near = boxes[:, rng.integers(0, OBJECTS, FOUND)] + rng.uniform(-3, 3, (images, FOUND, 4))
    found = near.clip(0, SIZE)
    place = rng.uniform(0, 1, (images, OBJECTS, POINTS, 2))
    sides = (boxes[..., 2:] - boxes[..., :2])[:, :, None]
    points = boxes[:, :, None, :2] + place * sides
    shown = rng.integers(0, 3, (images, OBJECTS, POINTS, 1))
    moved = points[:, np.arange(FOUND) % OBJECTS] + rng.normal(0, 1, (images, FOUND, POINTS, 2))
    truth = {
        "boxes": boxes.astype(np.float32),
        "classes": rng.integers(0, 3, (images, OBJECTS)),
        "masks": pixels(boxes),
        "keypoints": np.concatenate([points, shown], axis=-1).astype(np.float32),
        "crowd": rng.random((images, OBJECTS)) < 0.1,
        "objects_valid": np.arange(OBJECTS) < rng.integers(0, OBJECTS + 1, (images, 1)),
        "image_id": np.arange(images) * 7 + 1,
    }
    truth["area"] = truth["masks"].sum((2, 3)).astype(np.float32)
    arrays = (found.astype(np.float32), rng.random((images, FOUND)).astype(np.float32))
    arrays += (rng.integers(0, 3, (images, FOUND)), rng.random((images, FOUND)) < 0.9)
    return truth, arrays, pixels(found), moved.astype(np.float32)


def annotations(truth):
    """Return the objects as a file of COCO has them."""
    rows = []
    for i, j in np.argwhere(truth["objects_valid"]):
        y0, x0, y1, x1 = truth["boxes"][i, j].tolist()
        points = truth["keypoints"][i, j]
        rows.append(
            {
                "id": len(rows) + 1,
                "image_id": int(truth["image_id"][i]),
                "category_id": CATEGORIES[truth["classes"][i, j]],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": float(truth["area"][i, j]),
                "iscrowd": int(truth["crowd"][i, j]),
                "segmentation": encoded(truth["masks"][i, j]),
                "keypoints": points[:, [1, 0, 2]].ravel().tolist(),
                "num_keypoints": int((points[:, 2] > 0).sum()),
            }
        )
    return rows


def encoded(mask):
    from pycocotools import mask as peer

    return peer.encode(np.asfortranarray(mask))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("bbox", detection.box_numbers),
        ("segm", detection.mask_numbers),
        ("keypoints", detection.keypoint_numbers),
    ],
)
def test_it_finds_the_same_numbers(batch, tmp_path, kind, numbers):
    import jax.numpy as jnp
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, arrays, masks, points = batch
    given = {"masks": jnp.asarray(masks), "keypoints": jnp.asarray(points)}
    rows = detection.rows(truth, *map(jnp.asarray, arrays), **given)
    outputs = {name: np.asarray(x) for name, x in rows.items()}
    ids, file = truth["image_id"], tmp_path / "predictions.json"
    more = {"masks": masks} if kind == "segm" else {}
    if kind != "keypoints":
        # Else loadRes takes them for keypoints, whatever is asked for.
        outputs = {k: x for k, x in outputs.items() if k != "found_keypoints"}
    write_predictions(file, outputs, image_ids=ids, category_ids=CATEGORIES, **more)
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": int(i), "height": SIZE, "width": SIZE} for i in ids],
            "categories": [{"id": c} for c in CATEGORIES],
            "annotations": annotations(truth),
        }
        data.createIndex()
        judged = COCOeval(data, data.loadRes(str(file)), kind)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    expected = judged.stats
    if kind == "keypoints":
        # AP, AP50, AP75, medium, large; the same of recall, where ours has fewer thresholds.
        expected = expected[[0, 1, 2, 3, 4, 5, 8, 9]]
    got = np.nan_to_num(list(numbers(outputs).values()), nan=-1.0)
    assert 0 < got[0] < 1
    np.testing.assert_allclose(got, expected, atol=1e-6)
