"""Looking tap by tap and putting back are each other's adjoints."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.taps import each, look, put_back, window_of
from cnnlab.layers.convolution.windows import windows

OVER = windows((6, 9), (2, 3), stride=(1, 3), padding="VALID", dilation=(2, 1), layer="test")


def test_a_tap_sees_every_stride_from_its_place_on():
    x = jnp.arange(54.0).reshape(6, 9, 1)
    np.testing.assert_array_equal(look(x, (1, 2), OVER), x[2:, 2::3])
    assert list(each(OVER)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_putting_back_is_the_adjoint_of_looking():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(-5, 6, (2, 6, 9, 3)), jnp.float32)
    parts = {t: jnp.asarray(rng.integers(-5, 6, (2, 4, 3, 3)), jnp.float32) for t in each(OVER)}
    seen = sum(jnp.vdot(look(x, tap, OVER), part) for tap, part in parts.items())
    assert float(seen) == float(jnp.vdot(x, put_back(parts, (6, 9), OVER)))


def test_one_number_does_not_say_over_how_many_axes():
    assert window_of([3, 2], "Layer") == (3, 2)
    with pytest.raises(UserError, match="Layer: kernel_size=3 needs a number for each axis"):
        window_of(3, "Layer")
