"""RoIAlign, RoI pooling and crops of masks equal torchvision's and PyTorch's, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from peers import torchvision_ops

from cnnlab.layers.mask_crops import crop_masks
from cnnlab.layers.roi_align import roi_align, roi_pool

pytestmark = pytest.mark.parity
HEIGHT, WIDTH, CHANNELS, SCALE = 12, 15, 3, 0.25


def features():
    shape = (HEIGHT, WIDTH, CHANNELS)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def boxes(count=40):
    """Regions inside the picture, the whole of it, and one without a pixel.

    Outside, torchvision's Python lacks a rule of its compiled operator.
    """
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 1, (count, 2, 2)) * np.array([HEIGHT, WIDTH]) / SCALE
    found = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    found[0] = [0, 0, HEIGHT / SCALE, WIDTH / SCALE]
    found[1] = [7, 9, 7, 9]
    return found.astype(np.float32)


def tensors(found):
    """Return features [1, c, h, w] and boxes [x0, y0, x1, y1]."""
    import torch

    maps = torch.from_numpy(features().transpose(2, 0, 1)[None].copy()).requires_grad_()
    return maps, torch.from_numpy(found[:, [1, 0, 3, 2]].copy())


def compare(ours, pooled, maps):
    """Compare pooled features [n, c, p, q], and the gradients of a weighted sum of them."""
    import torch

    found = jax.jit(ours)(features())
    np.testing.assert_allclose(found, pooled.detach().permute(0, 2, 3, 1).numpy(), atol=1e-5)
    weights = np.random.default_rng(2).normal(size=found.shape).astype(np.float32)
    (pooled * torch.from_numpy(weights).permute(0, 3, 1, 2)).sum().backward()
    slope = jax.jit(jax.grad(lambda x: (ours(x) * weights).sum()))(features())
    np.testing.assert_allclose(slope, maps.grad[0].permute(1, 2, 0).numpy(), atol=1e-5)


@pytest.mark.parametrize("method", ["einsum", "gather"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2])
def test_align_and_its_gradient(sampling, aligned, method):
    ops, found, size = torchvision_ops(), boxes(), (3, 2)
    if sampling == 0 and aligned:
        # The Python's gradient is NaN of a region without points.
        found = np.delete(found, 1, axis=0)
    maps, corners = tensors(found)
    expected = ops.roi_align(maps, [corners], size, SCALE, sampling or -1, aligned)
    options = {"scale": SCALE, "sampling": sampling, "aligned": aligned, "method": method}
    compare(lambda x: roi_align(jnp.asarray(x), found, size, **options), expected, maps)


def test_pooling_and_its_gradient_are_adaptive_max_pooling_of_whole_pixels():
    import torch

    found, size = boxes(), (3, 2)
    maps, corners = tensors(found)
    pooled = []
    for x0, y0, x1, y1 in (corners * SCALE + 0.5).floor().long().tolist():
        # The last pixel is inside. Beyond the map there is none.
        cut = maps[:, :, y0 : min(y1 + 1, HEIGHT), x0 : min(x1 + 1, WIDTH)]
        pooled.append(torch.nn.functional.adaptive_max_pool2d(cut, size))
    within = ((corners * SCALE + 0.5).floor()[:, 2:] < torch.tensor([WIDTH, HEIGHT])).all(1)
    expected = torch.cat(pooled)[within]
    assert within.sum() > 20
    inside = found[within.numpy()]
    compare(lambda x: roi_pool(jnp.asarray(x), inside, size, scale=SCALE), expected, maps)


@pytest.mark.parametrize("aligned", [False, True])
def test_crops_of_masks(aligned):
    ops = torchvision_ops()
    import torch
    from torchvision.models.detection.roi_heads import project_masks_on_boxes

    rng = np.random.default_rng(0)
    masks = (rng.random((5, 20, 30)) < 0.5).astype(np.uint8)
    found, rows = boxes()[2:] / 4, rng.integers(0, 5, 38)
    got = jax.jit(lambda m: crop_masks(m, found, (7, 7), rows=rows, aligned=aligned))(masks)
    corners = torch.from_numpy(found[:, [1, 0, 3, 2]].copy())
    if aligned:
        # Detectron2 takes masks at one half after this.
        numbered = torch.cat([torch.from_numpy(rows)[:, None].float(), corners], dim=1)
        whole = torch.from_numpy(masks)[:, None].float()
        expected = ops.roi_align(whole, numbered, (7, 7), 1.0, -1, True)[:, 0]
    else:
        expected = project_masks_on_boxes(
            torch.from_numpy(masks), corners, torch.from_numpy(rows), 7
        )
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)
