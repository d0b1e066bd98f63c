"""How many objects anchors reach: by hand, and what is refused."""

import numpy as np
import pytest

from cnnlab.commands import main
from cnnlab.data.anchor_coverage import coverage
from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError


class Boxes:
    """Two images; the first has an object as large as an anchor, and one half as wide."""

    info = Info(
        "boxes", "train", (), {"image": ((8, 8, 3), "uint8"), "boxes": ((None, 4), "float32")}
    )

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 2:
            raise CorruptImage("x.png", 2, "cut")
        boxes = [[[-4, 0, 4, 8], [12, 14, 20, 18]], []][index]
        return {
            "image": np.zeros((32, 32, 3), np.uint8),
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        }


def test_the_best_overlap_of_each_object():
    found = coverage(Boxes(), [8], [1], 4)
    assert found.images == 3
    np.testing.assert_allclose(found.best, [1.0, 0.5])
    np.testing.assert_array_equal(found.missed(0.7), [[12, 14, 20, 18]])
    # Every 16 pixels the first anchors are centered on the corner.
    np.testing.assert_allclose(coverage(Boxes(), [8], [1], 16).best, [1 / 3, 0.5])


@pytest.mark.parametrize(("sizes", "ratios", "stride"), [([0], [1], 4), ([8], [-1], 4)])
def test_numbers_at_or_below_zero_are_refused(sizes, ratios, stride):
    with pytest.raises(UserError, match="above 0"):
        coverage(Boxes(), sizes, ratios, stride)


def test_the_command_prints_what_is_missed(capsys, tmp_path):
    arguments = ["shapes", "--split=train[:20]", f"--sheet={tmp_path}/s.png", "--samples=2"]
    assert main(["data", *arguments, "--anchors=2", "--stride=8"]) == 0
    out = capsys.readouterr().out
    assert "objects of 20 images at random:" in out
    assert "no anchor of IoU 0.5: " in out and "(100.00%), median height and width" in out
    assert main(["data", *arguments, "--anchors=8,x"]) == 1
    assert "--anchors=8,x: write numbers" in capsys.readouterr().err
    assert main(["data", "digits", "--anchors=8"]) == 1
    assert "'digits' has no boxes" in capsys.readouterr().err
