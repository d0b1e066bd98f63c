"""Numbers of detections in training: of every example once, whatever the devices."""

import detection_objective as toy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from cnnlab.metrics import coco, detection, voc
from cnnlab.training.writer import read_rows

BEST = "validation/AP"


@pytest.fixture(scope="module")
def single():
    """Return the evaluation of a split on one device, with its outputs."""
    parts = small.build(small.config(**toy.SETTINGS))
    return parts.evaluate_split(parts.state, "validation", keep=True)


def test_outputs_are_every_example_once_with_its_padding(single):
    source = toy.Scatter("validation")
    assert len(single.outputs["index"]) == 37
    np.testing.assert_array_equal(single.outputs["image_id"], np.arange(100, 137))
    for i in range(37):
        real = single.outputs["objects_valid"][i]
        np.testing.assert_array_equal(single.outputs["boxes"][i][real], source[i]["boxes"])


@pytest.mark.parametrize(("strategy", "placement"), [("pmap", "memory"), ("fsdp", "grain")])
def test_eight_devices_have_the_numbers_of_one(single, strategy, placement):
    settings = {"parallel__strategy": strategy, "data__placement": placement}
    parts = small.build(small.config(**toy.SETTINGS, parallel__devices=8, **settings))
    found = parts.evaluate_split(parts.state, "validation").scalars()
    expected = single.scalars()
    assert 0 < expected["AP50"] < 1 and expected["mAP"] > 0 and expected["recall@5"] > 0
    assert found == pytest.approx(expected, abs=1e-6)


def test_numbers_are_those_of_the_images_one_by_one(single):
    out, source = single.outputs, toy.Scatter("validation")
    images, voc_images = [], []
    for i in range(37):
        found, true = out["found_valid"][i], source[i]
        boxes, scores, classes = (
            out[f"found_{k}"][i][found] for k in ("boxes", "scores", "classes")
        )
        overlap = np.zeros((len(boxes), len(true["boxes"])))
        for d, g in np.ndindex(*overlap.shape):
            a, b = boxes[d].astype(float), true["boxes"][g].astype(float)
            sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            both, own = sides.clip(0).prod(), (a[2:] - a[:2]).prod()
            overlap[d, g] = both / (
                own if true["crowd"][g] else own + (b[2:] - b[:2]).prod() - both
            )
        areas = [(x[:, 2:] - x[:, :2]).astype(float).prod(1) for x in (boxes, true["boxes"])]
        none = np.zeros(len(true["boxes"]), bool)
        given = (true["classes"], areas[1], true["crowd"], none)
        images.append(coco.Image(overlap, scores.astype(float), classes, areas[0], *given))
        objects = (true["boxes"], true["classes"], true["difficult"])
        voc_images.append(voc.Image(boxes, scores, classes, *objects))
    scalars = single.scalars()
    for name, value in coco.summarize(images).items():
        assert scalars.get(name, np.nan) == pytest.approx(value, abs=1e-9, nan_ok=True), name
    each = voc.average_precision(voc_images, inclusive=False)
    assert scalars["mAP"] == pytest.approx(np.nanmean(list(each.values())))
    smaller = detection.box_numbers(out, {"": (0, 1e10), "tiny": (0, 25)})
    assert smaller["AP"] == scalars["AP"] and smaller["AR_tiny"] != scalars["AR_small"]
    found = detection.per_class(out, ("a", "b", "c", "d"))
    assert found["d"] is None
    assert np.mean([found[k] for k in "abc"]) == pytest.approx(scalars["AP"])


@pytest.mark.slow
def test_average_precision_chooses_the_checkpoint(tmp_path):
    settings = small.config(**toy.SETTINGS, steps=2, evaluate__every=1, checkpoint__every=1)
    loop, _ = small.train(settings, tmp_path)
    values = [row[BEST] for row in read_rows(tmp_path / "metrics.jsonl") if BEST in row]
    assert len(values) == 2 and loop.position.best == max(values) > 0


def objects(masks, keypoints=None):
    """Return a batch of one image, with a padded row."""
    count = len(masks) + 1
    batch = {
        "masks": np.concatenate([masks, np.zeros_like(masks[:1])])[None],
        "boxes": np.zeros((1, count, 4), np.float32),
        "classes": np.zeros((1, count), np.int32),
        "crowd": np.arange(count)[None] == 1,
        "objects_valid": np.arange(count)[None] < count - 1,
    }
    return batch if keypoints is None else {**batch, "keypoints": keypoints}


def test_masks_are_judged_by_their_pixels_without_being_gathered():
    masks = np.zeros((2, 10, 10), np.uint8)
    masks[0, 2:8, 2:7] = masks[1, 8:, :] = 1
    found = np.zeros((1, 3, 10, 10), np.uint8)
    # 24 of 30 pixels; within the crowd; nothing.
    found[0, 0, 2:8, 3:7] = found[0, 1, 9, :4] = 1
    four = (np.zeros((1, 3, 4), np.float32), np.array([[0.9, 0.8, 0.7]], np.float32))
    four += (np.zeros((1, 3), np.int32), np.array([[True, True, False]]))
    rows = detection.rows(objects(masks), *map(jnp.asarray, four), masks=jnp.asarray(found))
    outputs = {name: np.asarray(x) for name, x in rows.items()}
    assert max(x.size for x in outputs.values()) < 20
    got = detection.mask_numbers(outputs)
    # Right at 7 of 10 thresholds: 0.5 to 0.8.
    assert got["mask_AP"] == pytest.approx(0.7) and got["mask_AP50"] == pytest.approx(1)


def test_keypoints_are_judged_by_their_distances():
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 90, (17, 2))
    outputs = {
        "found_boxes": np.zeros((1, 2, 4)),
        "found_scores": np.array([[0.9, 0.1]]),
        "found_classes": np.zeros((1, 2), int),
        "found_valid": np.ones((1, 2), bool),
        "found_keypoints": np.stack([points, points + 50])[None],
        "keypoints": np.concatenate([points, np.full((17, 1), 2.0)], axis=1)[None, None],
        "boxes": np.array([[[10.0, 10, 90, 90]]]),
        "classes": np.zeros((1, 1), int),
        "objects_valid": np.ones((1, 1), bool),
    }
    got = detection.keypoint_numbers(outputs)
    assert got["keypoint_AP"] == pytest.approx(1) and "keypoint_AR20" in got


def test_an_image_is_wrong_without_its_class_on_an_object_among_the_best_guesses():
    box, far = [0.0, 0, 10, 10], [50.0, 50, 60, 60]
    outputs = {
        "found_boxes": np.array([[box, box], [far, box], [box, far]]),
        "found_scores": np.array([[0.9, 0.8], [0.9, 0.8], [0.1, 0.8]]),
        "found_classes": np.array([[2, 1], [1, 1], [1, 1]]),
        "found_valid": np.array([[True, True], [True, False], [True, True]]),
        "boxes": np.array([[box]] * 3),
        "label": np.array([1, 1, 1]),
        "objects_valid": np.ones((3, 1), bool),
    }
    # The second image's detection with the box is padding; the third's is its second guess.
    numbers = [detection.localization_numbers(outputs, n)["localization_error"] for n in (1, 2)]
    assert numbers == pytest.approx([1.0, 1 / 3])


def test_half_precision_becomes_single():
    half = jnp.zeros((1, 2, 4), jnp.bfloat16)
    given = (half, half[..., 0], jnp.zeros((1, 2), int), jnp.ones((1, 2), bool))
    assert {"found_boxes", "found_scores"} == {
        name for name, x in detection.rows({}, *given).items() if x.dtype == jnp.float32
    }


def test_boxes_and_keypoints_become_those_of_the_original_image():
    box = jnp.tile(jnp.array([1.0, 1, 2, 9]), (2, 3, 1))
    to = jnp.array([np.eye(2, 3), [[2, 0, 1], [0, 3, 0]]])
    batch = {"boxes": box, "keypoints": jnp.ones((2, 3, 6, 3)), "to_original": to}
    batch["original_size"] = jnp.array([[20, 20], [20, 12]])
    given = (box, box[..., 0], jnp.zeros((2, 3), int), jnp.ones((2, 3), bool))
    found = jax.jit(lambda b, x: detection.rows(b, *given, keypoints=x))(
        batch, jnp.ones((2, 3, 6, 2))
    )
    for key in ("boxes", "found_boxes"):
        assert (found[key][0] == box[0]).all()
        # The image ends at 12.
        assert (found[key][1] == np.array([3, 3, 5, 12])).all()
    assert (found["keypoints"][1] == np.array([3, 3, 1])).all()
    assert (found["found_keypoints"][1] == np.array([3, 3])).all()
