"""Parameters are counted without computing anything."""

from cnnlab import models
from cnnlab.analysis.parameters import count_parameters


def test_count_and_endpoints_of_lenet5():
    count, endpoints = count_parameters(models.create("lenet5"), (32, 32, 1))
    assert count == 61_706
    assert endpoints == ["c1", "s2", "c3", "s4", "c5", "f6", "features", "logits"]
