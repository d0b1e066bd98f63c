"""VOC's average precision against the text of the devkit, written out object by object."""

import numpy as np
import pytest

from cnnlab.metrics.voc import Image, average_precision


def random_image(rng, classes=2):
    def boxes(count):
        start = rng.integers(0, 30, (count, 2))
        return np.concatenate([start, start + rng.integers(0, 25, (count, 2))], axis=1)

    true = boxes(rng.integers(0, 6))
    near = true[rng.integers(0, len(true), 6)] + rng.integers(-3, 4, (6, 4)) if len(true) else true
    found = np.concatenate([boxes(rng.integers(0, 5)), near])
    found[:, 2:] = np.maximum(found[:, :2], found[:, 2:])
    return Image(
        found,
        rng.integers(0, 10, len(found)) / 10,
        rng.integers(0, classes, len(found)),
        true,
        rng.integers(0, classes, len(true)),
        rng.random(len(true)) < 0.3,
    )


def share(a, b, pixel):
    height = min(a[2], b[2]) - max(a[0], b[0]) + pixel
    width = min(a[3], b[3]) - max(a[1], b[1]) + pixel
    if height <= 0 or width <= 0:
        return 0.0
    sizes = [(x[2] - x[0] + pixel) * (x[3] - x[1] + pixel) for x in (a, b)]
    return height * width / (sum(sizes) - height * width)


def by_the_text(images, number, eleven_points, pixel):
    rows = [
        (-image.score[d], i, d)
        for i, image in enumerate(images)
        for d in np.flatnonzero(image.found_class == number)
    ]
    objects = sum(int(((x.true_class == number) & ~x.difficult).sum()) for x in images)
    if not objects:
        return np.nan
    taken, hits, seen, recalls, precisions = set(), 0, 0, [], []
    for _, i, d in sorted(rows):
        image = images[i]
        best, which = 0.0, None
        for g in np.flatnonzero(image.true_class == number):
            overlap = share(image.found[d], image.true[g], pixel)
            if overlap > best:
                best, which = overlap, g
        if best > 0.5 and image.difficult[which]:
            pass
        elif best > 0.5 and (i, which) not in taken:
            taken.add((i, which))
            hits, seen = hits + 1, seen + 1
        else:
            seen += 1
        recalls.append(hits / objects)
        precisions.append(hits / seen if seen else 0.0)
    best_from = lambda r: max([p for q, p in zip(recalls, precisions) if q >= r], default=0.0)  # noqa: E731, B905
    if eleven_points:
        return np.mean([best_from(r / 10) for r in range(11)])
    area, before = 0.0, 0.0
    for recall in sorted(set(recalls)):
        area, before = area + (recall - before) * best_from(recall), recall
    return area


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("eleven_points", [True, False], ids=["2007", "2010"])
def test_equals_the_text_on_random_sets(eleven_points, inclusive):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        images = [random_image(rng) for _ in range(5)]
        got = average_precision(images, eleven_points=eleven_points, inclusive=inclusive)
        for number, value in got.items():
            expected = by_the_text(images, number, eleven_points, int(inclusive))
            assert value == pytest.approx(expected, abs=1e-9, nan_ok=True), (seed, number)


def test_an_inclusive_corner_can_make_the_difference():
    # 5 of 9 pixels with whole corners, 2 of 6 without.
    true, found = np.array([[0, 0, 1, 2]]), np.array([[0, 0, 1, 1]])
    one = Image(found, np.ones(1), np.zeros(1, int), true, np.zeros(1, int), np.zeros(1, bool))
    assert average_precision([one]) == {0: 1.0}
    assert average_precision([one], inclusive=False) == {0: 0.0}


def test_a_class_of_difficult_objects_only_is_nan_and_no_images_have_no_class():
    box, one = np.array([[0, 0, 9, 9]]), np.zeros(1, int)
    got = average_precision([Image(box, np.ones(1), one, box, one, np.ones(1, bool))])
    assert np.isnan(got[0])
    assert average_precision([]) == {}
