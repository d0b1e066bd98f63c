import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.affine import affine, backward_matrix, warp

STILL = {"degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "translate": 0.0}


def random_image(height, width, channels=1, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random((height, width, channels), np.float32))


@partial(jax.jit, static_argnames="fill")
def moved(image, fill=0.0, **values):
    return warp(image, backward_matrix(**values), fill=fill)


@pytest.mark.parametrize("shape", [(7, 10, 3), (32, 32, 1)])
def test_parameters_of_no_change_give_the_identical_image(shape):
    image = random_image(*shape)
    keys = jax.random.split(jax.random.key(0), 1)
    still = jax.jit(lambda batch, keys: affine(batch, keys, fill=0.3, **STILL))
    result = still({"image": image[None]}, keys)["image"][0]
    np.testing.assert_array_equal(result, image)


def test_the_identity_matrix_gives_the_identical_image():
    image = random_image(6, 9, 3)
    np.testing.assert_array_equal(jax.jit(warp)(image, jnp.eye(2, 3)), image)
    np.testing.assert_array_equal(backward_matrix(), np.eye(2, 3))


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_are_those_of_rot90(turns, size):
    image = random_image(size, size, 2)
    result = moved(image, degrees=90.0 * turns)
    np.testing.assert_allclose(result, np.rot90(image, turns), atol=1e-5)


@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, -3), (-1, 4)])
def test_whole_shifts_move_pixels_and_fill_what_comes_in(down, right):
    image = np.asarray(random_image(6, 8, 3))
    expected = np.full_like(image, 0.25)
    for y in range(6):
        for x in range(8):
            if 0 <= y - down < 6 and 0 <= x - right < 8:
                expected[y, x] = image[y - down, x - right]
    result = moved(jnp.asarray(image), fill=0.25, down=float(down), right=float(right))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def slow_warp(image, *, degrees, scale, shear, down, right, fill):
    """Each output pixel by the definition: matrices in (x, y), inverted by numpy; four corners."""
    height, width = image.shape[:2]
    a, k = math.radians(degrees), math.tan(math.radians(shear))
    rotate = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])  # y points down
    inverse = np.linalg.inv(rotate @ (scale * np.array([[1, k], [0, 1]])))
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            u, v = inverse @ (np.array([x, y]) - middle - (right, down)) + middle
            for row in (math.floor(v), math.floor(v) + 1):
                for column in (math.floor(u), math.floor(u) + 1):
                    weight = (1 - abs(v - row)) * (1 - abs(u - column))
                    inside = 0 <= row < height and 0 <= column < width
                    result[y, x] += weight * (image[row, column] if inside else fill)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_any_affine_map_is_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    image = random_image(9, 12, 2, seed)
    values = {
        "degrees": rng.uniform(-180, 180),
        "scale": rng.uniform(0.5, 2),
        "shear": rng.uniform(-30, 30),
        "down": rng.uniform(-3, 3),
        "right": rng.uniform(-3, 3),
    }
    result = moved(image, fill=0.5, **values)
    np.testing.assert_allclose(result, slow_warp(np.asarray(image), **values, fill=0.5), atol=2e-5)


def centroids(images):
    """Centroid (y, x) of each image about its middle."""
    height, width = images.shape[1:3]
    mass = images.sum((1, 2, 3))
    y = (images.sum((2, 3)) * (np.arange(height) - (height - 1) / 2)).sum(1) / mass
    x = (images.sum((1, 3)) * (np.arange(width) - (width - 1) / 2)).sum(1) / mass
    return y, x


def test_random_shifts_span_the_fraction_of_each_side():
    image = jnp.zeros((500, 41, 61, 1)).at[:, 20, 30].set(1)
    keys = jax.random.split(jax.random.key(0), 500)
    shift = jax.jit(lambda batch, keys: affine(batch, keys, **{**STILL, "translate": 0.2}))
    moved = shift({"image": image}, keys)["image"]
    for place, side in zip(centroids(np.asarray(moved)), (41, 61), strict=True):
        quantiles = np.quantile(place / side, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quantiles, [-0.2, -0.1, 0, 0.1, 0.2], atol=0.025)


def test_random_angles_and_scales_span_their_ranges():
    # A dot right of the middle: where it goes tells angle and scale.
    image = jnp.zeros((500, 41, 41, 1)).at[:, 20, 32].set(1)
    keys = jax.random.split(jax.random.key(0), 500)
    chosen = {**STILL, "degrees": 30, "scale": (0.8, 1.2)}
    turn = jax.jit(lambda batch, keys: affine(batch, keys, **chosen))
    y, x = centroids(np.asarray(turn({"image": image}, keys)["image"]))
    angle, factor = np.rad2deg(np.arctan2(-y, x)), np.hypot(y, x) / 12
    np.testing.assert_allclose(np.quantile(angle, [0, 0.5, 1]), [-30, 0, 30], atol=3)
    np.testing.assert_allclose(np.quantile(factor, [0, 0.5, 1]), [0.8, 1, 1.2], atol=0.035)
