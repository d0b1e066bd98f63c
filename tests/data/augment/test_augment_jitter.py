import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.color import color_jitter
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
    # Dark and bright at once, so that clipping tells the orders apart: which one explains a result?
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
    told = sum(counts.values())
    assert told > 100
    assert min(counts.values()) > told / 6 - 4 * (told * 5 / 36) ** 0.5


def test_nothing_on_changes_nothing():
    np.testing.assert_array_equal(jitter(mild())[0], mild())


def test_gray_images_have_brightness_and_contrast_only():
    image = mild(channels=1)
    np.testing.assert_array_equal(jitter(image, saturation=0.4, hue=0.5)[7], image)
    both = jitter(image, brightness=0.4, contrast=0.4)
    np.testing.assert_array_equal(
        both, jitter(image, brightness=0.4, contrast=0.4, saturation=0.9, hue=0.5)
    )
    assert abs(both - np.asarray(image)).max() > 0.1


def test_four_channels_are_an_error():
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
