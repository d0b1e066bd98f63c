"""A run keeps its classes: by name through renamed, added and reordered ones, or refused."""

import numpy as np
import pytest
import small

import experiments
from cnnlab import config as cfg
from cnnlab.data.sources.subset import Subset
from cnnlab.errors import UserError
from cnnlab.training import class_names, setup, transfer

NAMES = ("cat", "dog", "fish")
SHADES = {"cat": 40, "dog": 120, "fish": 200}


def arrays(names, per_class=8):
    """Return images of which each class has a shade of its own, whatever number it has."""
    rng = np.random.default_rng(0)
    found = {"class_names": np.array(names)}
    for split in ("train", "validation", "test"):
        label = np.tile(np.arange(len(names)), per_class)
        shade = np.array([SHADES.get(name, 0) for name in names])
        image = shade[label][:, None, None, None] + rng.integers(0, 9, (len(label), 8, 8, 1))
        found |= {f"{split}_image": image.astype(np.uint8), f"{split}_label": label}
    return found


@pytest.fixture
def run(tmp_path):
    """Return a run that has learned the three classes, its data, and a function to open it."""
    file = tmp_path / "set.npz"
    np.savez(file, **arrays(NAMES))
    settings = config(file)
    loop, state = small.train(settings, tmp_path / "run")
    assert accuracy(loop.setup, state) == 1
    return tmp_path / "run", file, state


def config(file, **changes):
    settings = {
        "data__source": f"npz:{file}",
        "data__normalize": {"mean": (0.5,), "std": (0.25,)},
        "model__num_classes": 3,
        "batch_size": 12,
        "steps": 40,
        "evaluate__every": 20,
        "evaluate__batch_size": 8,
        "checkpoint__every": 20,
    }
    return small.config(**{**settings, **changes})


def build(folder, settings):
    experiment = experiments.create(settings.experiment.to_dict(), settings.model.to_dict())
    names = class_names.of_run(folder)
    return setup.make(settings, experiment, resume=True, class_names=names)


def accuracy(parts, state):
    return parts.evaluate_split(state, "validation").scalars()["accuracy"]


def test_checkpoint_knows_the_names(run):
    assert class_names.of_run(run[0]) == NAMES


@pytest.mark.parametrize(
    "names, said",
    [
        (("fish", "cat", "dog"), ""),
        (("bird", "cat", "dog", "fish"), "left out are 'bird'"),
        (("cat", "fish"), "there are none of 'dog'"),
        (("dog", "fish", "ant", "cat", "bee"), "left out are 'ant', 'bee'"),
    ],
    ids=["other order", "one more", "one less", "two more in between"],
)
@pytest.mark.sample(2)
def test_labels_are_numbered_by_name(run, names, said, caplog):
    folder, file, state = run
    np.savez(file, **arrays(names))
    parts = build(folder, config(file))
    assert parts.train.source.info.class_names == NAMES
    assert accuracy(parts, state) == 1
    assert said in caplog.text
    assert len(parts.evaluations["test"].source) == 8 * len(set(names) & set(NAMES))


def test_renamed_class_is_refused_with_both_names(run):
    folder, file, _ = run
    np.savez(file, **arrays(("dog", "fish", "zcat")))
    message = "it lacks 'cat' and has 'zcat' instead .*give renamed classes their names back"
    with pytest.raises(UserError, match=message):
        build(folder, config(file))


def test_data_without_names_are_taken_by_number(run):
    folder, file, state = run
    unnamed = arrays(NAMES)
    del unnamed["class_names"]
    np.savez(file, **unnamed)
    assert accuracy(build(folder, config(file)), state) == 1


def test_other_data_set_to_evaluate_on_is_numbered_as_the_training_set(run, tmp_path):
    _, file, state = run
    np.savez(tmp_path / "other.npz", **arrays(("fish", "dog")))
    sources = {"validation": f"npz:{tmp_path / 'other.npz'}"}
    parts = small.build(config(file, data__eval__sources=sources))
    assert accuracy(parts, state) == 1
    np.savez(tmp_path / "other.npz", **arrays(("fish", "wolf", "cat")))
    with pytest.raises(UserError, match="it lacks 'dog' and has 'wolf' instead"):
        small.build(config(file, data__eval__sources=sources))


def test_other_people_to_verify_need_not_be_those_trained_on(tmp_path):
    for name, names in (("a.npz", NAMES), ("b.npz", ("wolf", "yak"))):
        np.savez(tmp_path / name, **arrays(names))

    def changes(**evaluators):
        return dict(
            experiment=cfg.experiment("triplet"),
            checkpoint__best="",
            data__eval__sources={"test": f"npz:{tmp_path / 'b.npz'}"},
            representation__evaluators=cfg.evaluators(**evaluators),
        )

    parts = small.build(config(tmp_path / "a.npz", **changes(verification={})))
    assert parts.evaluations["test"].source.info.class_names == ("wolf", "yak")
    with pytest.raises(UserError, match="lacks 'cat', 'dog', 'fish' and has 'wolf', 'yak'"):
        small.build(config(tmp_path / "a.npz", **changes(knn={})))


def test_subset_of_classes_keeps_its_order(run):
    folder, file, state = run
    settings = config(file, data__classes=NAMES)
    np.savez(file, **arrays(("fish", "bird", "cat", "dog")))
    assert accuracy(build(folder, settings), state) == 1


def test_classifier_is_not_taken_over_for_other_classes(run, tmp_path):
    folder, file, state = run
    settings = config(file)
    transfer.run_folder.record(folder, settings.to_dict())
    np.savez(tmp_path / "new.npz", **arrays(("dog", "cat", "fish")))

    def start(**changes):
        return small.build(config(tmp_path / "new.npz", init_from__path=str(folder), **changes))

    with pytest.raises(UserError, match=r"output 0 of step 40 .* is 'cat', here it is 'dog'"):
        start()
    assert accuracy(start(data__classes=NAMES), state) == 1
    start(init_from__skip=("head",))


def test_subset_says_which_example_is_which(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(("fish", "bird", "cat", "dog"), per_class=1))
    source = small.build(config(tmp_path / "a.npz", model__num_classes=4, batch_size=4)).train
    made = Subset.numbered_as(source.source.source, NAMES)
    assert list(made.labels()) == [2, 0, 1]
    assert list(made.indices) == [0, 2, 3]
    assert [int(made[i]["label"]) for i in range(3)] == [2, 0, 1]
