"""Features of regions by plain loops, in both conventions, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.roi_align import roi_align, roi_pool

HEIGHT, WIDTH, CHANNELS = 7, 9, 3


def features(seed=0):
    shape = (HEIGHT, WIDTH, CHANNELS)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def boxes(count=30, seed=1):
    """Regions in and around a picture of twice the size of the map."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-6, 16, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(0, 14, (count, 2))], axis=1)
    boxes[0] = [0, 0, 2 * HEIGHT, 2 * WIDTH]
    return boxes.astype(np.float32)


def read(x, y, place):
    """The rule of the compiled kernels: 0 beyond a pixel outside, then clamped, then bilinear."""
    if not (-1 <= y <= HEIGHT and -1 <= place <= WIDTH):
        return np.zeros(CHANNELS)
    y, place = np.clip(y, 0, HEIGHT - 1), np.clip(place, 0, WIDTH - 1)
    i, j = int(y), int(place)
    total = 0
    for a, p in ((i, 1 - (y - i)), (min(i + 1, HEIGHT - 1), y - i)):
        for b, q in ((j, 1 - (place - j)), (min(j + 1, WIDTH - 1), place - j)):
            total = total + p * q * x[a, b]
    return total


def align_by_hand(x, box, size, sampling, aligned, scale):
    y0, x0, y1, x1 = box * scale - (0.5 if aligned else 0)
    height, width = y1 - y0, x1 - x0
    if not aligned:
        height, width = max(height, 1), max(width, 1)
    out = np.zeros((*size, CHANNELS))
    # By the size of the region as far as the map would need, where `sampling` is 0.
    down = sampling or min(int(np.ceil(height / size[0])), -(-HEIGHT // size[0]))
    across = sampling or min(int(np.ceil(width / size[1])), -(-WIDTH // size[1]))
    for p, q in np.ndindex(*size):
        for i, j in np.ndindex(down, across):
            y = y0 + height * (p + (i + 0.5) / down) / size[0]
            place = x0 + width * (q + (j + 0.5) / across) / size[1]
            out[p, q] += read(x, y, place) / (down * across)
    return out


@pytest.mark.parametrize("method", ["einsum", "gather"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "sampling"), [((2, 3), 2), ((1, 1), 3), ((2, 3), 0)])
@pytest.mark.sample(4)
def test_align_equals_plain_loops(method, aligned, size, sampling):
    x, regions = features(), boxes()
    arguments = {"sampling": sampling, "aligned": aligned}
    got = roi_align(jnp.asarray(x), regions, size, scale=0.5, method=method, **arguments)
    for box, found in zip(regions, got, strict=True):
        expected = align_by_hand(x, box, size, sampling, aligned, 0.5)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("method", ["einsum", "gather"])
def test_where_its_size_counts_a_region_has_at_most_so_many_points_and_none_if_it_is_empty(method):
    regions = np.array([[0.0, 0, HEIGHT, WIDTH], [3, 3, 3, 3]])
    pool = lambda x, **given: roi_align(x, regions, (2, 3), method=method, **given)  # noqa: E731
    capped, two, wide = jax.jit(
        lambda x: (
            pool(x, sampling=0, most=2),
            pool(x, sampling=2),
            pool(x, sampling=0, aligned=False),
        )
    )(features())
    np.testing.assert_allclose(capped[0], two[0], atol=1e-6)
    # Where corners are not aligned, a side is a pixel at least.
    assert not capped[1].any() and wide[1].all()


def pool_by_hand(x, box, size, scale):
    y0, x0, y1, x1 = (int(np.sign(v) * np.floor(abs(v) + 0.5)) for v in box * scale)
    height, width = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
    out = np.zeros((*size, CHANNELS), np.float32)
    for p, q in np.ndindex(*size):
        top, bottom = p * height // size[0] + y0, -(-(p + 1) * height // size[0]) + y0
        left, right = q * width // size[1] + x0, -(-(q + 1) * width // size[1]) + x0
        rows = slice(int(np.clip(top, 0, HEIGHT)), int(np.clip(bottom, 0, HEIGHT)))
        columns = slice(int(np.clip(left, 0, WIDTH)), int(np.clip(right, 0, WIDTH)))
        cut = x[rows, columns]
        if cut.size:
            out[p, q] = cut.max((0, 1))
    return out


@pytest.mark.parametrize("size", [(2, 3), (1, 1), (4, 4)])
def test_pool_equals_plain_loops(size):
    x, regions = features(), boxes()
    got = roi_pool(jnp.asarray(x), regions, size, scale=0.5)
    for box, found in zip(regions, got, strict=True):
        np.testing.assert_array_equal(found, pool_by_hand(x, box, size, 0.5))


@pytest.mark.parametrize("method", ["einsum", "gather"])
def test_gradients_of_align_are_finite_differences(method):
    with jax.enable_x64(True):
        x, regions = jnp.asarray(features(), jnp.float64), boxes(4)
        weights = np.random.default_rng(3).normal(size=(4, 2, 2, CHANNELS))

        def total(x):
            return (roi_align(x, regions, (2, 2), scale=0.5, method=method) * weights).sum()

        slope = jax.grad(total)(x)
        direction = np.random.default_rng(4).normal(size=x.shape)
        # Linear in the features.
        expected = (total(x + direction) - total(x - direction)) / 2
        np.testing.assert_allclose((slope * direction).sum(), expected, rtol=1e-6)


def test_the_gradient_of_pooling_goes_to_the_largest_pixel():
    x = jnp.asarray(features())
    slope = jax.grad(lambda x: roi_pool(x, np.array([[0.0, 0, 3, 3]]), (1, 1))[..., 0].sum())(x)
    place = np.unravel_index(np.argmax(x[:4, :4, 0]), (4, 4))
    expected = np.zeros(x.shape)
    expected[(*place, 0)] = 1
    np.testing.assert_array_equal(slope, expected)


def test_both_methods_are_the_same_under_vmap():
    maps = jnp.stack([features(0), features(5)])
    regions = jnp.stack([boxes(6), boxes(6, 2)])
    one, other = (
        jax.jit(jax.vmap(lambda x, b, m=method: roi_align(x, b, (3, 3), scale=0.5, method=m)))(
            maps, regions
        )
        for method in ("einsum", "gather")
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
