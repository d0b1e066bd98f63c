"""PCA color noise against its formula and the variances that it must have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment import augment
from cnnlab.data.augment.pca_noise import EIGENVALUES, EIGENVECTORS, pca_noise
from cnnlab.errors import UserError

COUNT = 4096


def shifts(std, seed=0):
    keys = jax.random.split(jax.random.key(seed), COUNT)
    images = jnp.full((COUNT, 1, 1, 3), 0.5)
    return np.asarray(pca_noise({"image": images}, keys, std=std)["image"][:, 0, 0] - 0.5)


def test_the_axes_are_orthonormal_and_the_first_is_brightness():
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


def test_it_comes_before_the_standardization():
    images, keys = jnp.zeros((2, 1, 1, 3)), jax.random.split(jax.random.key(3), 2)
    normalize = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    noise = augment({"image": images}, keys, pca_noise={"std": 0.1})["image"]
    both = augment({"image": images}, keys, normalize=normalize, pca_noise={"std": 0.1})["image"]
    np.testing.assert_allclose(both, (noise - 0.5) / 0.25, atol=1e-6)


def test_gray_images_are_refused():
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(UserError, match="pca_noise needs RGB images; these have 1"):
        pca_noise({"image": jnp.zeros((2, 4, 4, 1))}, keys)
