"""IoU's issue as a loss, and what its relatives do about it, in numbers."""

import numpy as np

from cnnlab.analysis.box_descent import MEASURES, descend, losses
from cnnlab.geometry.boxes import area
from cnnlab.geometry.iou import iou
from cnnlab.plots.layers.box_losses import START, TARGET

PATHS = {name: descend(name, START, TARGET) for name in MEASURES}


def test_iou_does_not_move_a_box_that_is_apart():
    assert (PATHS["IoU"] == START).all()
    shifts = np.array([6.0, 7, 100])
    # Apart from the touching edges on, and the same however far.
    assert (losses("IoU", TARGET, TARGET, shifts) == 1).all()
    assert (np.diff(losses("GIoU", TARGET, TARGET, shifts)) > 0).all()


def test_the_others_first_enlarge_the_box():
    for name in ("GIoU", "DIoU", "CIoU"):
        sizes = area(PATHS[name])
        assert sizes[1] > sizes[0] and sizes.max() > 3 * sizes[0]


def test_the_others_reach_the_target_and_distances_sooner():
    found = {name: iou(path, TARGET[None]) for name, path in PATHS.items()}
    assert all(values[0] == 0 for values in found.values())
    assert all(found[name].max() > 0.9 for name in ("GIoU", "DIoU", "CIoU"))
    first = {name: np.argmax(values > 0.9) for name, values in found.items()}
    assert max(first["DIoU"], first["CIoU"]) < first["GIoU"]


def test_a_step_is_as_long_as_asked_for():
    moved = np.linalg.norm(np.diff(PATHS["DIoU"], axis=0), axis=1)
    np.testing.assert_allclose(moved, 0.2, rtol=1e-3)
