"""An objective and what its batches hold: before anything is compiled."""

import jax
import numpy as np
import pytest
import small

import experiments
from cnnlab import config as cfg
from cnnlab import models
from cnnlab.data import device_transform
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError
from cnnlab.training import targets
from experiments import EXPERIMENTS

SPEC = {"image": ((8, 8, 1), "uint8"), "label": ((), "int32"), "shade": ((), "int32")}
MIXED = [cfg.augment(mixup={}), cfg.augment(cutmix={}), cfg.augment(mixup={}, cutmix={})]


def check(settings, group=(), **batch):
    """Look at a batch of two; keys of `batch` are added."""
    experiment = dict(settings.experiment)
    model = models.create("mlp", hidden=(4,))
    made = EXPERIMENTS[experiment.pop("name")](model=model, **experiment)
    example = {
        "image": np.zeros((2, *group, 8, 8, 1), np.uint8),
        "label": np.zeros((2, *group), np.int32),
        **batch,
    }
    kept = {key: value for key, value in example.items() if value is not None}
    prepare = device_transform.make_device_transform(settings.data.to_dict())
    key = jax.random.key(0)
    prepared = jax.eval_shape(lambda batch: prepare(batch, key, train=True), kept)
    info, name = Info("digits", "train", spec=SPEC), settings.experiment.name
    targets.check(settings.data.to_dict(), made, name, info, kept, prepared)


@pytest.mark.parametrize("augment", MIXED)
@pytest.mark.parametrize(("name", "group"), [("triplet", ()), ("siamese", (2,)), ("cpc", ())])
def test_mixed_examples_are_refused_for_objectives_that_do_not_read_them(name, group, augment):
    sampler = {"data__train__sampler__name": "pairs"} if group else {}
    settings = small.config(
        experiment=cfg.experiment(name), data__train__augment=augment, **sampler
    )
    with pytest.raises(UserError, match=f"label_weight, which experiment '{name}' does not read"):
        check(settings, group)


@pytest.mark.parametrize("augment", MIXED)
def test_mixed_labels_are_read_where_they_are_the_target(augment):
    check(small.config(data__train__augment=augment))
    other = cfg.experiment("supervised", target="shade")
    with pytest.raises(UserError, match=r"label_mixed.*'supervised' does not read"):
        check(
            small.config(experiment=other, data__train__augment=augment),
            shade=np.zeros(2, np.int32),
        )


def test_other_augmentations_mix_nothing():
    augment = cfg.augment(flip={}, quarter_turn={}, affine={}, random_erasing={})
    check(small.config(experiment=cfg.experiment("triplet"), data__train__augment=augment))


@pytest.mark.parametrize(
    ("message", "experiment"),
    [
        ("learns 'labl', which 'digits' has not; did you mean 'label'", {"target": "labl"}),
        (
            r"learns 'shade': set --config.data.keys=\"\('image', 'label', 'shade'\)",
            {"target": "shade"},
        ),
    ],
)
def test_target_that_is_not_in_the_batch_is_named(message, experiment):
    with pytest.raises(UserError, match=message):
        check(small.config(experiment=cfg.experiment("supervised", **experiment)))


def test_labels_that_an_objective_needs_are_named():
    settings = small.config(experiment=cfg.experiment("triplet"), data__keys=("image",))
    with pytest.raises(UserError, match=r"'triplet' learns 'label': set --config.data.keys"):
        check(settings, label=None)


@pytest.mark.parametrize(
    ("message", "name", "changes"),
    [
        ("'siamese' learns from pairs: set --config.data.train.sampler.name=pairs", "siamese", {}),
        ("learns from pairs", "siamese", dict(data__train__views=2)),
        (
            "'joint_embedding' learns from 2 views .*: set --config.data.train.views=2",
            "joint_embedding",
            {},
        ),
        ("learns from 2 views", "joint_embedding", dict(data__train__views=3)),
        ("learns from single", "supervised", dict(data__train__sampler__name="pairs")),
        ("learns from single", "supervised", dict(data__train__views=2)),
        (
            "views=2 cannot go with data.train.sampler.name=pairs",
            "triplet",
            dict(data__train__views=2, data__train__sampler__name="pairs"),
        ),
    ],
)
def test_groups_that_an_objective_needs_or_cannot_take_are_named(message, name, changes):
    with pytest.raises(UserError, match=message):
        small.build(small.config(experiment=cfg.experiment(name), **changes))


def test_an_objective_without_a_size_of_its_own_takes_that_of_the_data():
    sizes = {"single": {}, "pairs": dict(data__train__sampler__name="pairs")}
    sizes["views"] = dict(data__train__views=3)
    for size, changes in zip((1, 2, 3), sizes.values(), strict=True):
        settings = small.config(experiment=cfg.experiment("triplet"), **changes)
        made = experiments.create(settings.experiment.to_dict(), settings.model.to_dict())
        assert targets.grouped(settings.data.train.to_dict(), made, "triplet").group == size
