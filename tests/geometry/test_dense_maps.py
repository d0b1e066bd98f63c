import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry import affine, dense_maps

VALUES = np.arange(1, 13).reshape(3, 4)


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_nearest_pixel_is_taken_and_outside_is_filled(xp):
    shift = xp.asarray(affine.scale_shift((1, 1), (1, -1)))
    moved = dense_maps.sample(xp.asarray(VALUES), shift, (3, 4), fill=99)
    np.testing.assert_array_equal(moved, [[99, 5, 6, 7], [99, 9, 10, 11], [99] * 4])


@pytest.mark.parametrize("xp", [np, jnp])
def test_halfway_between_two_pixels_the_later_is_taken(xp):
    shrink = xp.asarray(affine.scale_shift((1, 2), (0, 0)))
    moved = dense_maps.sample(xp.asarray(VALUES), shrink, (3, 2))
    np.testing.assert_array_equal(moved, VALUES[:, 1::2])


def test_other_axes_stay_before_and_behind():
    values = np.random.default_rng(0).random((2, 3, 4, 5))
    turn = affine.from_center(np.array([[-1.0, 0, 0], [0, -1, 0]]), (3, 4))
    moved = dense_maps.sample(values, turn, (3, 4), axis=1)
    np.testing.assert_array_equal(moved, values[:, ::-1, ::-1])


def test_vectors_of_a_field_are_mapped_with_it_and_further_channels_stay():
    field = np.broadcast_to([1.0, 2.0, 7.0], (3, 4, 3))
    mirror = np.array([[1.0, 0, 0], [0, -1, 4]])
    moved = dense_maps.sample_vectors(field, mirror, (3, 4))
    np.testing.assert_array_equal(moved, np.broadcast_to([1.0, -2.0, 7.0], (3, 4, 3)))
    larger = affine.scale_shift((1 / 2, 1 / 3), (0, 0))
    moved = dense_maps.sample_vectors(field, larger, (6, 12))
    np.testing.assert_allclose(moved, np.broadcast_to([2.0, 6.0, 7.0], (6, 12, 3)))
