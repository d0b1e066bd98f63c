"""Boxes clipped and counted, and files looked for without decoding them."""

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources import object_checks
from cnnlab.data.sources.object_checks import Declared, check_declared, clip


def test_boxes_are_clipped_and_those_that_look_wrong_counted():
    given = np.array([[1, 2, 5, 6], [0, 0, 11, 9], [0, 0, 12, 9], [4, 4, 4, 9], [0, 0, 1, 0.5]])
    found = clip(given, (10, 10))
    np.testing.assert_array_equal(found.kept, [True, True, True, False, True])
    np.testing.assert_array_equal(found.boxes[2], [0, 0, 10, 9])
    # One pixel outside may be rounding.
    assert (found.beyond, found.tiny) == (1, 1)
    assert clip(np.zeros((0, 4)), (10, 10)).boxes.shape == (0, 4)


def test_all_files_are_looked_for_and_few_heads_read(tmp_path, monkeypatch):
    files = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (6, 4 + (number == 2))).save(path)
        files.append(Declared(path, (4, 6), "the list has"))
    with pytest.raises(CorruptImage, match=r"2\.png \(index 2\): 5 x 6 pixels, and the list has 4"):
        check_declared(files)
    monkeypatch.setattr(object_checks, "MOST_HEADERS", 2)
    check_declared(files)
    files[3].path.unlink()
    with pytest.raises(CorruptImage, match=r"3\.png \(index 3\): there is no such file"):
        check_declared(files)
