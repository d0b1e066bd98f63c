"""COCO's numbers equal pycocotools' on random sets: crowds, areas, ties, empties, more than 100."""

import contextlib
import io

import numpy as np
import pytest

from cnnlab.metrics import coco

pytestmark = pytest.mark.parity
NAMES = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
NAMES += ["AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"]
SIZE = 200


def random_set(seed, images=6):
    """Return annotations and results as COCO has them: boxes [x, y, w, h] in whole quarters."""
    rng = np.random.default_rng(seed)
    # Of one class an image may have more than the 100 detections that count.
    classes = 3 if seed % 5 else 1
    truth, found = [], []
    for image in range(images):
        count = rng.integers(0, 7)
        for _ in range(count):
            side = np.exp(rng.uniform(np.log(6), np.log(150), 2))
            box = np.round(np.r_[rng.uniform(0, 50, 2), side] * 4) / 4
            crowd = int(rng.random() < 0.15)
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(classes)),
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * rng.uniform(0.5, 1)),
                    "iscrowd": crowd,
                }
            )
        near = [t for t in truth if t["image_id"] == image]
        many = 130 if seed % 5 == 0 and image == 0 else rng.integers(0, 12)
        for _ in range(many):
            if near and rng.random() < 0.7:
                like = near[rng.integers(len(near))]
                box = np.array(like["bbox"]) + np.round(rng.normal(0, 2, 4) * 4) / 4
                number = like["category_id"] if rng.random() < 0.8 else int(rng.integers(classes))
            else:
                box, number = (
                    np.r_[rng.uniform(0, 50, 2), rng.uniform(5, 100, 2)],
                    int(rng.integers(classes)),
                )
            box[2:] = np.maximum(box[2:], 1)
            found.append(
                {
                    "image_id": image,
                    "category_id": number,
                    "bbox": box.tolist(),
                    # Tenths tie.
                    "score": float(rng.integers(1, 11) / 10),
                }
            )
    return truth, found, images, classes


def referee(truth, found, images, classes, kind="bbox"):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": i, "height": SIZE, "width": SIZE} for i in range(images)],
            "categories": [{"id": c} for c in range(classes)],
            "annotations": truth,
        }
        data.createIndex()
        judged = COCOeval(data, data.loadRes(found), kind)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


def corners(boxes):
    boxes = np.reshape(boxes, (-1, 4)).astype(float)
    return np.concatenate([boxes[:, 1::-1], boxes[:, 1::-1] + boxes[:, 3:1:-1]], axis=1)


def overlaps(found, true, crowd):
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    both = np.maximum(high - low, 0).prod(-1)
    area = (found[:, 2:] - found[:, :2]).prod(-1)[:, None]
    other = (true[:, 2:] - true[:, :2]).prod(-1)[None]
    return both / np.where(crowd, area, area + other - both)


def as_images(truth, found, images):
    for image in range(images):
        t = [x for x in truth if x["image_id"] == image]
        f = [x for x in found if x["image_id"] == image]
        boxes, true = corners([x["bbox"] for x in f]), corners([x["bbox"] for x in t])
        crowd = np.array([x["iscrowd"] for x in t], bool)
        yield coco.Image(
            overlaps(boxes, true, crowd),
            np.array([x["score"] for x in f], float),
            np.array([x["category_id"] for x in f], int),
            (boxes[:, 2:] - boxes[:, :2]).prod(-1),
            np.array([x["category_id"] for x in t], int),
            np.array([x["area"] for x in t], float),
            crowd,
            np.zeros(len(t), bool),
        )


@pytest.mark.parametrize("seed", range(50))
def test_the_twelve_numbers_of_boxes(seed):
    truth, found, images, classes = random_set(seed)
    got = coco.summarize(as_images(truth, found, images))
    if not found:
        pytest.skip("pycocotools cannot load no results")
    expected = referee(truth, found, images, classes).stats
    assert list(got) == NAMES
    values = np.nan_to_num(np.array(list(got.values())), nan=-1.0)
    np.testing.assert_allclose(values, expected, atol=1e-6)


def people(seed, images=5):
    """Return people with keypoints, some without a visible one, and detections about them."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 5)):
            box = np.r_[rng.uniform(0, 50, 2), np.exp(rng.uniform(3, 5, 2))]
            points = box[:2] + rng.random((17, 2)) * box[2:]
            shown = rng.integers(0, 3, 17) * (rng.random() < 0.8)
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": 0,
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * 0.6),
                    "iscrowd": int(rng.random() < 0.1),
                    "keypoints": np.c_[points, shown].ravel().tolist(),
                    "num_keypoints": int((shown > 0).sum()),
                }
            )
            for _ in range(rng.integers(0, 3)):
                moved = points + rng.normal(0, 0.05, points.shape) * box[2:]
                found.append(
                    {
                        "image_id": image,
                        "category_id": 0,
                        "keypoints": np.c_[moved, np.ones(17)].ravel().tolist(),
                        "score": float(rng.integers(1, 11) / 10),
                    }
                )
    return truth, found, images, 1


def as_people(truth, found, images):
    for image in range(images):
        t = [x for x in truth if x["image_id"] == image]
        f = [x for x in found if x["image_id"] == image]
        points = np.array([x["keypoints"] for x in f], float).reshape(-1, 17, 3)[..., 1::-1]
        marks = np.array([x["keypoints"] for x in t], float).reshape(-1, 17, 3)
        visible, area = marks[..., 2] > 0, np.array([x["area"] for x in t], float)
        crowd = np.array([x["iscrowd"] for x in t], bool)
        boxes = corners([x["bbox"] for x in t])
        extent = points.max(1, initial=-np.inf) - points.min(1, initial=np.inf)
        yield coco.Image(
            coco.keypoint_similarity(points, marks[..., 1::-1], visible, area, boxes),
            np.array([x["score"] for x in f], float),
            np.zeros(len(f), int),
            extent.prod(-1),
            np.zeros(len(t), int),
            area,
            crowd,
            ~visible.any(1),
        )


@pytest.mark.parametrize("seed", range(20))
def test_the_ten_numbers_of_keypoints(seed):
    truth, found, images, classes = people(seed)
    expected = referee(truth, found, images, classes, "keypoints").stats
    areas = {k: v for k, v in coco.AREAS.items() if k != "small"}
    got = coco.summarize(as_people(truth, found, images), areas=areas, limits=coco.KEYPOINT_LIMITS)
    by_name = dict(zip(["AP", "AP50", "AP75", "AP_medium", "AP_large"], expected, strict=False))
    by_name |= {"AR20": expected[5], "AR_medium": expected[8], "AR_large": expected[9]}
    for name, value in by_name.items():
        assert np.nan_to_num(got[name], nan=-1.0) == pytest.approx(value, abs=1e-6), name
