"""`predictions.json`: ids of the file, boxes as COCO has them, best first in each image."""

import json

import numpy as np

from cnnlab.geometry import run_length
from cnnlab.metrics.coco_results import write_predictions

CATEGORIES = (7, 11, 13)
OUTPUTS = {
    "found_boxes": np.array([[[1.5, 2, 4, 8.25], [0, 0, 1, 1]], [[0, 0, 9, 9], [3, 3, 5, 6]]]),
    "found_scores": np.array([[0.3, 0.9], [0.1, 0.7]], np.float32),
    "found_classes": np.array([[2, 0], [1, 1]]),
    "found_valid": np.array([[True, True], [False, True]]),
}


def written(path, **more):
    """Return the rows of the file."""
    file = path / "predictions.json"
    given = {"image_ids": np.array([42, 5]), "category_ids": CATEGORIES}
    masks = {key: more.pop(key) for key in ("masks",) if key in more}
    count = write_predictions(file, {**OUTPUTS, **more}, **given, **masks)
    rows = json.loads(file.read_text())
    assert len(rows) == count
    return rows


def test_rows_are_those_of_detections_best_first_in_each_image(tmp_path):
    assert written(tmp_path) == [
        {"image_id": 42, "category_id": 7, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 0.9},
        {"image_id": 42, "category_id": 13, "bbox": [2.0, 1.5, 6.25, 2.5], "score": 0.3},
        {"image_id": 5, "category_id": 11, "bbox": [3.0, 3.0, 3.0, 2.0], "score": 0.7},
    ]


def test_keypoints_and_masks_come_along(tmp_path):
    points = np.arange(16.0).reshape(2, 2, 2, 2)
    masks = np.random.default_rng(0).random((2, 2, 6, 5)) < 0.5
    rows = written(tmp_path, found_keypoints=points, masks=masks)
    assert rows[0]["keypoints"] == [5.0, 4.0, 1.0, 7.0, 6.0, 1.0]
    shape = rows[2]["segmentation"]
    counts = run_length.from_text(shape["counts"])
    np.testing.assert_array_equal(run_length.decode(counts, shape["size"]), masks[1, 1])


def test_of_no_detections_the_file_is_an_empty_list(tmp_path):
    assert written(tmp_path, found_valid=np.zeros((2, 2), bool)) == []
