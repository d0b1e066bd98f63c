import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment import AUGMENT, augment, deterministic, to_float
from cnnlab.errors import UserError

BATCH, HEIGHT, WIDTH = 8, 12, 10
MIXING = ("mixup", "cutmix")
ALONE = [name for name in AUGMENT if name not in MIXING]


def batch_of(channels=3, seed=0, size=BATCH):
    image = np.random.default_rng(seed).random((size, HEIGHT, WIDTH, channels), np.float32)
    return {"image": jnp.asarray(image), "label": jnp.arange(size)}


def keys_of(seed=0, size=BATCH):
    return jax.random.split(jax.random.key(seed), size)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.sample(6)
def test_what_an_example_undergoes_depends_on_its_key_alone(name):
    batch, keys = batch_of(), keys_of()
    run = jax.jit(lambda image, keys: augment({"image": image}, keys, **{name: {}})["image"])
    whole = run(batch["image"], keys)
    # In another order; with other company.
    order = np.array([5, 2, 7, 0, 1, 6, 3, 4])
    np.testing.assert_array_equal(run(batch["image"][order], keys[order]), whole[order])
    strangers, theirs = batch_of(seed=1)["image"][:4], keys_of(1)[:4]
    image = jnp.concatenate([batch["image"][:4], strangers])
    mixed = run(image, jnp.concatenate([keys[:4], theirs]))
    np.testing.assert_array_equal(mixed[:4], whole[:4])
    if name != "normalize":
        assert not np.allclose(run(batch["image"], keys_of(1)), whole)


def test_a_batch_is_augmented_as_its_halves_are():
    chosen = {"pad_crop": {}, "flip": {}, "affine": {}, "random_erasing": {"probability": 0.5}}
    batch, keys = batch_of(channels=1), keys_of()
    run = jax.jit(lambda image, keys: augment({"image": image}, keys, **chosen)["image"])
    halves = [run(batch["image"][half], keys[half]) for half in (slice(0, 4), slice(4, 8))]
    whole = run(batch["image"], keys)
    np.testing.assert_allclose(np.concatenate(halves), whole, atol=1e-6)


def test_a_batch_over_eight_devices_is_augmented_as_on_one():
    chosen = {"pad_crop": {}, "flip": {}, "mixup": {"alpha": 1.0}, "cutmix": {}}
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:8]), ("data",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    run = jax.jit(lambda batch, keys: augment(batch, keys, **chosen))
    one, eight = run(batch_of(), keys_of()), run(*jax.device_put((batch_of(), keys_of()), split))
    assert len(eight["image"].sharding.device_set) == 8
    for key, value in one.items():
        np.testing.assert_allclose(eight[key], value, atol=1e-6)


def test_a_whole_recipe_runs_under_jit_and_repeats_by_its_keys():
    names = ("random_resized_crop", "flip", "normalize", "random_erasing", *MIXING)
    chosen = {name: {} for name in names} | {"rand_augment": {"layers": 1}}
    run = jax.jit(lambda batch, keys: augment(batch, keys, **chosen))
    batch, keys = batch_of(), keys_of()
    first, second = run(batch, keys), run(batch, keys)
    assert set(first) == {"image", "label", "label_mixed", "label_weight"}
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])
    assert first["image"].dtype == jnp.float32
    assert np.isfinite(first["image"]).all()


def test_the_input_dict_stays_as_it_was():
    def run(batch, keys, name):
        before = dict(batch)
        result = augment(batch, keys, **{name: {}})
        assert result is not batch
        assert batch.keys() == before.keys()
        assert all(batch[key] is before[key] for key in batch)

    for name in AUGMENT:
        jax.eval_shape(lambda batch, keys, name=name: run(batch, keys, name), batch_of(), keys_of())


def test_the_order_is_that_of_the_table_whatever_the_order_given():
    batch, keys = batch_of(), keys_of()
    erase = {"probability": 1}
    one, other = jax.jit(
        lambda batch, keys: (
            augment(batch, keys, random_erasing=erase, normalize={}, flip={}),
            augment(batch, keys, flip={}, normalize={}, random_erasing=erase),
        )
    )(batch, keys)
    np.testing.assert_array_equal(one["image"], other["image"])
    # Erased to 0 after normalizing, not to -mean / std.
    assert ((one["image"] == 0).all(-1)).any((1, 2)).all()


def test_choosing_one_more_does_not_change_what_the_others_draw():
    batch, keys = batch_of(), keys_of()
    flipped = augment(batch, keys, flip={})
    also_moved = augment(batch, keys, pad_crop={"padding": 0}, flip={}, mixup={"alpha": 0})
    np.testing.assert_array_equal(flipped["image"], also_moved["image"])


def test_transforms_draw_independently_of_each_other():
    keys, batch = keys_of(size=2000), {"image": jnp.zeros((2000, 2, 2, 1)).at[:, :, 0].set(1)}
    ones = {"image": jnp.ones((2000, 6, 6, 1))}
    flipped = jax.jit(lambda keys: augment(batch, keys, flip={})["image"])(keys)[:, 0, 0, 0] == 0
    erasing = {"probability": 0.5}
    erased = jax.jit(lambda keys: augment(ones, keys, random_erasing=erasing)["image"])(keys)
    erased = (erased == 0).any((1, 2, 3))
    # 4 standard deviations of the correlation of 2,000 independent pairs.
    assert abs(np.corrcoef(flipped, erased)[0, 1]) < 4 / 2000**0.5


def test_both_mixings_take_turns_over_batches():
    batch = batch_of()
    run = jax.jit(lambda keys: augment(batch, keys, mixup={"alpha": 1.0}, cutmix={}))
    partner = jnp.roll(batch["image"], -1, axis=0)
    pasted = 0
    for seed in range(60):
        mixed = run(keys_of(seed))["image"]
        pasted += bool(((mixed == batch["image"]) | (mixed == partner)).all())
    assert 15 <= pasted <= 45  # binomial(60, 1/2) within 4 standard deviations


def test_only_normalize_is_shared_with_evaluation_and_needs_no_keys():
    chosen = {"flip": {}, "normalize": {"mean": (0.5,), "std": (0.5,)}, "mixup": {}}
    batch = batch_of()
    result = augment(batch, None, **deterministic(chosen))
    np.testing.assert_allclose(result["image"], 2 * batch["image"] - 1, atol=1e-6)
    with pytest.raises(UserError, match="flip, mixup need one random key"):
        augment(batch, None, **chosen)


def test_bytes_become_floats_and_must_before_augmenting():
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = to_float({"image": image})["image"]
    assert floats.dtype == jnp.float32
    np.testing.assert_allclose(floats, image / np.float32(255), atol=1e-7)
    assert to_float({"image": floats})["image"] is floats
    with pytest.raises(UserError, match="uint16"):
        to_float({"image": np.zeros((1, 2, 2, 1), np.uint16)})
    with pytest.raises(UserError, match="to_float"):
        augment({"image": jnp.asarray(image)}, keys_of(size=1), flip={})


def test_simclr_s_order_is_crop_flip_jitter_gray_blur_solarize_normalize():
    order = [
        *("random_resized_crop", "flip", "color_jitter", "grayscale", "gaussian_blur"),
        *("solarize", "normalize"),
    ]
    assert [name for name in AUGMENT if name in order] == order
