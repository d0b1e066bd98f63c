"""From a config's data entry to batches: one order for all placements, hosts and resumptions."""

import itertools
import re

import numpy as np
import pytest
from list_source import ListSource
from PIL import Image

from cnnlab import config as cfg
from cnnlab.data.loading import in_memory, pipeline
from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.errors import UserError


def entry(monkeypatch, source, **changes):
    monkeypatch.setattr(pipeline.sources, "load", lambda *_, **__: source)
    data = cfg.base().data.to_dict()
    train = changes.pop("train", {})
    return {**data, **changes, "train": {**data["train"], **train}}


def take(data, start, count):
    return list(itertools.islice(data.batches(start), count))


def pixels(batches):
    """Return the index of each example, which the fake source writes in its pixels."""
    return np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])


@pytest.mark.parametrize("placement", ["memory", "device", "grain"])
def test_batches_from_the_middle_are_those_of_the_whole(monkeypatch, placement):
    data = pipeline.train_data(
        entry(monkeypatch, ListSource(), placement=placement), seed=3, batch_size=6
    )
    whole, rest = take(data, 0, 8), take(data, 5, 3)
    for a, b in zip(whole[5:], rest, strict=True):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_placements_deliver_the_same_examples(monkeypatch):
    held, device, streamed = (
        pipeline.train_data(entry(monkeypatch, ListSource(), placement=p), seed=3, batch_size=6)
        for p in ("memory", "device", "grain")
    )
    expected = pixels(take(held, 0, 8))
    np.testing.assert_array_equal(pixels(take(streamed, 0, 8)), expected)
    looked_up = [device.arrays["image"][b["index"]][:, 0, 0, 0] for b in take(device, 0, 8)]
    np.testing.assert_array_equal(np.concatenate(looked_up), expected)
    # 48 draws from 20 examples: two whole epochs, each example once in each.
    assert sorted(expected[:20]) == sorted(expected[20:40]) == list(range(20))


@pytest.mark.parametrize("sampler", ["classes", "pairs"])
def test_placements_and_hosts_deliver_the_same_classes_and_pairs(monkeypatch, sampler):
    def batches(placement, **host):
        train = {"sampler": {"name": sampler, "classes": {"per_class": 3}, "pairs": {}}}
        data = entry(monkeypatch, ListSource(), placement=placement, train=train)
        return take(pipeline.train_data(data, seed=3, batch_size=6, **host), 4, 3)

    for held, streamed, on_device in zip(*map(batches, ("memory", "grain", "device")), strict=True):
        assert held["label"].shape == ((6, 2) if sampler == "pairs" else (6,))
        assert held["image"].shape[: held["label"].ndim] == held["label"].shape
        for key in held:
            np.testing.assert_array_equal(streamed[key], held[key])
        # The fake source writes its index into the pixels.
        np.testing.assert_array_equal(held["image"][..., 0, 0, 0], on_device["index"])
    halves = [batches("memory", host=host, hosts=2) for host in range(2)]
    for whole, *parts in zip(batches("memory"), *halves, strict=True):
        for key in whole:
            np.testing.assert_array_equal(np.concatenate([p[key] for p in parts]), whole[key])


def test_classes_of_a_batch_need_labels(monkeypatch):
    train = {"sampler": {"name": "pairs", "pairs": {}}}
    data = entry(monkeypatch, ListSource(), keys=("image",), train=train)
    with pytest.raises(UserError, match="add 'label' to data\\.keys"):
        pipeline.train_data(data, seed=0, batch_size=4)


@pytest.mark.parametrize("placement", ["memory", "grain"])
def test_hosts_share_each_batch_between_them(monkeypatch, placement):
    settings = entry(monkeypatch, ListSource(), placement=placement)
    whole = take(pipeline.train_data(settings, seed=1, batch_size=8), 0, 4)
    parts = [
        take(pipeline.train_data(settings, seed=1, batch_size=8, host=h, hosts=2), 0, 4)
        for h in range(2)
    ]
    for batch, first, second in zip(whole, *parts, strict=True):
        for key in ("image", "ordinal"):
            joined = np.concatenate([first[key], second[key]])
            np.testing.assert_array_equal(joined, batch[key])


@pytest.mark.parametrize("placement", ["memory", "grain"])
def test_evaluation_covers_the_split_once_in_order(monkeypatch, placement):
    data = pipeline.eval_data(
        entry(monkeypatch, ListSource(13), placement=placement), "test", batch_size=5
    )
    batches = list(data.batches())
    index = np.concatenate([b["index"][b["valid"]] for b in batches])
    np.testing.assert_array_equal(index, np.arange(13))
    assert [len(b["valid"]) for b in batches] == [5, 5, 5]


@pytest.mark.parametrize("placement", ["auto", "memory", "grain"])
def test_corrupt_image_stops_with_its_name(monkeypatch, placement):
    settings = entry(monkeypatch, ListSource(corrupt=[4]), placement=placement)
    with pytest.raises(CorruptImage, match=r"image4\.png"):
        take(pipeline.train_data(settings, seed=0, batch_size=10), 0, 2)


def test_skipped_examples_are_left_out_of_memory_and_counted(monkeypatch):
    settings = entry(monkeypatch, ListSource(corrupt=[0, 7]), placement="auto", on_corrupt="skip")
    data = pipeline.train_data(settings, seed=0, batch_size=9)
    assert (data.count, data.readable(), data.corrupt, data.skipped()) == (18, 18, [0, 7], 2)
    assert sorted(pixels(take(data, 0, 2))) == [i for i in range(20) if i not in (0, 7)]


def test_skipped_examples_are_replaced_by_the_next_in_a_stream(monkeypatch):
    settings = entry(
        monkeypatch, ListSource(corrupt=[0, 7, 8]), placement="grain", on_corrupt="skip"
    )
    data = pipeline.train_data(settings, seed=0, batch_size=10)
    expected = sorted([i for i in range(20) if i not in (0, 7, 8)] + [1, 9, 9])
    assert sorted(pixels(take(data, 0, 2))) == expected
    assert (data.skipped(), data.readable()) == (3, data.count - 3)


@pytest.mark.parametrize("placement", ["memory", "grain"])
@pytest.mark.parametrize("preprocess", [{}, {"center_crop": {"size": 3}}, {"resize": {"size": 4}}])
@pytest.mark.parametrize("corrupt", [[5], [0, 1, 5, 11]])
def test_skipped_examples_count_nowhere_in_an_evaluation(
    monkeypatch, placement, preprocess, corrupt
):
    settings = entry(
        monkeypatch,
        ListSource(12, corrupt=corrupt),
        placement=placement,
        on_corrupt="skip",
        eval={"preprocess": preprocess, "splits": {}},
    )
    expected = [i for i in range(12) if i not in corrupt]
    for hosts in (1, 2):
        parts = [
            pipeline.eval_data(settings, "test", batch_size=6, host=host, hosts=hosts)
            for host in range(hosts)
        ]
        batches = [list(data.batches()) for data in parts]
        index, seen = (
            np.concatenate(
                [values[b["valid"]] for part in batches for b in part for values in (f(b),)]
            )
            for f in (lambda b: b["index"], lambda b: b["image"][:, 0, 0, 0])
        )
        assert sorted(index) == expected
        np.testing.assert_array_equal(seen, index)  # each example under its own index
        shapes = {tuple(x.shape for x in b.values()) for part in batches for b in part}
        assert len(shapes) == 1
        found = {i for data in parts for i in data.source.source.corrupt()}
        for data in parts:
            data.share_skipped(lambda _: np.array(sorted(found)))  # noqa: B023
            assert (data.count, data.skipped()) == (len(expected), len(corrupt))
        # Once more, known as they are now.
        again = np.concatenate([b["index"][b["valid"]] for d in parts for b in d.batches()])
        assert sorted(again) == expected


@pytest.mark.parametrize("placement", ["memory", "grain"])
@pytest.mark.parametrize("sampler", ["shuffle", "pairs"])
def test_images_of_several_sizes_are_explained(monkeypatch, placement, sampler):
    class Growing(ListSource):
        def __getitem__(self, index):
            example = super().__getitem__(index)
            return {**example, "image": np.zeros((4, 4 + index, 1), np.uint8)}

    train = {"sampler": {"name": sampler, "classes": {"per_class": 3}, "pairs": {}}}
    settings = entry(monkeypatch, Growing(), placement=placement, train=train)
    with pytest.raises(UserError, match=r"'image' differs in shape.*resize with mode='exact'"):
        take(pipeline.train_data(settings, seed=0, batch_size=4), 0, 1)
    with pytest.raises(UserError, match="'image' differs in shape"):
        list(pipeline.eval_data(settings, "test", batch_size=4).batches())


def test_random_preprocessing_differs_between_epochs_and_repeats(monkeypatch):
    rng = np.random.default_rng(0)
    source = ListSource(4, shape=(16, 16, 1))
    noise = rng.integers(0, 255, (4, 16, 16, 1), np.uint8)
    monkeypatch.setattr(
        ListSource, "__getitem__", lambda _, i: {"image": noise[i], "label": np.array(0, np.int32)}
    )
    crop = cfg.preprocess(random_resized_crop={"size": 8}).to_dict()
    settings = entry(monkeypatch, source, train={"preprocess": crop})
    data = pipeline.train_data(settings, seed=0, batch_size=4)
    first, second = take(data, 0, 2)
    again = take(data, 1, 1)[0]
    np.testing.assert_array_equal(second["image"], again["image"])
    by_pixels = {image.tobytes() for image in first["image"]}
    assert not by_pixels & {image.tobytes() for image in second["image"]}


def test_random_preprocessing_cannot_be_held_in_memory(monkeypatch):
    crop = cfg.preprocess(random_resized_crop={"size": 8}).to_dict()
    settings = entry(monkeypatch, ListSource(), placement="memory", train={"preprocess": crop})
    with pytest.raises(UserError, match="preprocesses once"):
        pipeline.train_data(settings, seed=0, batch_size=4)


def test_random_evaluation_is_refused(monkeypatch):
    crop = cfg.preprocess(random_resized_crop={"size": 8}).to_dict()
    settings = entry(monkeypatch, ListSource(), eval={"preprocess": crop, "splits": {}})
    with pytest.raises(UserError, match=r"data\.eval\.preprocess is random"):
        pipeline.eval_data(settings, "test", batch_size=4)


def test_large_sets_are_streamed_unless_asked_for(monkeypatch):
    monkeypatch.setattr(pipeline.in_memory, "AUTO_LIMIT_BYTES", 100)
    data = pipeline.train_data(entry(monkeypatch, ListSource()), seed=0, batch_size=4)
    assert not data._held
    data = pipeline.train_data(
        entry(monkeypatch, ListSource(), placement="memory"), seed=0, batch_size=4
    )
    assert len(data._held["image"]) == 20


def test_empty_split_is_refused(monkeypatch):
    with pytest.raises(UserError, match="is empty"):
        pipeline.train_data(entry(monkeypatch, ListSource(0)), seed=0, batch_size=4)


def test_position_tells_one_training_set_from_another(monkeypatch):
    a = pipeline.train_data(entry(monkeypatch, ListSource(20)), seed=0, batch_size=4)
    b = pipeline.train_data(entry(monkeypatch, ListSource(19)), seed=0, batch_size=4)
    assert a.position() == {**b.position(), "examples": 20}


@pytest.mark.parametrize(
    ("parts", "flags"),
    [
        (("train", "val"), "test='train[80%:]'"),
        (("",), "validation='train[80%:90%]' --config.data.eval.splits.test='train[90%:]'"),
    ],
)
def test_a_set_without_a_split_is_cut_as_the_error_says(tmp_path, parts, flags):
    for part in parts:
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(10):
                Image.new("RGB", (4, 4)).save(tmp_path / part / name / f"{i}.png")
    data = {**cfg.base().data.to_dict(), "source": f"folder:{tmp_path}"}
    splits = {"validation": "validation", "test": "test"}
    data["eval"]["splits"] = splits
    with pytest.raises(UserError) as caught:
        for split in splits.values():
            pipeline.eval_data(data, split, batch_size=4)
    remedy = str(caught.value).partition("; cut from train: --config.data.train.split=")[2]
    assert remedy == f"'train[:80%]' --config.data.eval.splits.{flags}"
    counts = [
        pipeline.eval_data(data, split, batch_size=4).count
        for split in re.findall(r"'(train.*?)'", remedy)
    ]
    assert sum(counts) == 20


def test_a_part_of_a_split_that_there_is_has_no_remedy(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((9, 4, 4), np.uint8), label=np.arange(9) % 2)
    data = {**cfg.base().data.to_dict(), "source": f"npz:{tmp_path}/x.npz"}
    with pytest.raises(UserError, match=r"Requested slice.*beyond|out of|train \(9\)") as caught:
        pipeline.eval_data(data, "train[20:]", batch_size=4)
    assert "cut from train" not in str(caught.value)


def test_an_example_that_lacks_a_key_is_named():
    with pytest.raises(UserError, match="example 1 has no 'label', which the first has"):
        in_memory.stack([{"image": np.zeros(3), "label": np.zeros(())}, {"image": np.zeros(3)}])


def test_a_source_is_checked_before_the_first_step_unless_what_is_corrupt_is_skipped(monkeypatch):
    class Checked(ListSource):
        def check(self):
            raise CorruptImage("image7.png", 7, "there is no such file")

    source = Checked(corrupt=[7])
    with pytest.raises(CorruptImage, match="image7"):
        pipeline.train_data(entry(monkeypatch, source, placement="grain"), seed=0, batch_size=4)
    settings = entry(monkeypatch, source, on_corrupt="skip")
    assert pipeline.train_data(settings, seed=0, batch_size=4).count == 19


@pytest.mark.parametrize("placement", ["memory", "grain"])
def test_images_of_different_sizes_are_batched_with_their_original_sizes(monkeypatch, placement):
    class Ragged(ListSource):
        def __getitem__(self, index):
            return {**super().__getitem__(index), "image": np.zeros((8 + index, 9, 1), np.uint8)}

    chosen = {"preprocess": {"pad_image": {"size": 32}}}
    data = entry(monkeypatch, Ragged(), placement=placement, train=chosen)
    data["eval"] = {**cfg.base().data.eval.to_dict(), **chosen}
    batch = next(pipeline.eval_data(data, "train", batch_size=4).batches())
    assert batch["image"].shape == (4, 32, 32, 1) and batch["to_original"].shape == (4, 2, 3)
    np.testing.assert_array_equal(batch["original_size"], [[8 + n, 9] for n in range(4)])
