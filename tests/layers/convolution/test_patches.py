"""Patches against plain slices; jitter and color dropping patch by patch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.patches import cut_patches, drop_colors, jitter_patches


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (3, 3), (5, 1), (2, 3)])
def test_patches_are_slices(size, stride):
    images = np.random.default_rng(0).normal(size=(2, 9, 11, 3)).astype(np.float32)
    patches = cut_patches(images, size, stride)
    assert patches.shape[1:3] == ((9 - size) // stride + 1, (11 - size) // stride + 1)
    for b, i, j in np.ndindex(patches.shape[:3]):
        top, left = i * stride, j * stride
        expected = images[b, top : top + size, left : left + size]
        np.testing.assert_array_equal(patches[b, i, j], expected)


def test_the_papers_grid():
    images = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    patches = jax.eval_shape(lambda x: cut_patches(x, 64, 32), images)
    assert patches.shape == (1, 7, 7, 64, 64, 3)


@pytest.fixture(scope="module")
def jittered():
    # Every pixel tells its row and column.
    rows, columns = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    patch = 1 + np.stack([rows, columns], axis=-1).astype(np.float32)
    patches = np.broadcast_to(patch, (40, 2, 3, 8, 8, 2))
    return jax.jit(jitter_patches, static_argnums=2)(patches, jax.random.key(0), 5)


def test_jitter_keeps_a_square_of_each_patch_in_the_middle_of_zeros(jittered):
    inside = np.array(jittered)[..., 1:6, 1:6, :]
    around = np.array(jittered)
    around[..., 1:6, 1:6, :] = 0
    assert not around.any()
    corner = inside[..., :1, :1, :]
    assert corner.min() == 1 and corner.max() == 4  # of 8 pixels 5 start at 0 to 3
    steps = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), axis=-1)
    np.testing.assert_array_equal(inside - corner, np.broadcast_to(steps, inside.shape))


def test_jitter_draws_a_place_for_each_patch_all_alike(jittered):
    corners = np.array(jittered)[..., 1, 1, :].reshape(-1, 2).astype(int)
    counts = np.zeros((5, 5))
    np.add.at(counts, tuple(corners.T), 1)
    counts = counts[1:, 1:]
    # 240 patches over 16 places: 15 each, standard deviation 3.75.
    assert counts.sum() == 240 and counts.min() > 2 and counts.max() < 30
    # Patches of one image differ from each other, and from those of the next image.
    assert len(np.unique(corners[:6], axis=0)) > 1
    assert np.any(corners[:6] != corners[6:12])


def test_a_crop_of_all_pixels_changes_nothing():
    patches = np.random.default_rng(0).normal(size=(2, 1, 2, 6, 6, 3)).astype(np.float32)
    kept = jitter_patches(jnp.asarray(patches), jax.random.key(0), 6)
    np.testing.assert_array_equal(kept, patches)


def test_of_each_patch_one_channel_stays():
    patches = 1 + np.random.default_rng(0).uniform(size=(20, 3, 3, 2, 2, 3)).astype(np.float32)
    dropped = np.array(drop_colors(jnp.asarray(patches), jax.random.key(0)))
    stays = dropped.any(axis=(3, 4))
    assert np.all(stays.sum(axis=-1) == 1)
    kept = np.broadcast_to(stays[:, :, :, None, None], patches.shape)
    np.testing.assert_array_equal(dropped[kept], patches[kept])
    # 60 of 180 each, standard deviation 6.3.
    assert np.all(abs(stays.sum(axis=(0, 1, 2)) - 60) < 30)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, _: cut_patches(x[:, 0, 0], 9, 1), "9 pixels need images as large, not 8x8"),
        (lambda x, _: cut_patches(x[:, 0, 0], 4, 0), "stride=0"),
        (lambda x, key: jitter_patches(x, key, 9), "crop=9 of 8"),
        (lambda x, key: jitter_patches(x, key, 0), "crop=0"),
    ],
)
def test_sizes_that_cannot_be_are_named(call, message):
    with pytest.raises(UserError, match=message):
        call(jnp.zeros((1, 2, 2, 8, 8, 3)), jax.random.key(0))
