"""Windows of pooling: what they reach, and which value of the input each of them sees."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.pooling.windows import windows_of


def test_windows_reach_over_the_end_or_stop_before_it():
    x = jnp.zeros((1, 8, 8, 1))
    assert windows_of(x, 3, 2, layer="l").reach == ((0, -1), (0, -1))
    assert windows_of(x, 3, 2, ceil_mode=True, layer="l").reach == ((0, 1), (0, 1))
    assert windows_of(x, 3, 2, 1, layer="l").reach == ((1, 0), (1, 0))


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_places_and_sources_tell_of_the_same_values(ceil_mode):
    x = jnp.arange(1, 57).reshape(1, 7, 8, 1)
    windows = windows_of(x, (3, 2), 2, 1, dilation=(1, 2), ceil_mode=ceil_mode, layer="l")
    fitted = windows.fit(x, 0)
    for tap, place in zip(np.ndindex(3, 2), windows.places(), strict=True):
        at, inside = windows.sources(tap)
        seen = np.where(inside, np.arange(1, 57)[np.clip(at, 0, 55)], 0)
        np.testing.assert_array_equal(fitted[place][0], seen)


def test_the_inner_part_of_a_fitted_array_is_the_input():
    x = jnp.arange(49).reshape(1, 7, 7, 1)
    windows = windows_of(x, 3, 2, 1, layer="l")
    np.testing.assert_array_equal(windows.inner(windows.fit(x, -1)), x)
    unseen = windows_of(x, 2, 2, layer="l")
    np.testing.assert_array_equal(
        unseen.inner(unseen.fit(x, -1)), x.at[:, 6].set(0).at[:, :, 6].set(0)
    )
