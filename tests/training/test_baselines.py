"""Baselines see what the run saw: preprocessed, no skipped files, each split from its source."""

import numpy as np
import pytest
import small
from PIL import Image

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import baselines

CLASSES = ("bright", "dark")


def write(folder, *, swap=False, sizes=(12,), per_class=6, broken=()):
    """Write bright and dark images; `swap` exchanges their folders."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number, name in enumerate(CLASSES):
            place = folder / split / name
            place.mkdir(parents=True)
            level = 60 if (number == 1) != swap else 200
            for i in range(per_class):
                shape = (sizes[i % len(sizes)], sizes[(i + 1) % len(sizes)], 3)
                image = rng.integers(level - 40, level + 40, shape).astype(np.uint8)
                path = place / f"{i}.png"
                Image.fromarray(image).save(path)
                if (split, name, i) in broken:
                    path.write_bytes(b"no image")
    return f"folder:{folder}"


def accuracies(settings, setup=None):
    return baselines.accuracies(
        settings.representation.baselines,
        settings.data.to_dict(),
        settings.evaluate.splits,
        (setup or small.build(settings)).evaluations,
        "label",
        batch_size=settings.evaluate.batch_size,
        seed=settings.seed,
    )


def config(source, **changes):
    resize = cfg.preprocess(resize={"size": 8, "mode": "exact"})
    return small.config(
        **{
            "data__source": source,
            "data__train__preprocess": resize,
            "data__eval__preprocess": resize,
            "model__num_classes": 2,
            "batch_size": 4,
            "evaluate__batch_size": 4,
            "representation__baselines": ("nearest_neighbor", "majority"),
            **changes,
        }
    )


def test_images_of_several_sizes_are_compared_after_preprocessing(tmp_path):
    found = accuracies(config(write(tmp_path / "a", sizes=(9, 12, 20))))
    assert found == {
        "nearest_neighbor": {"test/accuracy": 1.0},
        "majority": {"test/accuracy": 0.5},
    }


@pytest.mark.parametrize("placement", ["memory", "grain"])
def test_skipped_files_are_no_part_of_a_baseline(tmp_path, placement):
    broken = [("train", "dark", 0), ("val", "bright", 1), *(("test", "dark", i) for i in range(3))]
    source = write(tmp_path / "a", broken=broken)
    found = accuracies(
        config(source, data__on_corrupt="skip", data__placement=placement, data__classes=CLASSES)
    )
    # Of the test set six bright images are left and three dark ones; bright is no majority of
    # training and validation: five and six, six and five.
    assert found["nearest_neighbor"]["test/accuracy"] == 1.0
    assert found["majority"]["test/accuracy"] in (6 / 9, 3 / 9)


def test_each_split_comes_from_its_own_source(tmp_path):
    source, other = write(tmp_path / "a"), write(tmp_path / "b", swap=True)
    found = accuracies(config(source, data__eval__sources={"test": other}))
    assert found["nearest_neighbor"]["test/accuracy"] == 0.0
    assert accuracies(config(source))["nearest_neighbor"]["test/accuracy"] == 1.0


def test_a_baseline_has_the_classes_and_the_few_examples_of_the_run(tmp_path):
    source = write(tmp_path / "a")
    changes = dict(data__classes=("dark", "bright"), data__train__per_class=2)
    settings = config(source, **changes, evaluate__splits=(), checkpoint__best="")
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            baselines.BASELINES,
            "majority",
            lambda train, labels, test: seen.append((train, labels)) or np.zeros(len(test), int),
        )
        accuracies(settings)
    train, labels = seen[0]
    assert sorted(labels) == [0, 0, 1, 1]
    assert train[labels == 0].mean() < 0.4 < train[labels == 1].mean()  # dark is 0 here
    assert train.shape == (4, 8 * 8 * 3)


def test_images_that_cannot_be_compared_are_refused_before_training(tmp_path):
    source, other = write(tmp_path / "a"), write(tmp_path / "b", sizes=(16,))
    none = cfg.preprocess()
    changes = dict(data__train__preprocess=none, data__eval__preprocess=none)
    settings = config(source, **changes, data__eval__sources={"test": other})
    with pytest.raises(UserError, match=r"baselines compare images of one size: \(12, 12, 3\)"):
        small.build(settings)


def test_baselines_without_a_held_out_split_say_so(tmp_path, caplog):
    settings = config(write(tmp_path / "a"), evaluate__splits=("validation", "test"))
    assert accuracies(settings) == {}
    assert "no split to test on" in caplog.text


def test_a_baseline_does_not_find_the_examples_that_it_is_tested_on():
    splits = {"validation": "validation", "part": "train[80%:]", "whole": "train+validation"}
    run = small.build(
        small.config(representation__baselines=("nearest_neighbor",), data__eval__splits=splits)
    )
    found = accuracies(run.config, run)["nearest_neighbor"]
    train, validation = run.train.source, run.evaluations["validation"].source
    images, labels = (
        np.array([s[i][key].reshape(-1) for s in (train, validation) for i in range(len(s))])
        for key in ("image", "label")
    )
    tested = np.arange(960, 1200)
    rest = np.delete(np.arange(len(images)), tested)
    right = [
        labels[rest[((images[rest].astype(int) - images[i]) ** 2).sum(axis=1).argmin()], 0]
        == labels[i, 0]
        for i in tested
    ]
    # Where all that there is would be tested, a neighbor at distance 0 would always be right.
    assert found == {"part/accuracy": pytest.approx(np.mean(right))}
