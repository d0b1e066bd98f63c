import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.standardize import normalize
from cnnlab.errors import UserError


def test_normalizing_by_the_data_s_own_moments_gives_mean_0_and_variance_1():
    image = np.random.default_rng(0).random((5, 6, 7, 3), np.float32)
    mean, std = image.mean((0, 1, 2)).tolist(), image.std((0, 1, 2)).tolist()
    result = jax.jit(lambda image: normalize({"image": image}, mean=mean, std=std)["image"])(image)
    np.testing.assert_allclose(result.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std((0, 1, 2)), 1, atol=1e-5)


def test_one_number_serves_all_channels():
    image = jnp.ones((1, 2, 2, 3)) * 0.75
    result = normalize({"image": image}, mean=(0.5,), std=(0.125,))["image"]
    np.testing.assert_array_equal(result, jnp.full((1, 2, 2, 3), 2.0))


def test_imagenet_numbers_on_gray_images_are_an_error_that_says_so():
    with pytest.raises(UserError, match=r"normalize.mean has 3 numbers for images of 1 channel"):
        normalize({"image": jnp.zeros((1, 2, 2, 1))})
    with pytest.raises(UserError, match=r"normalize.std has 2 numbers"):
        normalize({"image": jnp.zeros((1, 2, 2, 3))}, std=(1.0, 1.0))
