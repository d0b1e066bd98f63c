"""Effective receptive fields: Gaussian, like the root of the depth, exponential with dilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.analysis import effective_receptive_field as erf
from cnnlab.errors import UserError

KEY = jax.random.key(0)
# One size for all stacks, so that each convolution is compiled once.
SIZE = 41


def stack(dilations, **options):
    options = {"kernel": 3, **options}
    channels = options.get("channels", 1)
    function = erf.stacked(dilations, KEY, **options)
    return erf.effective_receptive_field(function, (SIZE, SIZE, channels), KEY, samples=2)


def by_convolving(dilations, kernel):
    """The map of uniform kernels: boxes convolved with each other."""
    line = np.ones(1)
    for d in dilations:
        box = np.zeros(d * (kernel - 1) + 1)
        box[::d] = 1 / kernel
        line = np.convolve(line, box)
    around = (SIZE - len(line)) // 2
    line = np.pad(line, around)
    return np.outer(line, line)


@pytest.mark.parametrize(
    ("dilations", "kernel"), [((1,), 3), ((1,) * 6, 3), ((1, 2, 4), 3), ((1, 3), 5)], ids=str
)
def test_map_of_uniform_kernels_is_boxes_convolved(dilations, kernel):
    found = stack(dilations, kernel=kernel)
    np.testing.assert_allclose(found, by_convolving(dilations, kernel), atol=1e-7)
    sigma = erf.gaussian_deviation(dilations, kernel)
    np.testing.assert_allclose(erf.deviation(found), (sigma, sigma), rtol=1e-5)
    seen = np.flatnonzero(found[SIZE // 2])
    assert seen[-1] - seen[0] + 1 == erf.theoretical(dilations, kernel)


def test_plain_stacks_grow_like_the_root_of_the_depth():
    depths = (1, 4, 16)
    maps = [stack((1,) * n) for n in depths]
    found = [erf.deviation(field)[0] for field in maps]
    np.testing.assert_allclose(np.divide(found, np.sqrt(depths)), np.sqrt(2 / 3), rtol=1e-5)
    # The share of the theoretical field that matters shrinks.
    shares = [
        erf.width(field) / erf.theoretical((1,) * n) for field, n in zip(maps, depths, strict=True)
    ]
    assert shares[0] == 1
    assert shares[1] > shares[2]
    assert shares[2] < 0.5


def test_dilated_stacks_grow_exponentially():
    found = [erf.deviation(stack((1, 2, 4, 8)[:n]))[0] for n in (1, 2, 3, 4)]
    # Variances 2/3 (4^n - 1) / 3: ratios of deviations fall to 2 from above.
    variances = [2 / 3 * (4**n - 1) / 3 for n in (1, 2, 3, 4)]
    np.testing.assert_allclose(np.square(found), variances, rtol=1e-5)
    ratios = np.divide(found[1:], found[:-1])
    assert (ratios > 2).all()


def test_random_weights_and_relu_stay_far_below_the_theoretical_field():
    depth = 12
    field = stack((1,) * depth, weights="random", activation=jax.nn.relu, channels=4)
    assert field.sum() == pytest.approx(1)
    assert 4 < erf.width(field) < 0.75 * erf.theoretical((1,) * depth)
    # Nothing is seen outside of what can be.
    outside = SIZE // 2 - depth
    assert not field[:outside].any()
    assert not field[:, -outside:].any()


def test_map_is_the_mean_absolute_gradient_of_the_middle_unit():
    weights = jnp.array([[1.0, -2.0], [3.0, 4.0]])

    def function(images):
        # The unit in the middle of 4 x 4 is (2, 2); its two channels see two pixels.
        shifted = jnp.roll(images[..., 0], 1, axis=2)
        return jnp.stack([weights[0, 1] * images[..., 0] ** 2, weights[1, 0] * shifted], axis=-1)

    field = erf.effective_receptive_field(function, (4, 4, 1), KEY, samples=3)
    images = np.asarray(jax.random.normal(KEY, (3, 4, 4, 1)))
    expected = np.zeros((4, 4))
    expected[2, 2] = np.abs(2 * -2 * images[:, 2, 2, 0]).mean()
    expected[2, 1] = 3
    np.testing.assert_allclose(field, expected / expected.sum(), rtol=1e-5)


def test_width_counts_pixels_above_a_share_of_the_largest():
    field = np.zeros((9, 9))
    field[2:6, 3:7] = 0.046
    field[4, 4] = 1
    field[0, 0] = 0.045
    assert erf.width(field) == 4
    assert erf.width(field, share=0.5) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: erf.effective_receptive_field(lambda x: x.mean((1, 2)), (4, 4, 1), KEY),
            r"must become feature maps \[b h w c\], not \(8, 1\)",
        ),
        (
            lambda: erf.effective_receptive_field(lambda x: (x, {}), (4, 4, 1), KEY),
            "must become feature maps",
        ),
        (
            lambda: erf.effective_receptive_field(lambda x: 0 * x, (4, 4, 1), KEY),
            r"the unit \(2, 2\) of \(8, 4, 4, 1\) does not depend",
        ),
        (lambda: erf.stacked((1,), KEY, weights="ones"), "'ones' is none of uniform, random"),
    ],
)
def test_what_has_no_field_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
