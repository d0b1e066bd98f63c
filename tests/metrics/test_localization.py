"""Recall and best overlap of proposals, and ILSVRC's error of localization, by hand."""

import numpy as np
import pytest

from cnnlab.metrics.localization import localization_error, mean_best_overlap, recall

# Proposals by objects, of two images.
FIRST = np.array([[0.2, 0.0], [0.6, 0.4], [0.5, 0.9]])
SECOND = np.array([[0.0], [0.7]])


def test_recall_of_the_first_proposals():
    assert recall([FIRST, SECOND], (1, 2, 3)) == pytest.approx({1: 0, 2: 2 / 3, 3: 1})
    assert recall([FIRST, SECOND], (3,), threshold=0.7) == pytest.approx({3: 2 / 3})
    assert np.isnan(recall([np.zeros((3, 0))], (1,))[1])


def test_best_overlaps_by_class_and_by_object():
    classes = [np.array([0, 1]), np.array([1])]
    got = mean_best_overlap([FIRST, SECOND], classes)
    assert got == pytest.approx({"mabo": (0.6 + 0.8) / 2, "best_overlap": (0.6 + 0.9 + 0.7) / 3})
    first = mean_best_overlap([FIRST, SECOND], classes, count=1)
    assert first == pytest.approx({"mabo": 0.1, "best_overlap": 0.2 / 3})


def test_a_guess_needs_its_class_and_its_box():
    overlap = np.array([[[0.6], [0.9]], [[0.6], [0.4]], [[0.9], [0.9]], [[0.9], [0.9]]])
    guessed = np.array([[3, 1], [3, 1], [2, 4], [1, 1]])
    label = np.array([1, 1, 1, 1])
    valid = np.array([[True], [True], [True], [False]])
    # Right by the second guess; its box too far off; classes wrong; no object.
    assert localization_error(overlap, guessed, label, valid) == 0.75
