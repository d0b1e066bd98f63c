"""Classical baselines, computed again in plain numpy."""

import numpy as np
from sklearn.datasets import load_digits

from cnnlab.classical import baselines

DIGITS = load_digits()
TRAIN, LABELS = DIGITS.data[:1437] / 16, DIGITS.target[:1437]
TEST, TRUTH = DIGITS.data[1437:] / 16, DIGITS.target[1437:]


def test_majority_is_the_most_frequent_class():
    predicted = baselines.majority(TRAIN[:5], np.array([2, 1, 2, 0, 2]), TEST)
    assert predicted.tolist() == [2] * 360


def test_nearest_neighbor_is_that_of_a_plain_loop():
    plain = [LABELS[((TRAIN - image) ** 2).sum(axis=1).argmin()] for image in TEST]
    predicted = baselines.nearest_neighbor(TRAIN, LABELS, TEST)
    np.testing.assert_array_equal(predicted, plain)
    assert np.mean(predicted == TRUTH) == 344 / 360


def test_svm_is_a_better_baseline_than_the_nearest_neighbor():
    accuracy = np.mean(baselines.rbf_svm(TRAIN, LABELS, TEST) == TRUTH)
    assert accuracy == 346 / 360
