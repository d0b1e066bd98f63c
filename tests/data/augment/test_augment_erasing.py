import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.erasing import random_erasing

SIZE = 400
KEYS = jax.random.split(jax.random.key(0), SIZE)
IMAGE = np.random.default_rng(0).random((60, 48, 3), np.float32) + 3


def erase(**chosen):
    batch = {"image": jnp.broadcast_to(IMAGE, (SIZE, *IMAGE.shape))}
    run = jax.jit(lambda batch, keys: random_erasing(batch, keys, **chosen))
    return np.asarray(run(batch, KEYS)["image"])


@pytest.mark.parametrize("fill", ["zero", "noise"])
def test_one_rectangle_is_overwritten_and_the_rest_stays(fill):
    erased = erase(probability=1, fill=fill)
    changed = (erased != IMAGE).all(-1)
    np.testing.assert_array_equal(changed, (erased != IMAGE).any(-1))
    fractions = []
    for mask in changed:
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert mask.sum() == height * width
        fractions.append(mask.mean())
    assert 0.015 < min(fractions) < 0.03
    assert 0.31 < max(fractions) < 0.345
    assert abs(np.mean(fractions) - 0.175) < 0.02
    values = erased[changed]
    if fill == "zero":
        assert (values == 0).all()
    else:
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1) < 0.02


@pytest.mark.parametrize("probability", [0, 0.25, 1])
def test_the_probability_is_that_of_erasing(probability):
    number = (erase(probability=probability) == 0).any((1, 2, 3)).sum()
    spread = 4 * (SIZE * probability * (1 - probability)) ** 0.5
    assert abs(number - SIZE * probability) <= spread


def test_rectangles_that_cannot_fit_erase_nothing():
    erased = erase(probability=1, scale=(1, 1), ratio=(1, 1))
    np.testing.assert_array_equal(erased[0], IMAGE)


def test_boxes_stay_since_no_pixel_moves():
    batch = {"image": jnp.asarray(IMAGE[None]), "boxes": jnp.ones((1, 2, 4))}
    result = jax.jit(random_erasing)(batch, KEYS[:1])
    np.testing.assert_array_equal(result["boxes"], batch["boxes"])
