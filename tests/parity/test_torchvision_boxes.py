"""Boxes equal torchvision's: overlaps with gradients, coder, anchors, matching, suppression."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from peers import torchvision_ops

from cnnlab.geometry import anchors, box_coder, boxes, iou, matching
from cnnlab.geometry.nms import nms
from cnnlab.geometry.pyramid import level

pytestmark = pytest.mark.parity
COUNT = 300


def draw(count=COUNT, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 60, (count, 2))
    sides = np.exp(rng.uniform(0, 3.5, (count, 2)))
    return np.concatenate([start, start + sides], axis=1).astype(np.float32)


def theirs(array, *, grad=False):
    """Return boxes as torchvision has them, [x0, y0, x1, y1]."""
    import torch

    return torch.from_numpy(np.array(boxes.from_xyxy(np.asarray(array)))).requires_grad_(grad)


def close(ours, tensor, atol=1e-5):
    np.testing.assert_allclose(ours, tensor.detach().numpy(), atol=atol)


NAMES = {
    "iou": ("box_iou", None),
    "giou": ("generalized_box_iou", "generalized_box_iou_loss"),
    "diou": ("distance_box_iou", "distance_box_iou_loss"),
    "ciou": ("complete_box_iou", "complete_box_iou_loss"),
}


@pytest.mark.parametrize("name", NAMES)
def test_overlaps_and_their_gradients(name):
    ops, measure = torchvision_ops(), getattr(iou, name)
    first, second = draw(), draw(seed=1)
    pairs = jax.jit(lambda a, b: measure(a[:, None], b))(first, second)
    whole, loss = NAMES[name]
    close(pairs, getattr(ops, whole)(theirs(first), theirs(second)))
    # Row by row, of boxes that overlap and of boxes that do not.
    leaf = theirs(first, grad=True)
    if loss:
        (-getattr(ops, loss)(leaf, theirs(second))).sum().backward()
    else:
        ops.box_iou(leaf, theirs(second)).diagonal().sum().backward()
    slope = jax.jit(jax.grad(lambda a, b: measure(a, b).sum()))(first, second)
    close(boxes.from_xyxy(np.asarray(slope)), leaf.grad)


def test_formats_and_clipping():
    ops, found = torchvision_ops(), draw()
    xywh = ops.box_convert(theirs(found), "xyxy", "xywh")
    close(boxes.to_xywh(found), xywh)
    close(boxes.from_xyxy(boxes.from_xywh(xywh.numpy())), theirs(found))
    close(boxes.area(found), ops.box_area(theirs(found)), atol=1e-3)
    clipped = ops.clip_boxes_to_image(theirs(found), (40, 50))
    close(boxes.from_xyxy(boxes.clip(found, (40, 50))), clipped)


@pytest.mark.parametrize("weights", [box_coder.PROPOSAL, box_coder.REGION])
def test_the_box_coder_and_its_limit(weights):
    torchvision_ops()
    from torchvision.models.detection._utils import BoxCoder

    found, references = draw(), draw(seed=1)
    # Its weights are of (x, y, w, h).
    peer = BoxCoder([weights[i] for i in (1, 0, 3, 2)])
    assert peer.bbox_xform_clip == pytest.approx(box_coder.LARGEST)
    expected = peer.encode_single(theirs(found), theirs(references))
    offsets = np.asarray(box_coder.encode(found, references, weights))
    np.testing.assert_allclose(boxes.from_xyxy(offsets), expected.numpy(), rtol=1e-5, atol=1e-5)
    wild = offsets + np.random.default_rng(2).normal(0, 3 * weights[2], offsets.shape)
    wild = wild.astype(np.float32)
    expected = peer.decode_single(theirs(wild), theirs(references))
    decoded = box_coder.decode(wild, references, weights)
    np.testing.assert_allclose(
        boxes.from_xyxy(np.asarray(decoded)), expected.numpy(), rtol=1e-5, atol=1e-3
    )


@pytest.mark.parametrize("size", [(800, 800), (800, 1088), (96, 128)])
def test_anchors_of_a_pyramid_whose_last_stride_is_no_power_of_two(size):
    torchvision_ops()
    import torch
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    sides, ratios = ((32,), (64, 80), (128,), (256,), (501,)), (0.5, 1.0, 2.0)
    grids = [tuple(-(-n // s) for n in size) for s in (4, 8, 16, 32, 64)]
    peer = AnchorGenerator(sides, (ratios,) * 5)
    images = ImageList(torch.zeros(1, 3, *size), [size])
    (expected,) = peer(images, [torch.zeros(1, 1, *grid) for grid in grids])
    ours = anchors.pyramid_anchors(size, grids, sides, ratios)
    close(boxes.from_xyxy(np.concatenate(ours)), expected, atol=0)
    if size == (800, 800):
        # 13 places of 61 pixels, not of 64.
        assert ours[-1][3, 1] - ours[-1][0, 1] == 61


def test_levels_of_a_pyramid():
    torchvision_ops()
    from torchvision.ops.poolers import LevelMapper

    found = np.concatenate([np.exp(draw(1000) / 12), [[0, 0, 112, 112], [0, 0, 224, 224]]])
    found[:, 2:] += found[:, :2]
    found[-2:, 2:] = [[112, 112], [224, 224]]
    found = found.astype(np.float32)
    expected = LevelMapper(2, 5)([theirs(found)]) + 2
    assert set(expected.tolist()) == {2, 3, 4, 5}
    np.testing.assert_array_equal(jax.jit(level)(found), expected.numpy())


@pytest.mark.parametrize("best_of_each", [False, True])
def test_matching(best_of_each):
    torchvision_ops()
    import torch
    from torchvision.models.detection._utils import Matcher

    rng = np.random.default_rng(0)
    # Tenths tie.
    overlap = rng.integers(0, 11, (50, 40, 6)).astype(np.float32) / 10
    got = jax.jit(
        jax.vmap(
            lambda x: matching.match(
                x, jnp.ones(6, bool), low=0.3, high=0.7, best_of_each=best_of_each
            )
        )
    )(overlap)
    for i in range(50):
        peer = Matcher(0.7, 0.3, allow_low_quality_matches=best_of_each)
        expected = peer(torch.from_numpy(overlap[i].T)).numpy()
        kind = np.select([expected >= 0, expected == -1], [1, 0], -1)
        np.testing.assert_array_equal(got.kind[i], kind)
        chosen = np.asarray(got.object[i])[kind == 1]
        rows = np.flatnonzero(kind == 1)
        np.testing.assert_array_equal(
            overlap[i][rows, chosen], overlap[i][rows, expected[kind == 1]]
        )


def test_an_object_that_nothing_overlaps_makes_all_positive_there_and_none_here():
    torchvision_ops()
    import torch
    from torchvision.models.detection._utils import Matcher

    overlap = np.zeros((5, 1), np.float32)
    peer = Matcher(0.7, 0.3, allow_low_quality_matches=True)(torch.from_numpy(overlap.T))
    assert (peer == 0).all()
    got = matching.match(
        jnp.asarray(overlap), jnp.ones(1, bool), low=0.3, high=0.7, best_of_each=True
    )
    assert (got.kind == matching.NEGATIVE).all()


@pytest.mark.parametrize(("positives", "negatives"), [(40, 300), (3, 300), (0, 20), (90, 5)])
def test_a_sample_has_as_many_positives_and_negatives(positives, negatives):
    torchvision_ops()
    import torch
    from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

    kind = np.full(400, matching.IGNORED)
    kind[:positives], kind[400 - negatives :] = matching.POSITIVE, matching.NEGATIVE
    ((pos,), (neg,)) = BalancedPositiveNegativeSampler(64, 0.25)([torch.from_numpy(kind)])
    got = matching.sample(jax.random.key(0), jnp.asarray(kind), 64, 0.25)
    counts = [int((got.valid & kind).sum()) for kind in (got.positive, ~got.positive)]
    assert counts == [int(pos.sum()), int(neg.sum())]


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression(threshold, by_class):
    ops = torchvision_ops()
    import torch

    rng = np.random.default_rng(int(10 * threshold))
    run = jax.jit(lambda b, s, g: nms(b, s, threshold, COUNT, groups=g if by_class else None))
    for seed in range(5):
        # Ten boxes about each of thirty places.
        found = np.repeat(draw(COUNT // 10, seed), 10, axis=0)
        found[:, 2:] *= rng.uniform(1, 1.2, (COUNT, 2))
        groups = rng.integers(0, 3, COUNT)
        scores = rng.permutation(COUNT).astype(np.float32)
        if by_class:
            arguments = (theirs(found), torch.from_numpy(scores), torch.from_numpy(groups))
            expected = ops.batched_nms(*arguments, threshold)
        else:
            expected = ops.nms(theirs(found), torch.from_numpy(scores), threshold)
        got = run(found, scores, groups)
        assert 0 < got.valid.sum() < COUNT
        np.testing.assert_array_equal(got.rows[got.valid], expected.numpy())
