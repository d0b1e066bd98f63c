"""Random resizing and random crops, against plain indexing and counted draws."""

import numpy as np
import pytest

from cnnlab import config as cfg
from cnnlab.data.loading import pipeline
from cnnlab.data.preprocess.crop import random_crop
from cnnlab.data.preprocess.resampling import resample
from cnnlab.data.preprocess.resize import random_resize
from cnnlab.data.preprocess.transforms import check, is_random, preprocess
from cnnlab.errors import UserError


def positions(height, width):
    """An image whose pixels say where they are."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, 0 * y], -1).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (50, 50)])
def test_the_shorter_side_takes_every_size_of_the_range_equally_often(height, width):
    rng = np.random.default_rng(0)
    shapes = [
        random_resize({"image": positions(height, width)}, rng, shorter=(20, 24))["image"].shape
        for _ in range(1000)
    ]
    counts = np.bincount([min(shape[:2]) for shape in shapes], minlength=25)[20:]
    # Chi-square with 4 degrees of freedom is above 18.5 once in a thousand.
    assert ((counts - 200) ** 2 / 200).sum() < 18.5
    for h, w, _ in shapes:
        size = min(h, w)
        assert (h, w) == (size * height // min(height, width), size * width // min(height, width))


def test_a_range_of_one_size_is_the_plain_resize():
    image = positions(40, 60)
    one = random_resize({"image": image}, np.random.default_rng(0), shorter=(20, 20))
    np.testing.assert_array_equal(
        one["image"], preprocess({"image": image}, None, resize={"size": 20})["image"]
    )
    np.testing.assert_array_equal(one["image"], resample(image, (20, 30)))


def test_a_random_crop_is_a_part_of_the_image_and_all_places_come_equally_often():
    rng = np.random.default_rng(0)
    image = positions(10, 13)
    corners = []
    for _ in range(2400):
        crop = random_crop({"image": image, "label": 3}, rng, size=8)
        top, left = crop["image"][0, 0, :2]
        np.testing.assert_array_equal(crop["image"], image[top : top + 8, left : left + 8])
        assert crop["label"] == 3
        corners.append((int(top), int(left)))
    places, counts = np.unique(corners, axis=0, return_counts=True)
    assert len(places) == 3 * 6
    # 17 degrees of freedom: above 40.8 once in a thousand.
    assert ((counts - 2400 / 18) ** 2 / (2400 / 18)).sum() < 40.8


def test_the_whole_image_is_the_only_crop_of_its_size():
    image = positions(8, 8)
    crop = random_crop({"image": image}, np.random.default_rng(0), size=8)
    np.testing.assert_array_equal(crop["image"], image)


def test_they_follow_one_another_in_the_order_of_the_table():
    image = positions(30, 45)
    rng = np.random.default_rng(5)
    chosen = {
        "random_crop": {"size": 20},
        "random_resize": {"shorter": (22, 26)},
    }
    result = preprocess({"image": image}, rng, **chosen)["image"]
    again = np.random.default_rng(5)
    expected = random_resize({"image": image}, again, shorter=(22, 26))
    expected = random_crop(expected, again, size=20)["image"]
    np.testing.assert_array_equal(result, expected)
    assert result.shape == (20, 20, 3)


def test_the_random_ones_are_known_to_be_random():
    assert is_random({"random_resize": {}})
    assert is_random({"random_crop": {}})
    assert is_random({"random_window": {}})
    assert not is_random({"center_window": {}})


def test_randomness_is_the_examples_own(tmp_path):
    # Which row of which batch an example is in must not matter for what it undergoes.
    np.savez(
        tmp_path / "set.npz",
        train_image=np.stack([positions(20, 20) + i for i in range(12)]),
        train_label=np.arange(12),
    )
    data = cfg.base().data.to_dict()
    data["source"] = f"npz:{tmp_path / 'set.npz'}"
    data["train"]["preprocess"] = {"random_crop": {"size": 9}}

    def images(host, hosts):
        train = pipeline.train_data(data, seed=3, batch_size=4, host=host, hosts=hosts)
        batches = train.batches(0)
        return [next(batches)["image"] for _ in range(3)]

    whole = np.concatenate(images(0, 1))
    halves = [np.concatenate(pair) for pair in zip(images(0, 2), images(1, 2), strict=True)]
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    corners = whole[:, 0, 0, 1] - whole[:, 0, 0, 2]
    assert len(np.unique(corners)) > 3


def test_what_cannot_be_is_refused_with_what_to_do():
    rng = np.random.default_rng(0)
    with pytest.raises(
        UserError, match=r"random_crop.size = 9 is more than .* 8 x 20 .*resize to 9"
    ):
        random_crop({"image": positions(8, 20)}, rng, size=9)
    for function in (random_resize, random_crop):
        with pytest.raises(UserError, match="needs a uint8 image"):
            function({"image": np.zeros((300, 300, 3))}, rng)


@pytest.mark.parametrize("shorter", [(0, 5), (5, 4), (4,), (4.0, 5.0), 7, (True, 5)])
def test_a_range_that_is_none_is_refused_before_anything_runs(shorter):
    with pytest.raises(UserError, match="two whole numbers"):
        check({"random_resize": {"shorter": shorter}})
