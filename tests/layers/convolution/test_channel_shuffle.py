"""Channel shuffle is a transposition, and lets groups see each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.channel_shuffle import ChannelShuffle, channel_shuffle
from cnnlab.layers.convolution.conv import Conv, conv


def test_channels_are_dealt_one_to_each_new_group():
    x = jnp.arange(12).reshape(2, 6)
    np.testing.assert_array_equal(channel_shuffle(x, 3)[0], [0, 2, 4, 1, 3, 5])
    np.testing.assert_array_equal(ChannelShuffle(3).apply({}, x)[1], [6, 8, 10, 7, 9, 11])


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 6, 12])
def test_as_many_groups_as_were_in_each_take_it_back(groups):
    x = jnp.arange(72).reshape(2, 3, 12)
    there_and_back = jax.jit(lambda x: channel_shuffle(channel_shuffle(x, groups), 12 // groups))
    np.testing.assert_array_equal(there_and_back(x), x)


@pytest.mark.parametrize("shuffled", [False, True])
def test_after_a_shuffle_every_output_sees_every_group(shuffled):
    kernels = jax.random.normal(jax.random.key(1), (2, 1, 4, 12))

    def two_layers(x):
        x = conv(x[None], kernels[0], groups=3)
        x = channel_shuffle(x, 3) if shuffled else x
        return conv(x, kernels[1], groups=3)[0]

    sees = np.abs(jax.jit(jax.jacobian(two_layers))(jnp.ones(12))) > 0
    by_group = sees.reshape(3, 4, 3, 4).any((1, 3))
    np.testing.assert_array_equal(by_group, np.full((3, 3), True) if shuffled else np.eye(3) > 0)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_divide_the_weights(groups):
    init = Conv(12, (3, 3), groups=groups).init
    params = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 4, 4, 8)))["params"]
    assert params["kernel"].size == 9 * 8 * 12 // groups


@pytest.mark.parametrize("groups", [0, -1, 5])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(UserError, match=f"groups={groups} must divide 6 channels"):
        channel_shuffle(jnp.zeros((2, 6)), groups)
