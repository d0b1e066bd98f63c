"""What of the input pipeline runs in the step: floats, pairs, views, augmentation."""

import jax
import numpy as np
import pytest

from cnnlab import config as cfg
from cnnlab.data import device
from cnnlab.errors import UserError

KEY = jax.random.key(0)
ORDINAL = np.array([5, 6], np.uint32)


def images(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def make(**changes):
    data = cfg.base().data.to_dict()
    data["train"].update(
        {name: x.to_dict() if hasattr(x, "to_dict") else x for name, x in changes.items()}
    )
    return device.make_prepare(data)


def test_prepared_batch_is_normalised_in_training_and_evaluation():
    data = cfg.base().data.to_dict()
    data["normalize"] = {"mean": (0.5,), "std": (0.25,)}
    batch = {"image": np.full((2, 4, 4, 1), 51, np.uint8), "ordinal": np.arange(2, dtype=np.uint32)}
    prepare = device.make_prepare(data)
    for train in (True, False):
        image = prepare(batch, jax.random.key(0), train=train)["image"]
        np.testing.assert_allclose(image, (0.2 - 0.5) / 0.25, rtol=1e-6)


def test_augmentation_depends_on_the_ordinal_and_happens_in_training_only():
    data = cfg.base().data.to_dict()
    data["train"]["augment"] = cfg.augment(affine={}).to_dict()
    image = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 1), np.uint8)
    batch = {"image": np.repeat(image, 2, axis=0), "ordinal": np.array([5, 6], np.uint32)}
    prepare, key = device.make_prepare(data), jax.random.key(0)
    trained = prepare(batch, key, train=True)["image"]
    assert np.abs(trained[0] - trained[1]).max() > 0.05
    alone = {k: v[1:] for k, v in batch.items()}
    np.testing.assert_array_equal(prepare(alone, key, train=True)["image"][0], trained[1])
    evaluated = prepare(batch, key, train=False)["image"]
    np.testing.assert_allclose(evaluated, batch["image"] / 255, rtol=1e-6)


def test_members_of_a_pair_are_augmented_each_by_itself():
    image = images(2, 1, 8, 8, 1)
    batch = {"image": np.repeat(image, 2, axis=1), "label": np.array([[1, 1], [2, 2]])}
    out = make(augment=cfg.augment(affine={}))({**batch, "ordinal": ORDINAL}, KEY, train=True)
    assert out["image"].shape == (2, 2, 8, 8, 1)
    np.testing.assert_array_equal(out["label"], batch["label"])
    assert np.abs(out["image"][0, 0] - out["image"][0, 1]).max() > 0.05
    plain = make()({**batch, "ordinal": ORDINAL}, KEY, train=True)["image"]
    np.testing.assert_allclose(plain, batch["image"] / 255, rtol=1e-6)


def test_views_are_of_one_image_and_differ():
    batch = {"image": images(2, 8, 8, 1), "label": np.arange(2), "ordinal": ORDINAL}
    prepare = make(augment=cfg.augment(flip={"probability": 0.5}), views=8)
    out = prepare(batch, KEY, train=True)
    assert out["image"].shape == (2, 8, 8, 8, 1)
    assert out["label"].shape == (2,)
    for image, views in zip(batch["image"] / 255, np.asarray(out["image"]), strict=True):
        flipped = [np.allclose(view, image[:, ::-1], rtol=1e-6) for view in views]
        kept = [np.allclose(view, image, rtol=1e-6) for view in views]
        assert all(np.logical_xor(flipped, kept))
        assert any(flipped)
        assert any(kept)
    assert prepare(batch, KEY, train=False)["image"].shape == (2, 8, 8, 1)


def test_views_do_not_depend_on_the_batch_around_them():
    batch = {"image": images(2, 8, 8, 1), "ordinal": ORDINAL}
    prepare = make(augment=cfg.augment(affine={}), views=2)
    alone = {name: x[1:] for name, x in batch.items()}
    whole = prepare(batch, KEY, train=True)["image"]
    np.testing.assert_array_equal(prepare(alone, KEY, train=True)["image"][0], whole[1])


def test_second_view_undergoes_its_own_transforms():
    always, never = {"flip": {"probability": 1.0}}, {"flip": {"probability": 0.0}}
    batch = {"image": images(2, 8, 8, 1), "ordinal": ORDINAL}
    out = make(augment=never, views=3, second_view=always)(batch, KEY, train=True)["image"]
    np.testing.assert_allclose(out[:, 0], batch["image"] / 255, rtol=1e-6)
    for view in (1, 2):
        np.testing.assert_allclose(out[:, view], batch["image"][:, :, ::-1] / 255, rtol=1e-6)


def test_sound_becomes_floats_and_is_not_augmented():
    batch = {"waveform": np.array([[-32768, 16384]], np.int16), "ordinal": ORDINAL[:1]}
    out = make()(batch, KEY, train=True)
    np.testing.assert_array_equal(out["waveform"], [[-1.0, 0.5]])
    with pytest.raises(UserError, match="flip, which need images"):
        make(augment=cfg.augment(flip={}))(batch, KEY, train=True)
    with pytest.raises(UserError, match="int16"):
        make()({"waveform": np.zeros((1, 2), np.uint8)}, KEY, train=True)


@pytest.mark.parametrize(
    ("changes", "keys", "message"),
    [
        (dict(views=0), {}, "1 or more"),
        (dict(second_view=cfg.augment(flip={})), {}, "views=2"),
        (dict(views=2), {"boxes": np.zeros((2, 1, 4), np.float32)}, "boxes"),
        (dict(views=2, augment=cfg.augment(mixup={})), {}, "mixup"),
    ],
)
def test_views_that_cannot_be_are_refused(changes, keys, message):
    batch = {"image": images(2, 8, 8, 1), "label": np.arange(2), "ordinal": ORDINAL, **keys}
    with pytest.raises(UserError, match=message):
        make(**changes)(batch, KEY, train=True)
