"""Color alone finds the objects of `shapes`, and not those of `scenes`."""

import numpy as np

from benchmarks import scenes_floors
from cnnlab.data.builders import scenes, shapes

COUNT = 12


def drawn(module):
    return [module.draw(np.random.default_rng((module.SEED, 2, i))) for i in range(COUNT)]


def test_segments_are_neighbors_of_one_color():
    image = np.zeros((8, 12, 3), np.uint8)
    image[2:5, 3:7], image[2:5, 9:11] = 200, 200
    masks = np.stack([image[..., 0] == 200, image[..., 0] == 0])
    masks = np.concatenate([masks, masks[:1] & (np.arange(12) < 8)])
    assert scenes_floors.best_overlaps(image, masks, (1, 10)) == [12 / 18, 1, 1]


def test_color_loses_on_scenes_and_wins_on_shapes():
    recalls = []
    for module in (scenes, shapes):
        found = [
            overlap
            for e in drawn(module)
            for overlap in scenes_floors.best_overlaps(e["image"], e["masks"], (6, 40))
        ]
        recalls.append(np.mean(np.array(found) >= 0.5))
    assert recalls[0] < 0.55 and recalls[1] > 0.85


def test_the_floors_are_printed(capsys):
    examples = drawn(scenes)
    scenes_floors.segmentation_floors(examples, examples)
    scenes_floors.depth_floors(examples, examples)
    scenes_floors.flow_floors(examples)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:34].strip() for line in lines] == [
        *("commonest label", "commonest label of the color", "mean depth"),
        *("mean depth of the row", "no motion", "mean motion of the image"),
    ]
