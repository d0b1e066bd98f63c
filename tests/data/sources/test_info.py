"""Outputs have distinct names: of their class, or their number."""

import pytest

from cnnlab.data.sources.info import Info


@pytest.mark.parametrize(
    ("classes", "count", "names"),
    [
        (("cat", "dog"), 2, ("cat", "dog")),
        (("cat", "dog"), 4, ("cat", "dog", "2", "3")),
        ((), 3, ("0", "1", "2")),
        (("2", "3"), 4, ("2", "3", "2 [2]", "3 [3]")),
        (("a", "a"), 2, ("a", "a [1]")),
        (("a", "b", "c"), 2, ("a", "b")),
    ],
)
def test_outputs_are_named(classes, count, names):
    assert Info("set", "train", classes).output_names(count) == names


def test_a_waveform_is_no_list_of_objects():
    spec = {"waveform": ((None,), "float32"), "weight": ((None,), "float32")}
    assert Info("set", "train", spec=spec).kinds == {"weight": "object"}
