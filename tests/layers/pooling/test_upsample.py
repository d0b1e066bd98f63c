"""Bilinear upsampling: the tents, straight lines, and interpolation in the interior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.transposed import ConvTranspose
from cnnlab.layers.pooling.upsample import BilinearUpsampling, bilinear, bilinear_kernel


@pytest.mark.parametrize("f", [1, 2, 3, 4, 8, 32])
def test_the_kernel_is_the_papers(f):
    k = 2 * f - f % 2
    c = (2 * f - 1 - f % 2) / (2 * f)
    tent = [1 - abs(u / f - c) for u in range(k)]
    np.testing.assert_allclose(bilinear_kernel(k, k), np.outer(tent, tent), rtol=1e-12)


def test_a_factor_of_two_weighs_quarters():
    np.testing.assert_array_equal(bilinear_kernel(4), [0.25, 0.75, 0.75, 0.25])
    np.testing.assert_array_equal(bilinear_kernel(3), [0.5, 1, 0.5])


@pytest.mark.parametrize("f", [2, 3, 4, 5])
def test_a_ramp_stays_a_ramp_in_the_interior(f):
    rows, columns = np.mgrid[:5, :6]
    ramp = jnp.asarray(2.0 * rows - 3.0 * columns + 1)[..., None]
    y = BilinearUpsampling(f).apply({}, ramp)[..., 0]
    centers = lambda n: (np.arange(f * n) + 0.5) / f - 0.5  # noqa: E731
    expected = 2 * centers(5)[:, None] - 3 * centers(6)[None] + 1
    np.testing.assert_allclose(y[f:-f, f:-f], expected[f:-f, f:-f], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, (4, 1), (2, 5)])
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.sample(3)
def test_the_interior_is_that_of_image_resize(factor, trainable):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 3)), jnp.float32)
    y, _ = BilinearUpsampling(factor, trainable=trainable).init_with_output(jax.random.key(0), x)
    expected = jax.image.resize(x, y.shape, "bilinear")
    high, wide = (factor, factor) if isinstance(factor, int) else factor
    assert y.shape == (2, 5 * high, 6 * wide, 3)
    inside = (slice(None), slice(high, -high), slice(wide, -wide))
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-4, atol=1e-5)


def test_outside_are_zeros():
    y = BilinearUpsampling(2).apply({}, jnp.ones((3, 3, 1)))[..., 0]
    np.testing.assert_array_equal(y[0], [0.5625, 0.75, 0.75, 0.75, 0.75, 0.5625])


@pytest.mark.parametrize("convention", ["adjoint", "flax"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_as_an_initializer_it_keeps_channels_apart_in_any_grouping(groups, convention):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 4)), jnp.float32)
    y, _ = ConvTranspose(
        4, (4, 4), stride=2, groups=groups, convention=convention, kernel_init=bilinear
    ).init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(y, BilinearUpsampling(2).apply({}, x), rtol=1e-5, atol=1e-5)


def test_only_a_trainable_one_has_parameters():
    x = jnp.zeros((1, 3, 3, 2))
    assert not BilinearUpsampling().init(jax.random.key(0), x)
    params = BilinearUpsampling(trainable=True).init(jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, params) == {"kernel": (4, 4, 2, 2)}


def test_the_type_is_kept_or_the_one_asked_for():
    x = jnp.zeros((1, 3, 3, 2), jnp.bfloat16)
    assert BilinearUpsampling().apply({}, x).dtype == jnp.bfloat16
    assert BilinearUpsampling(dtype=jnp.float32).apply({}, x).dtype == jnp.float32


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="as many features as channels"):
        bilinear(None, (4, 4, 2, 3))
    with pytest.raises(UserError, match="as many features as channels"):
        bilinear(None, (4, 4))
    with pytest.raises(UserError, match="factor=0"):
        BilinearUpsampling(0).apply({}, jnp.zeros((3, 3, 1)))
