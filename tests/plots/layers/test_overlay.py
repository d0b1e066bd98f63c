"""Frames of receptive fields lie where the fields are."""

import numpy as np
from matplotlib.patches import Rectangle

from cnnlab.analysis.receptive_field import Field
from cnnlab.analysis.summary import Row
from cnnlab.plots.layers.overlay import Box, boxes_of, overlay


def row(name, shape, *fields):
    found = tuple(Field(size, float(stride), float(start)) for size, stride, start in fields)
    return Row(name, shape, 0, 0, 0, found)


def test_field_of_the_middle_unit_is_found():
    rows = [
        row("conv", (1, 16, 8, 4), (7, 2, -3), (5, 4, -2)),
        row("all", (1, 16, 8, 4), (None, 1, 0), (None, 1, 0)),
        row("logits", (1, 10), (32, 4, 0), (32, 4, 0)),
    ]
    assert boxes_of(rows, (32, 32)) == [
        Box("conv", -3 + 8 * 2, -2 + 4 * 4, 7, 5),
        Box("all", 0, 0, 32, 32),
        Box("logits", 0, 0, 32, 32),
    ]


def test_frames_are_drawn_where_the_boxes_are_and_listed_by_size():
    image = np.zeros((32, 32, 3), np.uint8)
    boxes = [Box("late", -4, -4, 40, 40), Box("early", 10, 12, 5, 7), Box("same", -4, -4, 40, 40)]
    axes = overlay(image, boxes, "title").axes[0]
    frames = [p.get_bbox().bounds for p in axes.patches if isinstance(p, Rectangle) and not p.fill]
    # Each with a white edge below it, the large one first.
    assert frames == [(-4, -4, 40, 40)] * 2 + [(12, 10, 7, 5)] * 2
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["early: 5×7", "late, same: 40×40"]
    assert axes.images[0].get_extent() == [0, 32, 32, 0]
    # All that is outside of the image is in view.
    assert axes.get_xlim()[0] < -4
    assert axes.get_ylim()[0] > 36


def test_gray_images_are_shown_too():
    axes = overlay(np.full((4, 4, 1), 0.5), [Box("a", 0, 0, 2, 2)]).axes[0]
    assert axes.images[0].get_array().shape == (4, 4)
