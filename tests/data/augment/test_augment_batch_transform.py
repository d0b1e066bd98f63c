"""Every geometric transform of a batch moves every kind of target, as plain numpy loops do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spatial_reference as reference

from cnnlab.data.augment import AUGMENT, GEOMETRIC, augment, rand_augmentation
from cnnlab.data.spatial_targets import Targets
from cnnlab.errors import UserError

ROWS = 6
TARGETS = Targets(reference.KINDS, reference.PAIRS, min_visible=0.3)
# Transform, arguments, height, width.
CASES = {
    "random_resized_crop": ("random_resized_crop", {"scale": (0.2, 0.8)}, 12, 12),
    "random_resized_crop to another size": ("random_resized_crop", {"size": 9}, 12, 10),
    "pad_crop": ("pad_crop", {}, 12, 10),
    "flip": ("flip", {}, 12, 10),
    "quarter_turn": ("quarter_turn", {}, 12, 12),
    "quarter_turn of images that are not square": ("quarter_turn", {}, 12, 10),
    "affine": ("affine", {"degrees": 40, "translate": 0.3}, 12, 10),
    "rand_augment": ("rand_augment", {"magnitude": 20, "layers": 3}, 12, 10),
}


def batch_of(height, width):
    rows = [reference.example(height, width, seed) for seed in range(ROWS)]
    targets = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    image = np.broadcast_to(reference.smooth(height, width), (ROWS, height, width, 3))
    return {"image": image.astype(np.float32), **targets}


def keys_of(seed, rows=1):
    return jax.random.split(jax.random.key(seed), rows)


@functools.cache
def outcome(case):
    name, arguments, height, width = CASES[case]
    batch, keys = batch_of(height, width), keys_of(5, ROWS)

    @jax.jit
    def run(batch, keys):
        moved = AUGMENT[name](batch, keys, TARGETS, **arguments)
        return moved, AUGMENT[name].__wrapped__(batch["image"], keys, **arguments)

    return batch, *jax.device_get(run(batch, keys))


def expected(case):
    """The reference, one matrix after another, and which objects are left."""
    batch, moved, (image, *matrices) = outcome(case)
    rows = []
    for row in range(ROWS):
        found = {key: batch[key][row] for key in reference.KINDS}
        left = np.ones(len(found["boxes"]), bool)
        for matrix in matrices:
            found, there = reference.moved(found, matrix[row], image.shape[1:3], 0.3)
            left &= there
        rows.append({**found, "objects_valid": left, "objects_dropped": (~left).sum()})
    return moved, {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def test_every_geometric_transform_is_tried():
    assert {name for name, *_ in CASES.values()} == set(GEOMETRIC)


@pytest.mark.parametrize("kind", reference.OF_KIND)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.sample(20)
def test_targets_move_as_in_plain_numpy(case, kind):
    moved, wanted = expected(case)
    for key in reference.OF_KIND[kind]:
        assert moved[key].dtype == wanted[key].dtype
        np.testing.assert_allclose(moved[key], wanted[key], atol=2e-4, err_msg=key)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.sample(4)
def test_objects_that_leave_or_are_hardly_seen_are_dropped_and_counted(case):
    moved, wanted = expected(case)
    np.testing.assert_array_equal(moved["objects_valid"], wanted["objects_valid"])
    np.testing.assert_array_equal(moved["objects_dropped"], wanted["objects_dropped"])
    assert moved["objects_dropped"].dtype == np.int32


def test_some_transforms_of_these_tests_drop_some_objects_and_keep_others():
    dropped = np.concatenate([outcome(case)[1]["objects_dropped"] for case in CASES])
    assert 0 < (dropped == 0).sum() < len(dropped)


@pytest.mark.parametrize("case", CASES)
def test_the_matrix_says_where_the_pixels_come_from(case, monkeypatch):
    name, arguments, height, width = CASES[case]
    height, width, arguments = 3 * height, 3 * width, dict(arguments)
    if name == "rand_augment":  # several layers are the same again
        arguments |= {"layers": 1, "magnitude": 9}
        alone = dict.fromkeys(rand_augmentation.PIXEL_OPERATIONS, lambda image, t, sign: image)
        monkeypatch.setattr(rand_augmentation, "PIXEL_OPERATIONS", alone)
    if arguments.get("size"):
        arguments["size"] *= 3
    image = reference.smooth(height, width).astype(np.float32)
    batch, keys = jnp.stack([image] * 12), keys_of(2, 12)
    run = jax.jit(functools.partial(AUGMENT[name].__wrapped__, **arguments))
    found, matrices = jax.device_get(run(batch, keys))
    assert len(np.unique(matrices, axis=0)) > 1
    for row, matrix in zip(found, matrices, strict=True):
        wanted = reference.sampled_image(image, matrix, row.shape[:2])
        inside = ~np.isnan(wanted)
        assert inside.mean() > 0.2
        np.testing.assert_allclose(row[inside], wanted[inside], atol=0.02)


def test_an_object_seen_by_less_than_min_visible_is_dropped():
    image, box = jnp.zeros((1, 10, 10, 1)), jnp.array([[[0.0, 0, 10, 5]]])
    seed, matrix = next(
        (seed, matrix)
        for seed in range(99)
        for _, matrix in [AUGMENT["pad_crop"].__wrapped__(image, keys_of(seed))]
        if matrix[0, 1, 2] > 0  # the crop lies to the right
    )
    (down, right) = np.asarray(matrix[0, :, 2])
    seen = (1 - abs(down) / 10) * (1 - right / 5)
    for limit, left in ((seen - 0.01, True), (seen + 0.01, False)):
        targets = Targets(min_visible=float(limit))
        moved = AUGMENT["pad_crop"]({"image": image, "boxes": box}, keys_of(seed), targets)
        assert moved["objects_valid"].tolist() == [[left]]
        assert moved["objects_dropped"].tolist() == [not left]
        assert bool(moved["boxes"].any()) == left


@pytest.mark.parametrize("name", ["flip", "quarter_turn", "pad_crop", "affine"])
@pytest.mark.sample(2)
def test_flow_that_points_to_a_keypoint_still_does_when_both_are_moved(name):
    place = np.array([6.0, 4.0], np.float32)
    y, x = np.mgrid[:12, :12] + 0.5
    flow = np.stack([place[0] - y, place[1] - x, np.ones((12, 12))], -1).astype(np.float32)
    batch = {"image": jnp.zeros((ROWS, 12, 12, 1)), "flow": jnp.stack([flow] * ROWS)}
    batch["keypoints"] = jnp.stack([jnp.array([[*place, 2]])] * ROWS)
    moved = jax.device_get(AUGMENT[name](batch, keys_of(1, ROWS)))
    for points, field in zip(moved["keypoints"], moved["flow"], strict=True):
        known = field[..., 2] == 1
        assert points[0, 2] == 2 and known.mean() > 0.4
        to = np.stack([y, x], -1) + field[..., :2]
        # The nearest pixel is half a pixel away at most, in y and in x.
        atol = 0.9 if name == "affine" else 1e-5
        np.testing.assert_allclose(to[known] - points[0, :2], 0, atol=atol)


def test_padding_stays_padding_and_counts_as_no_object_dropped():
    boxes = np.array([[[1, 1, 5, 5], [0, 0, 0, 0]]], np.float32)
    valid, dropped = np.array([[True, False]]), np.array([2], np.int32)
    batch = {"image": np.zeros((1, 8, 8, 1), np.float32), "boxes": boxes}
    batch |= {"objects_valid": valid, "objects_dropped": dropped}
    moved = augment(batch, keys_of(0, 1), flip={"probability": 1})
    np.testing.assert_array_equal(moved["boxes"], [[[1, 3, 5, 7], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(moved["objects_valid"], valid)
    np.testing.assert_array_equal(moved["objects_dropped"], dropped)


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 1), (3, 12, 10), (6, 5), (3, 4), (2, 3)])
@pytest.mark.sample(12)
def test_a_target_of_no_declared_kind_is_not_left_behind(name, shape):
    batch = {"image": np.zeros((2, 12, 10, 3), np.float32), "seen": np.zeros((2, *shape))}
    keys = keys_of(0, 2)
    with pytest.raises(UserError, match=rf"{name} .* 'seen' of shape .* \(box, instance_mask, "):
        augment(batch, keys, **{name: {}})
    moved = augment(batch, keys, Targets({"seen": "not_spatial"}), **{name: {}})
    np.testing.assert_array_equal(moved["seen"], batch["seen"])


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("key", ["boxes", "ground", "of no kind"])
def test_images_are_not_mixed_where_targets_have_a_place(name, key):
    batch = {**batch_of(8, 8), "label": np.zeros(ROWS, np.int32)}
    batch = {k: batch[k] for k in ("image", "label", key) if k in batch}
    batch |= {} if key in batch else {key: np.zeros((ROWS, 3, 4))}
    keys = keys_of(0, ROWS)
    with pytest.raises(UserError, match=f"{name} .* '{key}'"):
        augment(batch, keys, Targets(reference.KINDS), **{name: {}})
