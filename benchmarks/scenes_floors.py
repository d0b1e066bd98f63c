"""What predictors that see no shapes reach on `scenes`: the floors that its documentation states.

    python benchmarks/scenes_floors.py [--images=300]

The constant ones are fitted to train and judged on test: the commonest label of a pixel, the mean
depth of a pixel, its mean by the row, no motion and the mean motion. Color is judged twice: by the
commonest label of each of 8 x 8 x 8 colors, and as mean-shift segments (Comaniciu & Meer 2002) of
one color, which are compared with the objects of `scenes` and of `shapes`.
"""

import argparse

import cv2
import numpy as np

from cnnlab.data.builders import scenes, shapes
from cnnlab.metrics import segmentation

LABELS = len(scenes.CLASSES) + len(scenes.PATTERNS)
# Radii of place and of color.
MEAN_SHIFTS = ((4, 20), (6, 40))


def color_segments(image, radii):
    """Return the number of the segment of each pixel: neighbors of one color after mean shift."""
    flat = cv2.pyrMeanShiftFiltering(np.ascontiguousarray(image), *radii, maxLevel=0)
    ids = np.full(image.shape[:2], -1)
    seen = np.zeros((image.shape[0] + 2, image.shape[1] + 2), np.uint8)
    for number, (y, x) in enumerate(np.ndindex(ids.shape)):
        if not seen[y + 1, x + 1]:
            before = seen.copy()
            cv2.floodFill(flat, seen, (x, y), 0, (6,) * 3, (6,) * 3, 4 | cv2.FLOODFILL_MASK_ONLY)
            ids[(seen > before)[1:-1, 1:-1]] = number
    return ids


def best_overlaps(image, masks, radii):
    """Return the best IoU of each mask with a segment."""
    segments = np.unique(color_segments(image, radii), return_inverse=True)[1].reshape(
        image.shape[:2]
    )
    count = segments.max() + 1
    sizes = np.bincount(segments.ravel(), minlength=count)
    both = [np.bincount(segments[m > 0], minlength=count) for m in masks]
    return [float((b / (sizes + m.sum() - b)).max()) for b, m in zip(both, masks, strict=True)]


def bins(image):
    """Return the number of the color of each pixel, one of 512."""
    return (image.astype(int) // 32) @ (64, 8, 1)


def segmentation_floors(train, test):
    counts = sum(np.bincount(e["label_map"].ravel(), minlength=256)[:LABELS] for e in train)
    by_color = np.zeros((512, LABELS), int)
    for e in train:
        known = e["label_map"] != 255
        np.add.at(by_color, (bins(e["image"])[known], e["label_map"][known]), 1)
    rows = {
        "commonest label": lambda e: np.full(e["label_map"].shape, counts.argmax()),
        "commonest label of the color": lambda e: by_color.argmax(1)[bins(e["image"])],
    }
    for name, predict in rows.items():
        matrix = sum(segmentation.confusion(e["label_map"], predict(e), LABELS) for e in test)
        found = segmentation.summarize(matrix)
        numbers = found["mean_iou"], found["pixel_accuracy"]
        print(f"{name:34} mIoU {numbers[0]:.3f}, pixel accuracy {numbers[1]:.3f}")


def depth_floors(train, test):
    mean = np.mean([e["depth"].mean() for e in train])
    rows = np.mean([cv2.resize(e["depth"], (1, 100)).ravel() for e in train], axis=0)
    for name, predict in {
        "mean depth": lambda e: np.full(e["depth"].shape, mean),
        "mean depth of the row": lambda e: np.broadcast_to(_rows(rows, e), e["depth"].shape),
    }.items():
        errors = [abs(predict(e) - e["depth"]) for e in test]
        relative = np.mean([(x / e["depth"]).mean() for x, e in zip(errors, test, strict=True)])
        rmse = np.sqrt(np.mean([np.square(x).mean() for x in errors]))
        print(f"{name:34} absolute relative error {relative:.3f}, RMSE {rmse:.3f}")


def _rows(means, example):
    places = [(np.arange(n) + 0.5) / n for n in (len(example["depth"]), len(means))]
    return np.interp(*places, means)[:, None]


def flow_floors(test):
    own = {"no motion": lambda f: 0 * f, "mean motion of the image": lambda f: f.mean((0, 1))}
    for name, predict in own.items():
        every, seen, objects = [], [], []
        for e in test:
            vectors = e["flow"][..., :2]
            error = np.hypot(*np.moveaxis(vectors - predict(vectors), -1, 0))
            every.append(error.mean())
            seen.append(error[e["flow"][..., 2] > 0].mean())
            on = e["masks"].any(0)
            objects.extend([error[on].mean()] if on.any() else [])
        numbers = [np.mean(x) for x in (every, seen, objects)]
        text = "end-point error {:.2f}, where seen {:.2f}, on objects {:.2f} pixels"
        print(f"{name:34} {text.format(*numbers)}")


def color_proposals(sets):
    for name, examples in sets.items():
        for radii in MEAN_SHIFTS:
            best = np.array(
                [v for e in examples for v in best_overlaps(e["image"], e["masks"], radii)]
            )
            text = f"recall at IoU 0.5 {(best >= 0.5).mean():.3f}, mean best IoU {best.mean():.3f}"
            print(f"{f'color segments of {name}, {radii}':34} {text}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=300)
    count = parser.parse_args().images

    def drawn(module, split):
        return [module.draw(np.random.default_rng((module.SEED, split, i))) for i in range(count)]

    train, test = drawn(scenes, 0), drawn(scenes, 2)
    segmentation_floors(train, test)
    depth_floors(train, test)
    flow_floors(test)
    color_proposals({"scenes": test, "shapes": drawn(shapes, 2)})


if __name__ == "__main__":
    main()
