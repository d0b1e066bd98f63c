import cv2
import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess.crop import center_crop, random_resized_crop
from cnnlab.data.preprocess.resampling import resample
from cnnlab.data.preprocess.resize import resize
from cnnlab.data.preprocess.transforms import PREPROCESS, check, is_random, preprocess
from cnnlab.errors import UserError


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 9), np.cos(x / 7), np.sin((x + y) / 11)]
    return ((np.stack(waves, -1) + 1) * 127).astype(np.uint8)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((40, 60), (20, 30)),
        ((60, 40), (30, 20)),
        ((10, 33), (20, 66)),
        ((30, 47), (20, 31)),
        ((20, 25), (20, 25)),
    ],
)
def test_the_shorter_side_gets_the_size_and_the_aspect_stays(before, after):
    assert resize({"image": picture(*before)}, size=20)["image"].shape == (*after, 3)


def test_exact_resizing_squashes():
    assert resize({"image": picture(40, 60)}, size=20, mode="exact")["image"].shape == (20, 20, 3)


@pytest.mark.parametrize("interpolation", ["auto", "area", "linear", "cubic"])
@pytest.mark.parametrize("channels", [1, 3, 4, 5, 9])
def test_any_number_of_channels_keeps_its_axis_and_each_is_by_itself(channels, interpolation):
    image = picture(24, 36, channels)
    for size in ((12, 18), (30, 40), (12, 50)):
        result = resample(image, size, interpolation)
        assert result.shape == (*size, channels)
        assert result.dtype == np.uint8
        for channel in range(channels):
            alone = resample(image[..., channel : channel + 1], size, interpolation)
            assert abs(result[..., channel].astype(int) - alone[..., 0]).max() <= 1


def test_shrinking_averages_the_pixels_covered():
    image = picture(24, 36)
    blocks = image.reshape(8, 3, 12, 3, 3).mean((1, 3))
    assert abs(resample(image, (8, 12)) - blocks).max() <= 0.5 + 1e-6
    rows = image.reshape(8, 3, 36, 3).mean(1)  # one axis only
    assert abs(resample(image, (8, 36)) - rows).max() <= 0.5 + 1e-6


def test_growing_is_cubic_and_a_smooth_image_resizes_as_in_pil():
    image = smooth(40, 50)
    grown = cv2.resize(image, (100, 80), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(resample(image, (80, 100)), grown)
    pil = np.asarray(Image.fromarray(image).resize((25, 20), Image.Resampling.BILINEAR))
    assert abs(resample(image, (20, 25)).astype(int) - pil).max() <= 6


def test_the_same_size_is_the_same_image():
    image = picture(20, 30)
    for interpolation in ("auto", "area", "linear", "cubic"):
        np.testing.assert_array_equal(resample(image, (20, 30), interpolation), image)


def test_boxes_and_masks_are_resized_with_the_image():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 4:12, 6:24], masks[1, 0:2, 28:30] = True, True
    boxes = np.array([[4, 6, 12, 24], [0, 28, 2, 30]])
    example = {
        "image": (masks[0, ..., None] * 255).astype(np.uint8),
        "boxes": boxes,
        "masks": masks,
    }
    for size, factor in ((10, 0.5), (40, 2.0)):
        result = resize(example, size=size)
        np.testing.assert_array_equal(result["boxes"], boxes * factor)
        for mask, (y0, x0, y1, x1) in zip(
            result["masks"], result["boxes"].astype(int), strict=True
        ):
            expected = np.zeros_like(mask)
            expected[y0:y1, x0:x1] = True
            np.testing.assert_array_equal(mask, expected)
        assert ((result["image"][..., 0] > 127) == result["masks"][0]).mean() > 0.95
    np.testing.assert_array_equal(boxes, example["boxes"])


def test_no_objects_resize_to_no_objects():
    example = {
        "image": picture(20, 30),
        "boxes": np.zeros((0, 4)),
        "masks": np.zeros((0, 20, 30), bool),
    }
    result = resize(example, size=10)
    assert result["boxes"].shape == (0, 4)
    assert result["masks"].shape == (0, 10, 15)


@pytest.mark.parametrize(
    ("shape", "corner"),
    [((20, 30), (5, 10)), ((21, 13), (6, 2)), ((10, 10), (0, 0)), ((13, 15), (2, 2))],
)
def test_the_center_is_cut_out(shape, corner):
    image = picture(*shape)
    top, left = corner  # (13 - 10) / 2 and (15 - 10) / 2 round half to even, as in torchvision
    expected = image[top : top + 10, left : left + 10]
    np.testing.assert_array_equal(center_crop({"image": image}, size=10)["image"], expected)


def test_a_crop_beyond_the_image_is_an_error():
    with pytest.raises(UserError, match=r"center_crop.size = 21 is more than an image of 20 x 30"):
        center_crop({"image": picture(20, 30)}, size=21)


def crops_of_coordinates(number, height=60, width=80, size=40, **chosen):
    """Slopes and middles of random crops of an image that holds its own coordinates."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([2 * y, 2 * x], -1).astype(np.uint8)
    rng = np.random.default_rng(0)
    drawn = [random_resized_crop({"image": image}, rng, size=size, **chosen) for _ in range(number)]
    crops = np.stack([example["image"] for example in drawn]).astype(float) / 2
    half = size // 4
    middle = slice(size // 2 - 2, size // 2 + 2)
    rise = crops[:, half:-half, middle, 0].mean(2)
    run = crops[:, middle, half:-half, 1].mean(1)
    steps = size - 2 * half - 1
    return (rise[:, -1] - rise[:, 0]) / steps * size, (run[:, -1] - run[:, 0]) / steps * size


def test_random_crops_have_the_areas_and_aspects_asked_for():
    height, width = crops_of_coordinates(400, scale=(0.2, 0.6))
    area, aspect = height * width / (60 * 80), width / height
    np.testing.assert_allclose(np.quantile(area, [0, 0.5, 1]), [0.2, 0.4, 0.6], atol=0.05)
    np.testing.assert_allclose(np.quantile(aspect, [0, 0.5, 1]), [0.75, 1, 1.333], atol=0.1)


def test_a_crop_that_never_fits_falls_back_on_the_central_one():
    image = smooth(20, 90)
    rng = np.random.default_rng(0)
    result = random_resized_crop({"image": image}, rng, size=20, scale=(1, 1), ratio=(1, 2))
    np.testing.assert_array_equal(result["image"], resample(image[:, 25:65], (20, 20)))


def test_random_crops_repeat_by_their_generator():
    example = {"image": picture(30, 40), "label": 3}
    first, again, other = (
        random_resized_crop(example, np.random.default_rng(seed), size=16) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any()
    assert first["label"] == 3
    assert example["image"].shape == (30, 40, 3)


def test_the_chosen_apply_in_the_order_of_the_table():
    example = {"image": picture(30, 40)}
    result = preprocess(example, None, center_crop={"size": 16}, resize={"size": 20})
    expected = center_crop(resize(example, size=20), size=16)
    np.testing.assert_array_equal(result["image"], expected["image"])
    assert tuple(PREPROCESS) == (
        *("resize", "random_resize", "random_resized_crop", "center_crop", "random_crop"),
        *("random_window", "center_window", "pad_image", "pad_objects"),
    )
    assert preprocess(example, None)["image"] is example["image"]


def test_only_random_crops_are_random():
    assert is_random({"resize": {}, "random_resized_crop": {}})
    assert not is_random({"resize": {}, "center_crop": {}})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"resise": {}}, "unknown preprocessing 'resise'; did you mean 'resize'"),
        ({"resize": {"sise": 3}}, "preprocess.resize has no argument 'sise'; did you mean 'size'"),
        ({"resize": {"size": 0}}, "preprocess.resize.size = 0 is not a whole number of 1 or more"),
        ({"resize": {"size": 22.4}}, "preprocess.resize.size = 22.4"),
        ({"resize": {"mode": "shortest"}}, "unknown preprocess.resize.mode .*'shorter'"),
        ({"resize": {"interpolation": "cubik"}}, "did you mean 'cubic'"),
        ({"random_resized_crop": {"scale": (0.5, 0.1)}}, "preprocess.random_resized_crop.scale"),
        ({"center_crop": 224}, "preprocess.center_crop = 224 is not a dict"),
    ],
)
def test_wrong_choices_are_named_before_any_image_is_seen(chosen, message):
    with pytest.raises(UserError, match=message):
        check(chosen)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint16)]
)
def test_what_is_no_8_bit_image_is_an_error(image):
    with pytest.raises(UserError, match="uint8 image of shape"):
        resize({"image": image})
