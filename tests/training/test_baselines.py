"""Floors learn from what the run has, and never from what they are tested on."""

import numpy as np
import pytest
import small

from cnnlab.training import baselines


def test_a_floor_does_not_find_the_examples_that_it_is_tested_on():
    splits = {"validation": "validation", "part": "train[80%:]", "whole": "train+validation"}
    run = small.build(small.config(floors=("nearest_neighbor",), data__eval__splits=splits))
    found = baselines.accuracies(run.config, run.evaluations, "label")["nearest_neighbor"]
    train, validation = run.train.source, run.evaluations["validation"].source
    images, labels = (
        np.array([s[i][key].reshape(-1) for s in (train, validation) for i in range(len(s))])
        for key in ("image", "label")
    )
    tested = np.arange(960, 1200)
    rest = np.delete(np.arange(len(images)), tested)
    right = [
        labels[rest[((images[rest].astype(int) - images[i]) ** 2).sum(axis=1).argmin()], 0]
        == labels[i, 0]
        for i in tested
    ]
    # Where all that there is would be tested, a neighbor at distance 0 would always be right.
    assert found == {"part/accuracy": pytest.approx(np.mean(right))}
