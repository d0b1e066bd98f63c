"""Masks of run lengths, texts and polygons equal pycocotools' pixel by pixel."""

import numpy as np
import pytest

from cnnlab.geometry import run_length

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("seed", range(40))
def test_polygons(seed):
    from pycocotools import mask as peer

    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(5, 80, 2).tolist())
    polygons = []
    for _ in range(rng.integers(1, 4)):
        corners = rng.uniform(-5, max(size) + 5, (rng.integers(3, 12), 2))
        polygons.append(np.round(corners, rng.integers(0, 3)))
    flat = [polygon[:, ::-1].ravel().tolist() for polygon in polygons]
    expected = peer.decode(peer.merge(peer.frPyObjects(flat, *size)))
    np.testing.assert_array_equal(run_length.from_polygons(polygons, size), expected)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 1.0])
def test_texts(share):
    from pycocotools import mask as peer

    mask = (np.random.default_rng(1).random((61, 47)) < share).astype(np.uint8)
    encoded = peer.encode(np.asfortranarray(mask))
    counts = run_length.encode(mask)
    assert run_length.to_text(counts) == encoded["counts"].decode()
    np.testing.assert_array_equal(
        run_length.decode(run_length.from_text(encoded["counts"].decode()), mask.shape), mask
    )
