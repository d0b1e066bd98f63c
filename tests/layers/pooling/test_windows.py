"""Windows of pooling: the padding that fits them exactly, and which value each tap reads."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.pooling.windows import windows_of


def test_windows_hang_over_the_end_or_stop_before_it():
    x = jnp.zeros((1, 8, 8, 1))
    assert windows_of(x, 3, 2, layer="l").exact_pads == ((0, -1), (0, -1))
    assert windows_of(x, 3, 2, ceil_mode=True, layer="l").exact_pads == ((0, 1), (0, 1))
    assert windows_of(x, 3, 2, 1, layer="l").exact_pads == ((1, 0), (1, 0))


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_gathered_taps_are_the_values_that_sources_name(ceil_mode):
    x = jnp.arange(1, 57).reshape(1, 7, 8, 1)
    windows = windows_of(x, (3, 2), 2, 1, dilation=(1, 2), ceil_mode=ceil_mode, layer="l")
    fitted = windows.fit(x, 0)
    for tap in windows.tap_indices():
        at, inside = windows.sources(tap)
        named = np.where(inside, np.arange(1, 57)[np.clip(at, 0, 55)], 0)
        np.testing.assert_array_equal(windows.gather_tap(fitted, tap)[0], named)


def test_unfit_returns_the_input_where_a_window_reads_it():
    x = jnp.arange(49).reshape(1, 7, 7, 1)
    windows = windows_of(x, 3, 2, 1, layer="l")
    np.testing.assert_array_equal(windows.unfit(windows.fit(x, -1)), x)
    unread = windows_of(x, 2, 2, layer="l")
    np.testing.assert_array_equal(
        unread.unfit(unread.fit(x, -1)), x.at[:, 6].set(0).at[:, :, 6].set(0)
    )
