"""Preprocessing as text and as entries of a config."""

import numpy as np
import pytest

from cnnlab.data import augment
from cnnlab.data.preprocess import transforms
from cnnlab.errors import UserError
from cnnlab.pretrained import Preprocessing


def test_it_returns_from_its_text_unchanged():
    made = Preprocessing(160, 180, "bicubic", (0.5, 0.25, 0.125), (1.0, 2.0, 3.0))
    assert Preprocessing.from_json(made.to_json()) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mean": 1, "std": [1]}', '{"sise": 1}'])
def test_another_text_is_refused(text):
    with pytest.raises(UserError, match="no preprocessing can be read"):
        Preprocessing.from_json(text)


def test_as_config_resizes_crops_and_normalizes():
    made = Preprocessing(4, 8, mean=(0.5,) * 3, std=(0.25,) * 3)
    config = made.as_config()
    image = np.zeros((16, 24, 3), np.uint8)
    # The central 4x4 of the 8x12 that are left are white.
    image[4:12, 8:16] = 255
    found = transforms.preprocess({"image": image}, None, **config["preprocess"])["image"]
    np.testing.assert_array_equal(found, np.full((4, 4, 3), 255, np.uint8))
    batch = {"image": np.asarray(found[None], np.float32) / 255}
    normalized = augment.augment(batch, None, normalize=config["normalize"])["image"]
    np.testing.assert_allclose(normalized, 2.0)
