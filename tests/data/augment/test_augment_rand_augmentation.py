import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnlab.data.augment.rand_augmentation import OPERATIONS, operate, rand_augment
from cnnlab.errors import UserError

run = jax.jit(operate)
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)


def apply(name, strength, sign=1, image=IMAGE):
    floats = jnp.asarray(image / np.float32(255))
    return np.asarray(run(floats, OPERATIONS.index(name), strength, sign)) * 255


def test_the_operations_are_the_paper_s_fourteen():
    assert sorted(OPERATIONS) == sorted(
        [
            *("identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize"),
            *("contrast", "brightness", "sharpness", "shear-x", "shear-y"),
            *("translate-x", "translate-y"),
        ]
    )


PIXELS = {
    "identity": lambda image: image,
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "solarize": lambda image: ImageOps.solarize(image, 256 * (1 - 0.7)),
    "posterize": lambda image: ImageOps.posterize(image, 5),
    "color": lambda image: ImageEnhance.Color(image).enhance(1.63),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.63),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.63),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.63),
}


@pytest.mark.parametrize("name", PIXELS)
def test_pixel_operations_at_magnitude_7_are_pil_s(name):
    expected = np.asarray(PIXELS[name](Image.fromarray(IMAGE)), np.float32)
    assert abs(apply(name, 0.7) - expected).max() < 1.35  # PIL truncates and rounds


@pytest.mark.parametrize("name", ["color", "contrast", "brightness", "sharpness"])
def test_the_sign_makes_enhancements_weaken(name):
    weaken = getattr(ImageEnhance, name.title())(Image.fromarray(IMAGE)).enhance(0.37)
    assert abs(apply(name, 0.7, sign=-1) - np.asarray(weaken, np.float32)).max() < 1.35


def affine_of_pil(matrix):
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )


PLACES = {
    "rotate": lambda image, t: image.rotate(30 * t, Image.Resampling.BILINEAR),
    "shear-x": lambda image, t: affine_of_pil((1, 0.3 * t, 0, 0, 1, 0))(image),
    "shear-y": lambda image, t: affine_of_pil((1, 0, 0, 0.3 * t, 1, 0))(image),
    "translate-x": lambda image, t: affine_of_pil((1, 0, -150 / 331 * t * 30, 0, 1, 0))(image),
    "translate-y": lambda image, t: affine_of_pil((1, 0, 0, 0, 1, -150 / 331 * t * 24))(image),
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", PLACES)
def test_place_operations_at_magnitude_7_are_pil_s_within_the_border(name, sign):
    # PIL does not blend the last pixel with the fill; so compare what a white plane says is inside.
    white = np.full_like(IMAGE, 255)
    inside = abs(apply(name, 0.7, sign, white) - 255).max(-1) < 1e-2
    moved = PLACES[name](Image.fromarray(IMAGE), 0.7 * sign)
    assert 0.5 < inside.mean() < 0.98
    assert abs(apply(name, 0.7, sign) - np.asarray(moved, np.float32))[inside].max() < 2


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in ("autocontrast", "equalize")])
def test_magnitude_0_changes_nothing(name):
    np.testing.assert_allclose(apply(name, 0.0), IMAGE, atol=1e-3)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_largest_magnitude_stays_a_picture(name):
    for sign in (1, -1):
        result = apply(name, 3.0, sign)
        assert result.min() >= -1e-3
        assert result.max() <= 255.001


def batch_of(size, channels=3):
    image = np.random.default_rng(1).random((size, 16, 16, channels), np.float32) * 0.8 + 0.1
    return {"image": jnp.asarray(np.round(image * 255) / 255)}


def augmented(batch, seed=0, **chosen):
    keys = jax.random.split(jax.random.key(seed), len(batch["image"]))
    return jax.jit(lambda batch, keys: rand_augment(batch, keys, **chosen)["image"])(batch, keys)


@pytest.mark.slow
def test_one_layer_draws_each_operation_and_sign_equally_often():
    size = 1400
    batch = batch_of(size)
    drawn = augmented(batch, layers=1, magnitude=6)
    every = jax.jit(jax.vmap(lambda image, n, s: operate(image, n, 0.6, s), (0, None, None)))
    counts = {}
    for sign in (1, -1):
        for index, name in enumerate(OPERATIONS):
            same = (abs(every(batch["image"], index, sign) - drawn) < 1e-5).all((1, 2, 3))
            counts[name, sign] = int(same.sum())
    for name in OPERATIONS:
        plus, minus = counts[name, 1], counts[name, -1]
        signed = name in PLACES or name in ("color", "contrast", "brightness", "sharpness")
        total = plus + minus if signed else plus
        # Expected 100 of each, 50 of each sign; 4 standard deviations.
        assert 60 <= total <= 140, (name, counts)
        assert not signed or min(plus, minus) >= 22, (name, counts)


def test_layers_follow_one_another_and_none_changes_nothing():
    batch = batch_of(20)
    np.testing.assert_array_equal(augmented(batch, layers=0), batch["image"])
    once, twice = (augmented(batch, layers=n) for n in (1, 2))
    # At most 1 in 14 draws identity, and few others meet what they cannot change.
    assert (abs(once - batch["image"]).max((1, 2, 3)) > 0.01).sum() >= 14
    assert (abs(once - twice).max((1, 2, 3)) > 0.01).sum() >= 14


def test_magnitudes_vary_only_if_asked():
    image = jnp.broadcast_to(jnp.linspace(0, 1, 16)[:, None, None], (1, 16, 16, 1))
    batch = {"image": jnp.broadcast_to(image, (300, 16, 16, 1))}

    def distinct(std):
        result = augmented(batch, layers=1, magnitude=5, magnitude_std=std)
        return len(np.unique(np.asarray(result).reshape(300, -1).round(5), axis=0))

    assert distinct(0.0) <= 2 * len(OPERATIONS)
    assert distinct(1.0) > 100


def test_gray_images_pass_and_four_channels_are_an_error():
    result = augmented(batch_of(30, channels=1), layers=1)
    assert result.shape == (30, 16, 16, 1)
    assert np.isfinite(result).all()
    with pytest.raises(UserError, match=r"rand_augment knows gray and RGB .* these have 4"):
        augmented(batch_of(30, channels=4))
