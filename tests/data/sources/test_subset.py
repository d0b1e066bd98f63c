"""Some of the classes, and a few examples of each."""

import itertools
import pickle

import numpy as np
import pytest
from list_source import ListSource

from cnnlab import config as cfg
from cnnlab.data.loading import pipeline
from cnnlab.data.sources import source as sources
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.subset import Subset
from cnnlab.errors import UserError


class Lettered:
    """Labels a, b, c, d in turn; the image is the index."""

    info = Info(
        "lettered", "train", tuple("abcd"), {"image": ((), "uint8"), "label": ((), "int32")}
    )

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"image": np.array(index, np.uint8), "label": np.array(index % 4, np.int32)}


def indices(subset):
    return [int(subset[i]["image"]) for i in range(len(subset))]


def test_labels_are_renumbered_in_the_order_of_the_classes():
    subset = Subset(Lettered(), classes=("d", 0))
    assert subset.info.class_names == ("d", "a")
    assert indices(subset) == sorted([*range(3, 40, 4), *range(0, 40, 4)])
    for i in range(len(subset)):
        example = subset[i]
        assert example["label"] == {3: 0, 0: 1}[int(example["image"]) % 4]
        assert example["label"].dtype == np.int32


def test_a_few_of_each_class_are_the_seeds_whatever_else_there_is():
    few = indices(Subset(Lettered(), per_class=3, seed=7))
    assert np.bincount(np.array(few) % 4).tolist() == [3, 3, 3, 3]
    assert few == sorted(few)
    assert few == indices(Subset(Lettered(), per_class=3, seed=7))
    assert few != indices(Subset(Lettered(), per_class=3, seed=8))
    # More of the same seed contain fewer; other classes make no difference.
    assert set(few) < set(indices(Subset(Lettered(), per_class=5, seed=7)))
    only = indices(Subset(Lettered(), classes=("c", "b"), per_class=3, seed=7))
    assert only == [i for i in few if i % 4 in (1, 2)]
    # Drawn for each class by itself, or one writer would serve all classes.
    positions = {tuple(i // 4 for i in few if i % 4 == label) for label in range(4)}
    assert len(positions) > 1


def test_a_view_ends_and_travels_to_other_processes():
    subset = pickle.loads(pickle.dumps(Subset(Lettered(), classes=("b",))))
    assert [int(example["image"]) for example in subset] == list(range(1, 40, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(classes=("a", "bb")), "'lettered' has no 'bb'; did you mean 'b'"),
        (dict(classes=(4,)), "has no class 4, only 0 to 3"),
        (dict(classes=(-1,)), "has no class -1"),
        (dict(classes=("a", 0)), "names 'a' twice"),
        (dict(per_class=11), "'lettered' split 'train' has 10 examples of 'a'"),
        (dict(per_class=-1), "data.train.per_class=-1"),
    ],
)
def test_what_is_not_there_is_named(options, message):
    with pytest.raises(UserError) as error:
        Subset(Lettered(), **options)
    assert message in str(error.value)


def test_a_set_without_labels_has_no_classes():
    source = ListSource()
    source.info = Info("pictures", "train", (), {"image": ((4, 4, 1), "uint8")})
    with pytest.raises(UserError, match="'pictures' has no classes to choose from"):
        Subset(source, classes=(0,))


def data(**changes):
    entry = cfg.base().data.to_dict()
    entry["train"]["per_class"] = 4
    return {**entry, "classes": ("7", "1"), **changes}


@pytest.mark.parametrize("placement", ["memory", "device", "grain"])
def test_every_placement_delivers_the_classes_and_the_few(placement):
    entry = data(placement=placement)
    train = pipeline.train_data(entry, seed=3, batch_size=8)
    assert train.count == 8
    assert train.source.info.class_names == ("7", "1")
    batch = next(train.batches(0))
    held = {k: v[batch["index"]] for k, v in train.arrays.items()} or batch
    assert np.bincount(held["label"]).tolist() == [4, 4]
    whole = sources.load("digits", "train")
    ours = {bytes(image) for image in held["image"]}
    names = {bytes(e["image"]): int(e["label"]) for e in map(whole.__getitem__, range(len(whole)))}
    assert {names[image] for image in ours} == {7, 1}
    # Evaluation has the classes, and all of their examples.
    evaluation = pipeline.eval_data(entry, "test", batch_size=8)
    labels = sources.load("digits", "test").labels()
    assert evaluation.count == np.isin(labels, (7, 1)).sum()
    found = np.concatenate([b["label"][b["valid"]] for b in evaluation.batches()])
    assert np.bincount(found).tolist() == [(labels == 7).sum(), (labels == 1).sum()]


def test_labels_of_files_are_found_without_their_images(tmp_path):
    import cv2

    for name, label in itertools.product("ab", ("cat", "dog")):
        (tmp_path / label).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / label / f"{name}.png"), np.zeros((2, 2, 3), np.uint8))
    np.savez(tmp_path / "x.npz", image=np.zeros((3, 2, 2), np.uint8), label=np.array([2, 0, 2]))
    for name in (f"folder:{tmp_path}", f"npz:{tmp_path / 'x.npz'}"):
        source = sources.load(name, "train")
        expected = [int(source[i]["label"]) for i in range(len(source))]
        assert source.labels().tolist() == expected


class Animals(Lettered):
    """The classes of `Lettered` under another key."""

    info = Info("animals", "train", tuple("abcd"), {"image": ((), "uint8"), "kind": ((), "int32")})

    def __getitem__(self, index):
        example = super().__getitem__(index)
        return {"image": example["image"], "kind": example["label"]}


def test_the_label_may_be_under_any_key():
    subset, lettered = (
        Subset(source, classes=("d", 0), per_class=3, key=key)
        for source, key in ((Animals(), "kind"), (Lettered(), "label"))
    )
    assert indices(subset) == indices(lettered)
    assert [int(example["kind"]) for example in map(subset.__getitem__, range(6))] == list(
        subset.labels()
    )
    renamed = Subset.numbered_as(Animals(), ("c", "b", "d", "a"), "kind")
    assert [int(renamed[i]["kind"]) for i in range(4)] == [3, 1, 0, 2]
    with pytest.raises(UserError, match="no classes to choose from: no label"):
        Subset(Animals(), classes=("d",))
