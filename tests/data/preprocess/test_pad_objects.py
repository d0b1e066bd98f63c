"""A fixed number of objects an example: the same batches from memory, device and Grain."""

import itertools

import numpy as np
import pytest

from cnnlab import config as cfg
from cnnlab.data.loading import pipeline
from cnnlab.data.preprocess.pad_objects import pad_objects
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError

COUNTS = (2, 0, 3, 1, 5, 4, 2, 1, 0, 3)


class Scenes:
    """Images of as many objects as COUNTS says; every box is [1, 1, 3, 1 + its number]."""

    def __init__(self):
        spec = {"image": ((8, 8, 1), "uint8"), "boxes": ((None, 4), "float32")}
        spec |= {"classes": ((None,), "int32"), "masks": ((None, 8, 8), "uint8")}
        self.info = Info("scenes", "train", (), spec)

    def __len__(self):
        return len(COUNTS)

    def __getitem__(self, index):
        numbers = np.arange(1, 1 + COUNTS[index])
        boxes = np.stack([np.ones_like(numbers)] * 2 + [3 * np.ones_like(numbers), 1 + numbers], 1)
        return {
            "image": np.full((8, 8, 1), index, np.uint8),
            "boxes": boxes.astype(np.float32),
            "classes": numbers.astype(np.int32),
            "masks": np.ones((len(numbers), 8, 8), np.uint8),
        }


def test_rows_are_filled_up_with_zeros_or_cut_off_and_counted():
    scenes = Scenes()
    few, many = (pad_objects(scenes[i], max_objects=4) for i in (0, 4))
    np.testing.assert_array_equal(few["classes"], [1, 2, 0, 0])
    np.testing.assert_array_equal(few["objects_valid"], [True, True, False, False])
    np.testing.assert_array_equal(few["boxes"][2:], np.zeros((2, 4)))
    assert few["masks"].shape == (4, 8, 8) and not few["masks"][2:].any()
    assert (few["objects_cut"], many["objects_cut"]) == (0, 1)
    np.testing.assert_array_equal(many["classes"], [1, 2, 3, 4])
    for key, value in scenes[0].items():
        assert few[key].dtype == value.dtype
    assert few["objects_cut"].dtype == few["objects_dropped"].dtype == np.int32


def test_an_example_without_objects_is_all_padding():
    none = pad_objects(Scenes()[1], max_objects=2)
    assert not none["objects_valid"].any() and not none["boxes"].any()


def test_objects_are_padded_after_all_that_drops_some():
    chosen = {"pad_objects": {"max_objects": 3}, "center_crop": {"size": 4}}
    example = Scenes()[4]  # the crop is of 2 to 6, boxes end at 2, 3, 4, 5 and 6
    made = preprocess(example, None, **chosen)
    np.testing.assert_array_equal(made["classes"], [2, 3, 4])
    np.testing.assert_array_equal(made["boxes"][0], [0, 0, 1, 1])
    assert (made["objects_dropped"], made["objects_cut"]) == (1, 1)


def test_what_has_no_objects_or_differs_in_their_number_is_refused():
    image = {"image": np.zeros((8, 8, 1), np.uint8)}
    with pytest.raises(UserError, match="the number of objects is: none"):
        pad_objects(image)
    with pytest.raises(UserError, match="the number of objects is: 'boxes' 2, 'classes' 3"):
        pad_objects({**image, "boxes": np.zeros((2, 4)), "classes": np.zeros(3)})
    with pytest.raises(UserError, match="max_objects = 0 is not a whole number of 1 or more"):
        cfg_entry = {"pad_objects": {"max_objects": 0}}
        preprocess(image, None, **cfg_entry)


def entry(monkeypatch, placement, **padding):
    monkeypatch.setattr(pipeline.sources, "load", lambda *_, **__: Scenes())
    data = cfg.base().data.to_dict()
    chosen = {"pad_objects": padding} if padding else {}
    part = {"preprocess": chosen}
    return {
        **data,
        "keys": ("image", "boxes", "classes", "masks"),
        "placement": placement,
        "train": {**data["train"], **part},
        "eval": {**data["eval"], **part},
    }


def rows_of(batch, arrays):
    """The batch as the step sees it: looked up where the set is on the device."""
    return {**batch, **{key: values[batch["index"]] for key, values in arrays.items()}}


@pytest.mark.parametrize("placement", ["memory", "device", "grain"])
def test_ragged_targets_make_the_same_batches_wherever_they_are_held(monkeypatch, placement):
    train = pipeline.train_data(entry(monkeypatch, placement, max_objects=3), seed=0, batch_size=5)
    for found in itertools.islice(train.batches(0), 4):
        batch = rows_of(found, train.arrays)
        count = np.array([COUNTS[i] for i in batch["image"][:, 0, 0, 0]])
        np.testing.assert_array_equal(batch["objects_valid"].sum(1), np.minimum(count, 3))
        np.testing.assert_array_equal(batch["objects_cut"], np.maximum(count - 3, 0))
        assert batch["boxes"].shape == (5, 3, 4) and batch["masks"].shape == (5, 3, 8, 8)
    example = train.example(2)
    assert example["objects_valid"].shape == (2, 3)


@pytest.mark.parametrize("placement", ["memory", "grain"])
def test_without_padding_the_error_says_what_to_do(monkeypatch, placement):
    data = entry(monkeypatch, placement)
    with pytest.raises(UserError, match=r"'boxes' differs in shape: .*\(pad_objects\)"):
        next(pipeline.train_data(data, seed=0, batch_size=5).batches(0))
