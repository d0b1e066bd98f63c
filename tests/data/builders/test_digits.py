import numpy as np
import pytest
from sklearn.datasets import load_digits

from cnnlab.data.sources.source import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("digits"))


def test_the_splits_are_the_file_in_its_order(folder):
    digits, start = load_digits(), 0
    for split, count in {"train": 1200, "validation": 237, "test": 360}.items():
        source = load("digits", split, data_dir=folder)
        assert len(source) == count
        for i in range(count):
            example = source[i]
            assert (example["index"], example["label"]) == (start + i, digits.target[start + i])
            levels = np.round(example["image"][..., 0] * (16 / 255))
            np.testing.assert_array_equal(levels, digits.images[start + i])
        start += count


def test_white_is_255_and_black_0(folder):
    image = load("digits", "train", data_dir=folder)[0]["image"]
    assert (image.dtype, image.min(), image.max()) == (np.uint8, 0, 239)
    levels = load_digits().images[0]
    assert (image[..., 0][levels == 15] == 239).all()
