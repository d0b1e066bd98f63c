"""The runs with labels that a representation is compared with: what they keep, what they change."""

from pathlib import Path

import pytest
import small

from cnnlab import config as cfg
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError
from cnnlab.runs import controls
from cnnlab.training.run_folder import difference

INFO = Info("set", "train", ("a", "b", "c"))


@pytest.fixture
def run():
    return small.config(
        experiment=cfg.experiment("triplet"),
        data__train__sampler__name="classes",
        data__train__views=2,
        data__train__augment=cfg.augment(affine={}),
        representation__evaluators=cfg.evaluators(knn={"every": 4, "endpoint": "embedding"}),
        representation__controls=("supervised", "fine_tune"),
        representation__baselines=("majority",),
        checkpoint__best="validation/knn_accuracy",
        representation__embedding_view__split="test",
    )


def test_supervised_control_is_the_same_run_but_for_objective_classes_and_batches(run):
    other = controls.derive(run, "supervised", Path("run"), INFO)
    changed = {line.split(":")[0] for line in difference(run.to_dict(), other.to_dict())}
    assert {name for name in changed if not name.startswith("experiment.")} == {
        "model.num_classes",
        "data.train.sampler.name",
        "data.train.views",
        "representation.evaluators.knn.every",
        "representation.evaluators.knn.endpoint",
        "checkpoint.best",
        "representation.controls",
        "representation.baselines",
        "representation.embedding_view.split",
    }
    assert other.experiment.name == "supervised"
    assert other.model.num_classes == 3
    # What feeds the classifier is what is compared with the embedding.
    assert other.representation.evaluators.knn.endpoint == "features"


def test_fine_tuning_starts_from_the_run_but_for_the_classifier(run):
    other = controls.derive(run, "fine_tune", Path("runs/a"), INFO)
    assert (other.init_from.path, other.init_from.skip) == ("runs/a", ("head",))
    assert controls.derive(run, "supervised", Path("runs/a"), INFO).init_from.path == ""


def test_several_endpoints_are_compared_at_what_feeds_the_classifier_and_once(run):
    with run.unlocked():
        endpoints = ("embedding", "features", "hidden1")
        run.representation.evaluators = cfg.evaluators(knn={"endpoint": endpoints})
    other = controls.derive(run, "supervised", Path("a"), INFO)
    assert other.representation.evaluators.knn.endpoint == ("features", "hidden1")


def test_its_length_rate_batch_and_labels_can_be_its_own(run):
    with run.unlocked():
        run.steps, run.epochs = 0, 2.0
        run.representation.fine_tune = {
            "steps": 7,
            "learning_rate": 0.5,
            "batch_size": 8,
            "per_class": 5,
        }
    other = controls.derive(run, "fine_tune", Path("a"), INFO)
    assert (other.steps, other.epochs, other.batch_size) == (7, 0.0, 8)
    assert (other.optimizer.learning_rate, other.data.train.per_class) == (0.5, 5)
    same = controls.derive(run, "supervised", Path("a"), INFO)
    assert (same.steps, same.epochs, same.batch_size) == (0, 2.0, 16)


def test_what_cannot_be_compared_is_refused(run):
    with pytest.raises(UserError, match="names none"):
        controls.derive(run, "supervised", Path("a"), Info("set", "train"))
    with pytest.raises(UserError, match="did you mean 'pixels'"):
        controls.check(small.config(representation__controls=("pixel",)))
    with pytest.raises(UserError, match="label"):
        controls.check(
            small.config(representation__controls=("supervised",), data__keys=("image",))
        )


def test_control_with_too_few_labels_is_refused_before_the_run_trains(run):
    from cnnlab.training import parallel

    alone = parallel.make("jit", 1)
    with run.unlocked():
        run.representation.fine_tune = {**run.representation.fine_tune.to_dict(), "per_class": 1}
    other = controls.derive(run, "fine_tune", Path("a"), INFO)
    with pytest.raises(UserError, match=r"fine_tune.batch_size=16 .* 10 examples"):
        controls.check_data(other, "fine_tune", alone)
    with run.unlocked():
        run.representation.fine_tune.per_class = 10**6
    other = controls.derive(run, "fine_tune", Path("a"), INFO)
    with pytest.raises(UserError, match="per_class=1000000"):
        controls.check_data(other, "fine_tune", alone)
    controls.check_data(controls.derive(run, "supervised", Path("a"), INFO), "supervised", alone)
