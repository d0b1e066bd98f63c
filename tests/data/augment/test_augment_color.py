import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.data.augment import augment
from cnnlab.data.augment.color import (
    EIGENVALUES,
    EIGENVECTORS,
    color_jitter,
    grayscale,
    pca_noise,
    solarize,
)
from cnnlab.data.augment.image_ops import brightness, contrast, saturation
from cnnlab.errors import UserError

OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
SIZE = 300
KEYS = jax.random.split(jax.random.key(0), SIZE)


def jitter(image, **strengths):
    batch = {"image": jnp.broadcast_to(image, (SIZE, *image.shape))}
    run = jax.jit(lambda batch, keys: color_jitter(batch, keys, **{**OFF, **strengths}))
    return np.asarray(run(batch, KEYS)["image"])


def mild(channels=3):
    """Colors so far from black and white that no factor below clips them."""
    rng = np.random.default_rng(0)
    return jnp.asarray(0.4 + 0.2 * rng.random((6, 7, channels)), jnp.float32)


def ratio(jittered, image):
    """The factor by which each jittered image deviates from its own base, fitted."""
    return (jittered * image).sum((1, 2, 3)) / (image * image).sum()


def test_brightness_factors_are_uniform_about_1():
    factors = ratio(jitter(mild(), brightness=0.4), np.asarray(mild()))
    np.testing.assert_allclose(np.quantile(factors, [0, 0.5, 1]), [0.6, 1.0, 1.4], atol=0.06)
    assert factors.min() >= 0.6 - 1e-5
    assert factors.max() <= 1.4 + 1e-5


def test_factors_are_never_negative():
    factors = ratio(jitter(mild() / 4, brightness=3.0), np.asarray(mild() / 4))
    assert 0 <= factors.min() < 0.1


@pytest.mark.parametrize("name", ["contrast", "saturation"])
def test_contrast_and_saturation_alone_are_one_blend_each(name):
    image = mild()
    change = {"contrast": contrast, "saturation": saturation}[name]
    jittered, without = jitter(image, **{name: 0.4}), np.asarray(change(image, 0.0))
    quality = np.asarray(image) - without
    factors = ratio(jittered - without, quality)
    np.testing.assert_allclose(
        jittered, without + factors[:, None, None, None] * quality, atol=1e-5
    )
    np.testing.assert_allclose(np.quantile(factors, [0, 0.5, 1]), [0.6, 1.0, 1.4], atol=0.06)


def test_hue_turns_both_ways_as_far_as_asked_and_keeps_value_and_chroma():
    image = jnp.asarray([[[0.8, 0.2, 0.2]]])  # red, hue 0
    jittered = jitter(image, hue=0.1)[:, 0, 0]
    np.testing.assert_allclose(jittered.max(-1), 0.8, atol=1e-6)
    np.testing.assert_allclose(jittered.min(-1), 0.2, atol=1e-6)
    hue = (jittered[:, 1] - jittered[:, 2]) / 0.6 / 6
    np.testing.assert_allclose(np.quantile(hue, [0, 0.5, 1]), [-0.1, 0.0, 0.1], atol=0.012)


def test_all_orders_occur_equally_often():
    # Dark and bright at once, so that clipping distinguishes the orders.
    image = jnp.asarray([[[0.02, 0.1, 0.3], [0.9, 0.5, 1.0]], [[0.7, 0.95, 0.2], [0.0, 0.3, 0.99]]])
    strengths = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8}
    jittered = jitter(image, **strengths)
    # The factors are drawn alike whatever else is on; alone, each is read off an unclipped image.
    factors = []
    for name, change in zip(strengths, (brightness, contrast, saturation), strict=True):
        gentle = mild() if name == "brightness" else 0.5 + (mild() - 0.5) * 0.5
        gentle = gentle / 2 if name == "brightness" else gentle
        without = np.asarray(change(gentle, 0.0))
        factors.append(ratio(jitter(gentle, **{name: 0.8}) - without, np.asarray(gentle) - without))
    counts, unexplained = dict.fromkeys(itertools.permutations(range(3)), 0), 0
    explanations = {}
    for order in counts:

        def one(*values, order=order):
            result = image
            for number in order:
                result = (brightness, contrast, saturation)[number](result, values[number])
            return result

        explanations[order] = np.asarray(jax.vmap(one)(*map(jnp.asarray, factors)))
    for index in range(SIZE):
        errors = {o: abs(e[index] - jittered[index]).max() for o, e in explanations.items()}
        fitting = [o for o, error in errors.items() if error < 1e-4]
        unexplained += not fitting
        if len(fitting) == 1:
            counts[fitting[0]] += 1
    assert unexplained == 0
    explained = sum(counts.values())
    assert explained > 100
    assert min(counts.values()) > explained / 6 - 4 * (explained * 5 / 36) ** 0.5


def test_nothing_on_changes_nothing():
    np.testing.assert_array_equal(jitter(mild())[0], mild())


def test_jittered_gray_images_have_brightness_and_contrast_only():
    image = mild(channels=1)
    np.testing.assert_array_equal(jitter(image, saturation=0.4, hue=0.5)[7], image)
    both = jitter(image, brightness=0.4, contrast=0.4)
    np.testing.assert_array_equal(
        both, jitter(image, brightness=0.4, contrast=0.4, saturation=0.9, hue=0.5)
    )
    assert abs(both - np.asarray(image)).max() > 0.1


def test_color_jitter_refuses_four_channels():
    with pytest.raises(UserError, match="color_jitter knows gray and RGB"):
        color_jitter({"image": jnp.zeros((1, 2, 2, 4))}, KEYS[:1])


def test_some_images_stay_and_the_others_are_jittered_as_if_all_were():
    strengths = {"brightness": 0.4, "saturation": 0.4}
    always, often = jitter(mild(), **strengths), jitter(mild(), **strengths, probability=0.8)
    stayed = (often == np.asarray(mild())).all((1, 2, 3))
    np.testing.assert_allclose(often[~stayed], always[~stayed], atol=1e-6)
    assert abs(stayed.mean() - 0.2) < 4 * (0.16 / SIZE) ** 0.5
    # Whether one stays has nothing to do with how far it would have been changed.
    factors = ratio(always, np.asarray(mild()))
    assert abs(np.corrcoef(stayed, factors)[0, 1]) < 4 / SIZE**0.5


MANY_KEYS = jax.random.split(jax.random.key(0), 1000)
to_gray = jax.jit(
    lambda images, keys, probability: grayscale(
        {"image": images, "label": 3}, keys, probability=probability
    )["image"],
    static_argnums=2,
)


def test_all_three_channels_have_pil_s_luma():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    result = np.asarray(to_gray(pixels[None] / np.float32(255), MANY_KEYS[:1], 1.0))[0] * 255
    assert abs(result - luma[..., None]).max() <= 0.51  # PIL rounds to whole levels
    assert (result == result[..., :1]).all()


def test_one_in_five_turns_gray_and_the_others_stay():
    images = jnp.broadcast_to(jnp.array([0.9, 0.1, 0.4]), (1000, 1, 1, 3))
    result = np.asarray(to_gray(images, MANY_KEYS, 0.2))
    gray = (result[..., 0] == result[..., 1]).ravel()
    assert abs(gray.mean() - 0.2) < 4 * (0.16 / 1000) ** 0.5
    np.testing.assert_array_equal(result[~gray], images[~gray])


def test_grayscale_leaves_gray_images_and_refuses_four_channels():
    image = jnp.linspace(0, 1, 12).reshape(1, 3, 4, 1)
    np.testing.assert_array_equal(
        grayscale({"image": image}, MANY_KEYS[:1], probability=1)["image"], image
    )
    with pytest.raises(UserError, match="grayscale knows gray and RGB"):
        grayscale({"image": jnp.zeros((1, 2, 2, 4))}, MANY_KEYS[:1])


def solarized(images, keys=MANY_KEYS, **chosen):
    return np.asarray(
        jax.jit(lambda i, k: solarize({"image": i}, k, **chosen)["image"])(images, keys)
    )


def test_solarized_levels_are_pil_s():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.asarray(ImageOps.solarize(Image.fromarray(pixels), 128), np.float32)
    result = solarized(pixels[None, ..., None] / np.float32(255), MANY_KEYS[:1], probability=1)[
        0, ..., 0
    ]
    np.testing.assert_allclose(result * 255, expected, atol=1e-4)


def test_the_threshold_itself_is_inverted():
    images = jnp.array([0.0, 0.25, 0.249, 1.0]).reshape(1, 1, 4, 1)
    result = solarized(images, MANY_KEYS[:1], probability=1, threshold=0.25)
    np.testing.assert_allclose(result.ravel(), [0.0, 0.75, 0.249, 0.0], atol=1e-7)


def test_one_in_five_is_solarized_and_the_others_stay():
    result = solarized(jnp.full((1000, 1, 1, 3), 0.9))
    changed = (result < 0.5).all((1, 2, 3))
    assert abs(changed.mean() - 0.2) < 4 * (0.16 / 1000) ** 0.5
    assert (result[~changed] == np.float32(0.9)).all()


DRAWS = 4096


def shifts(std, seed=0):
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    images = jnp.full((DRAWS, 1, 1, 3), 0.5)
    return np.asarray(pca_noise({"image": images}, keys, std=std)["image"][:, 0, 0] - 0.5)


def test_the_axes_of_pca_noise_are_orthonormal_and_the_first_is_brightness():
    np.testing.assert_allclose(EIGENVECTORS.T @ EIGENVECTORS, np.eye(3), atol=2e-4)
    gray = np.ones(3) / np.sqrt(3)
    assert abs(EIGENVECTORS[:, 0] @ gray) > 0.9999
    # ImageNet's pixels have a standard deviation of 0.28 in each channel.
    assert (EIGENVALUES.sum() / 3) ** 0.5 == pytest.approx(0.2833, abs=1e-4)


def test_along_each_axis_the_shift_is_normal_with_std_times_the_eigenvalue():
    along = shifts(0.1) @ EIGENVECTORS
    spread = 0.1 * EIGENVALUES
    # Over 4,096 draws means scatter by 1/64 of the spread, standard deviations by 1/90 of it.
    assert (np.abs(along.mean(0)) < 4 / 64 * spread).all()
    np.testing.assert_allclose(along.std(0), spread, rtol=4 / 90)
    covariance = np.corrcoef(along.T)
    np.testing.assert_allclose(covariance, np.eye(3), atol=4 / 64)
    fourth = ((along / along.std(0)) ** 4).mean(0)
    np.testing.assert_allclose(fourth, 3, atol=4 * np.sqrt(96) / 64)


def test_the_shift_is_proportional_to_std():
    np.testing.assert_allclose(shifts(0.2), 2 * shifts(0.1), atol=1e-6)
    np.testing.assert_array_equal(shifts(0.0), 0)


def test_all_pixels_of_an_image_shift_alike_and_images_by_their_own_key():
    images = jax.random.uniform(jax.random.key(1), (3, 5, 4, 3))
    keys = jax.random.split(jax.random.key(2), 3)
    shift = np.asarray(pca_noise({"image": images}, keys)["image"] - images)
    np.testing.assert_allclose(shift, shift[:, :1, :1].repeat(5, 1).repeat(4, 2), atol=1e-6)
    assert (np.abs(np.diff(shift[:, 0, 0], axis=0)).max(-1) > 1e-4).all()
    other = pca_noise({"image": images[1:]}, keys[1:])["image"] - images[1:]
    np.testing.assert_allclose(other, shift[1:], atol=1e-6)


def test_pca_noise_comes_before_the_standardization():
    images, keys = jnp.zeros((2, 1, 1, 3)), jax.random.split(jax.random.key(3), 2)
    normalize = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    noise = augment({"image": images}, keys, pca_noise={"std": 0.1})["image"]
    both = augment({"image": images}, keys, normalize=normalize, pca_noise={"std": 0.1})["image"]
    np.testing.assert_allclose(both, (noise - 0.5) / 0.25, atol=1e-6)


def test_pca_noise_refuses_gray_images():
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(UserError, match="pca_noise needs RGB images; these have 1"):
        pca_noise({"image": jnp.zeros((2, 4, 4, 1))}, keys)
