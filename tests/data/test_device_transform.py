"""What of the input pipeline runs in the step: floats, pairs, views, augmentation."""

import jax
import numpy as np
import pytest

from cnnlab import config as cfg
from cnnlab.data import device_transform
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
    return device_transform.make_device_transform(data)


def test_prepared_batch_is_normalised_in_training_and_evaluation():
    data = cfg.base().data.to_dict()
    data["normalize"] = {"mean": (0.5,), "std": (0.25,)}
    batch = {"image": np.full((2, 4, 4, 1), 51, np.uint8), "ordinal": np.arange(2, dtype=np.uint32)}
    prepare = device_transform.make_device_transform(data)
    for train in (True, False):
        image = prepare(batch, jax.random.key(0), train=train)["image"]
        np.testing.assert_allclose(image, (0.2 - 0.5) / 0.25, rtol=1e-6)


def test_augmentation_depends_on_the_ordinal_and_happens_in_training_only():
    data = cfg.base().data.to_dict()
    data["train"]["augment"] = cfg.augment(affine={}).to_dict()
    image = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 1), np.uint8)
    batch = {"image": np.repeat(image, 2, axis=0), "ordinal": np.array([5, 6], np.uint32)}
    prepare, key = device_transform.make_device_transform(data), jax.random.key(0)
    trained = prepare(batch, key, train=True)["image"]
    assert np.abs(trained[0] - trained[1]).max() > 0.05
    alone = {k: v[1:] for k, v in batch.items()}
    np.testing.assert_array_equal(prepare(alone, key, train=True)["image"][0], trained[1])
    evaluated = prepare(batch, key, train=False)["image"]
    np.testing.assert_allclose(evaluated, batch["image"] / 255, rtol=1e-6)


def test_members_of_a_pair_are_augmented_each_by_itself():
    image = images(2, 1, 8, 8, 1)
    batch = {"image": np.repeat(image, 2, axis=1), "label": np.array([[1, 1], [2, 2]])}
    pairs = {"sampler": {"name": "pairs"}}
    out = make(augment=cfg.augment(affine={}), **pairs)(
        {**batch, "ordinal": ORDINAL}, KEY, train=True
    )
    assert out["image"].shape == (2, 2, 8, 8, 1)
    np.testing.assert_array_equal(out["label"], batch["label"])
    assert np.abs(out["image"][0, 0] - out["image"][0, 1]).max() > 0.05
    plain = make(**pairs)({**batch, "ordinal": ORDINAL}, KEY, train=True)["image"]
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


EVERYTHING = {
    "random_resized_crop": {"size": 8},
    "flip": {},
    "affine": {},
    "rand_augment": {},
    "color_jitter": {"probability": 1.0},
    "random_erasing": {"probability": 1.0},
}


def clips(rows=3, frames=4):
    return np.repeat(images(rows, 1, 10, 10, 3), frames, axis=1)


@pytest.mark.parametrize("grouping", ["single", "views", "pairs"])
def test_frames_of_a_clip_share_one_augmentation(grouping):
    # As many frames in all, so that all three are the same programs.
    video = clips(6 if grouping == "single" else 3)
    rows = len(video)
    changes = {"views": 2} if grouping == "views" else {}
    if grouping == "pairs":
        changes, video = {"sampler": {"name": "pairs"}}, np.stack([video, video], axis=1)
    batch = {"video": video, "label": np.arange(rows)}
    batch["ordinal"] = np.arange(rows, dtype=np.uint32)
    if grouping == "pairs":
        batch["label"] = np.stack([batch["label"]] * 2, axis=1)
    prepare = make(augment=cfg.augment(**EVERYTHING), **changes)
    made = np.asarray(prepare(batch, KEY, train=True)["video"])
    members = () if grouping == "single" else (2,)
    assert made.shape == (rows, *members, 4, 8, 8, 3)
    clip = made.reshape(-1, 4, 8, 8, 3)
    np.testing.assert_array_equal(clip, np.repeat(clip[:, :1], 4, axis=1))
    # Clips, members and views differ from each other.
    for other in clip[1:]:
        assert np.abs(clip[0] - other).max() > 0.05


@pytest.mark.slow
def test_a_clip_is_augmented_as_an_image_of_its_ordinal():
    video = clips()
    batch = {"ordinal": np.arange(3, dtype=np.uint32)}
    prepare = make(augment=cfg.augment(affine={}, flip={}))
    moved = prepare({**batch, "video": video}, KEY, train=True)["video"]
    still = prepare({**batch, "image": video[:, 0]}, KEY, train=True)["image"]
    np.testing.assert_array_equal(moved[:, 0], still)
    evaluated = prepare({**batch, "video": video}, KEY, train=False)["video"]
    np.testing.assert_allclose(evaluated, video / 255, rtol=1e-6)


@pytest.mark.parametrize("beside", [True, False])
def test_targets_of_a_clip_move_with_its_frames(beside):
    video = clips(frames=2)
    targets = {
        "boxes": np.array([[[1, 2, 5, 9], [0, 0, 3, 3]]] * 3, np.float32),
        "classes": np.array([[4, 7]] * 3),
        "objects_valid": np.array([[True, False]] * 3),
        "flow": np.random.default_rng(1).normal(size=(3, 10, 10, 3)).astype(np.float32),
        "label": np.arange(3),
        "ordinal": np.arange(3, dtype=np.uint32),
    }
    prepare = make(augment=cfg.augment(flip={}, affine={}, quarter_turn={}))
    still = prepare({**targets, "image": video[:, 0]}, KEY, train=True)
    batch = {**targets, "video": video} | ({"image": video[:, 0]} if beside else {})
    moved = prepare(batch, KEY, train=True)
    np.testing.assert_array_equal(moved.pop("video")[:, 1], still["image"])
    assert moved.keys() == still.keys() - (set() if beside else {"image"})
    for key, value in moved.items():
        np.testing.assert_array_equal(value, still[key])
    assert np.abs(moved["flow"] - targets["flow"]).max() > 0.1


@pytest.mark.parametrize("train", [True, False])
def test_clip_under_the_key_of_images_is_refused_by_name(train):
    with pytest.raises(UserError, match=r"'image' has examples of shape \(4, 10, 10, 3\).*'video'"):
        make()({"image": clips()}, KEY, train=train)


def test_clips_cannot_be_mixed():
    batch = {"video": clips(), "label": np.arange(3)}
    with pytest.raises(UserError, match="clips cannot go with mixup"):
        make(augment=cfg.augment(mixup={}))(batch, KEY, train=True)
