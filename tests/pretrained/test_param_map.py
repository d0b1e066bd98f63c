"""Arrays between layouts, element by element, and shapes without computing anything."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.pretrained.param_map import Slot, counters, shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_kernels_of_convolutions():
    theirs = normal(5, 2, 3, 4)
    ours = Slot("weight", (3, 4, 2, 5)).to_here(theirs)
    for o, i, h, w in np.ndindex(theirs.shape):
        assert ours[h, w, i, o] == theirs[o, i, h, w]


def test_dense_layers_compute_the_same():
    theirs, x = normal(5, 7), normal(2, 7)
    np.testing.assert_allclose(x @ Slot("weight", (7, 5)).to_here(theirs), x @ theirs.T)


def test_a_dense_layer_sees_the_same_flattened_map():
    channels, side = 3, 4
    maps, theirs = normal(2, channels, side, side), normal(5, channels * side * side)
    expected = maps.reshape(2, -1) @ theirs.T
    slot = Slot("weight", (channels * side * side, 5), side)
    ours = maps.transpose(0, 2, 3, 1).reshape(2, -1) @ slot.to_here(theirs)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "side", "there"),
    [
        ((3, 4, 2, 5), 0, (5, 2, 3, 4)),
        ((7, 5), 0, (5, 7)),
        ((18, 5), 3, (5, 18)),
        ((6,), 0, (6,)),
        ((6,), 3, (6,)),
    ],
)
def test_there_and_back_changes_nothing(shape, side, there):
    slot, ours = Slot("name", shape, side), normal(*shape)
    theirs = slot.to_there(ours)
    assert slot.shape_there == theirs.shape == there
    assert theirs.flags.c_contiguous
    np.testing.assert_array_equal(slot.to_here(theirs), ours)


def test_our_own_layout_changes_nothing():
    slot, ours = Slot("name", (3, 4, 2, 5), same=True), normal(3, 4, 2, 5)
    assert slot.shape_there == slot.to_there(ours).shape == (3, 4, 2, 5)
    assert slot.to_here(ours) is ours


def test_shapes_are_the_models_parameters_first():
    shapes = shapes_of("resnet18", width=0.25, num_classes=7)
    assert shapes["params/stem/conv1/kernel"] == (7, 7, 3, 16)
    assert shapes["params/logits/kernel"] == (128, 7)
    assert shapes["batch_stats/stage1/block2/norm2/var"] == (16,)
    assert [key.partition("/")[0] for key in shapes] == sorted(
        (key.partition("/")[0] for key in shapes), reverse=True
    )
    slots = slots_of(shapes, SOURCES["resnet18"][0])
    # 62 of PyTorch's state dict are parameters, 40 statistics, 20 counters.
    assert len({slot.name for slot in slots.values()}) == len(slots) == 102
    assert len(set(counters(slots))) == 20
    assert slots["params/stage2/block1/shortcut_norm/scale"].name == "layer2.0.downsample.1.weight"
    assert slots["batch_stats/stem/norm1/mean"].name == "bn1.running_mean"


def test_arguments_without_a_counterpart_are_refused():
    with pytest.raises(UserError, match="torchvision has nothing like params/stage1/block1/norm1"):
        slots_of(
            shapes_of("resnet18", width=0.25, depths=[1, 1, 1, 1], norm="group"),
            SOURCES["resnet18"][0],
        )
