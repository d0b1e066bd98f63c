"""Spatial targets of one example, and a plain numpy reference that moves them by loops."""

import numpy as np

KINDS = {
    "boxes": "box",
    "masks": "instance_mask",
    "classes": "object",
    "joints": "keypoints",
    "landmarks": "keypoints",
    "ground": "label_map",
    "depth": "depth",
    "flow": "flow",
    "known_flow": "flow",
    "disparity": "disparity",
    "to_original": "to_original",
    "image_region": "region",
}
PAIRS = {"joints": ((0, 1),), "landmarks": ((1, 2),)}
# The names of KINDS by kind, for a test a kind.
OF_KIND = {kind: [k for k in KINDS if KINDS[k] == kind] for kind in KINDS.values()}


def example(height, width, seed=0, objects=4):
    """Targets under every kind; some boxes stick out and some keypoints are not labeled."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-2, [height - 3, width - 3], (objects, 2))
    side = rng.uniform(1, [height / 2, width / 2], (objects, 2))

    def points(*shape):
        place = rng.uniform(0, [height, width], (*shape, 2))
        visible = rng.integers(0, 3, (*shape, 1))
        return np.concatenate([place * (visible > 0), visible], -1).astype(np.float32)

    return {
        "boxes": np.concatenate([corner, corner + side], -1).astype(np.float32),
        "masks": rng.integers(0, 2, (objects, height, width)).astype(np.uint8),
        "classes": rng.integers(1, 9, objects).astype(np.int32),
        "joints": points(objects, 3),
        "landmarks": points(4),
        "ground": rng.integers(0, 9, (height, width)).astype(np.int32),
        "depth": rng.uniform(1, 9, (height, width, 1)).astype(np.float32),
        "flow": rng.normal(size=(height, width, 2)).astype(np.float32),
        "known_flow": rng.normal(size=(height, width, 3)).astype(np.float32),
        "disparity": rng.uniform(1, 9, (height, width)).astype(np.float32),
        "to_original": rng.normal(size=(2, 3)).astype(np.float32),
        "image_region": np.array([1, 2, height - 2, width - 1], np.float32),
    }


def moved(found, backward, size, min_visible=0.0):
    """Targets after one transform, and which objects are there; rows of others are zeros."""
    backward = np.asarray(backward, np.float64)
    forward = np.linalg.inv(np.vstack([backward, [0, 0, 1]]))[:2]
    height, width = size
    there, boxes = [], []
    for y0, x0, y1, x1 in [*found["boxes"].astype(float), found["image_region"].astype(float)]:
        corners = [forward @ [y, x, 1] for y in (y0, y1) for x in (x0, x1)]
        (top, left), (bottom, right) = np.min(corners, 0), np.max(corners, 0)
        whole = (bottom - top) * (right - left)
        top, bottom = np.clip([top, bottom], 0, height)
        left, right = np.clip([left, right], 0, width)
        part = (bottom - top) * (right - left)
        there.append(part > 0 and part >= min_visible * whole)
        boxes.append([top, left, bottom, right])
    *boxes, region = boxes
    there = np.array(there[:-1])

    def keypoints(points, pairs):
        result = np.zeros_like(points)
        for index in np.ndindex(points.shape[:-1]):
            y, x, visible = points[index]
            y, x = forward @ [y, x, 1]
            if visible and 0 <= y <= height and 0 <= x <= width:
                result[index] = y, x, visible
        if np.linalg.det(forward[:, :2]) < 0:
            for one, other in pairs:
                result[..., [one, other], :] = result[..., [other, one], :]
        return result

    def sampled(values, fill):
        result = np.full((*size, *values.shape[2:]), fill, values.dtype)
        for i, j in np.ndindex(*size):
            y, x = np.floor(backward @ [i + 0.5, j + 0.5, 1] + 1e-3).astype(int)
            if 0 <= y < values.shape[0] and 0 <= x < values.shape[1]:
                result[i, j] = values[y, x]
        return result

    def flow(values):
        result = sampled(values, 0)
        for place in np.ndindex(*size):
            result[place][:2] = forward[:, :2] @ result[place][:2]
        return result

    result = {
        "boxes": np.array(boxes, np.float32),
        "masks": np.stack([sampled(mask, 0) for mask in found["masks"]]),
        "classes": found["classes"].copy(),
        "joints": keypoints(found["joints"], PAIRS["joints"]),
        "landmarks": keypoints(found["landmarks"], PAIRS["landmarks"]),
        "ground": sampled(found["ground"], 255),
        "depth": sampled(found["depth"], 0),
        "flow": flow(found["flow"]),
        "known_flow": flow(found["known_flow"]),
        "image_region": np.array(region, np.float32),
        "disparity": (forward[1, 1] * sampled(found["disparity"], 0)).astype(np.float32),
        "to_original": (found["to_original"] @ np.vstack([backward, [0, 0, 1]])).astype(np.float32),
    }
    for key in ("boxes", "masks", "classes", "joints"):
        result[key][~there] = 0
    return result, there


def smooth(height, width):
    """An image of two slow waves, from 0 to 1."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = [np.sin(y / 7 + x / 15), np.cos(x / 6 - y / 20), np.sin(x / 8) * np.cos(y / 9)]
    return (np.stack(waves, -1) + 1) / 2


def sampled_image(image, backward, size):
    """Bilinear samples where the matrix says, NaN within a pixel of the border and outside."""
    result = np.full((*size, image.shape[-1]), np.nan)
    for i, j in np.ndindex(*size):
        y, x = np.asarray(backward, float) @ [i + 0.5, j + 0.5, 1] - 0.5
        if 1 <= y < image.shape[0] - 2 and 1 <= x < image.shape[1] - 2:
            k, m = int(y), int(x)
            rows = (1 - y + k) * image[k] + (y - k) * image[k + 1]
            result[i, j] = (1 - x + m) * rows[m] + (x - m) * rows[m + 1]
    return result
