import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.mixing import cutmix, mixup
from cnnlab.errors import UserError

SIZE, HEIGHT, WIDTH = 6, 20, 30
RNG = np.random.default_rng(0)
BATCH = {
    "image": jnp.asarray(RNG.random((SIZE, HEIGHT, WIDTH, 3), np.float32)),
    "label": jnp.arange(SIZE) * 10,
}
PARTNER = np.roll(BATCH["image"], -1, axis=0)


def keys_of(seed, size=SIZE):
    return jax.random.split(jax.random.key(seed), size)


def check_labels(result, per_example):
    """Labels stay, the partner's are added, and weights: one for all or one each."""
    np.testing.assert_array_equal(result["label"], BATCH["label"])
    np.testing.assert_array_equal(result["label_mixed"], [10, 20, 30, 40, 50, 0])
    assert result["label_weight"].dtype == jnp.float32
    assert len(np.unique(result["label_weight"])) == (SIZE if per_example else 1)


@pytest.mark.parametrize("per_example", [False, True])
def test_mixup_weighs_pixels_as_it_weighs_labels(per_example):
    result = jax.jit(lambda k: mixup(BATCH, k, alpha=1.0, per_example=per_example))(keys_of(1))
    check_labels(result, per_example)
    weight = np.asarray(result["label_weight"])[:, None, None, None]
    expected = weight * np.asarray(BATCH["image"]) + (1 - weight) * PARTNER
    np.testing.assert_allclose(result["image"], expected, atol=1e-6)


@pytest.mark.parametrize("per_example", [False, True])
def test_cutmix_pastes_one_rectangle_and_its_weight_is_the_area_kept(per_example):
    run = jax.jit(lambda keys: cutmix(BATCH, keys, per_example=per_example))
    own = np.asarray(BATCH["image"])
    for seed in range(8):
        result = run(keys_of(seed))
        check_labels(result, per_example)
        image = np.asarray(result["image"])
        pasted = (image == PARTNER).all(-1)
        np.testing.assert_array_equal(image, np.where(pasted[..., None], PARTNER, own))
        np.testing.assert_allclose(result["label_weight"], 1 - pasted.mean((1, 2)), atol=1e-6)
        for mask in pasted:
            rows, columns = mask.any(1), mask.any(0)
            np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
            assert (np.diff(np.nonzero(rows)[0]) == 1).all()
            assert (np.diff(np.nonzero(columns)[0]) == 1).all()
        assert per_example or (pasted == pasted[0]).all()


def weights(mix, alpha, size=2000):
    batch = {"image": jnp.zeros((size, 16, 16, 1)), "label": jnp.zeros(size, jnp.int32)}
    run = jax.jit(lambda k: mix(batch, k, alpha=alpha, per_example=True)["label_weight"])
    return np.asarray(run(keys_of(2, size)))


@pytest.mark.parametrize("alpha", [0.2, 4.0])
def test_mixup_s_weights_have_the_moments_of_the_beta_distribution(alpha):
    drawn = weights(mixup, alpha)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(drawn.mean() - 0.5) < 4 * (variance / 2000) ** 0.5
    assert abs(drawn.var() / variance - 1) < 0.15


def test_cutmix_keeps_the_area_that_its_geometry_says_on_average():
    # A side s of 1 with a uniform center covers s - s^2 / 4 of its axis on average, so for
    # s^2 = 1 - lambda uniform the pasted area has mean E[s^2 - s^3 / 2 + s^4 / 16].
    expected = 1 - (1 / 2 - 1 / 2 * 2 / 5 + 1 / 16 * 1 / 3)
    assert abs(weights(cutmix, 1.0).mean() - expected) < 0.035


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_alpha_0_mixes_nothing(mix):
    result = jax.jit(lambda keys: mix(BATCH, keys, alpha=0))(keys_of(0))
    np.testing.assert_array_equal(result["image"], BATCH["image"])
    np.testing.assert_array_equal(result["label_weight"], 1)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_mixing_without_labels_is_an_error(mix):
    with pytest.raises(UserError, match=r"needs batch\['label'\]"):
        mix({"image": BATCH["image"]}, keys_of(0))
