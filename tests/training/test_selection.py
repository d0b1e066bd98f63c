"""What the best checkpoint is chosen by: the same criterion goes on, another one starts anew."""

import json
import shutil

import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.training import run_folder, selection
from cnnlab.training.loop import Loop

LOSS = dict(checkpoint__best="validation/loss")
OTHER = dict(data__eval__splits={"validation": "test"})


def best_of(folder, metric):
    """Return the evaluation with the best value that metrics.jsonl has from step 8 on."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    values = [(row[metric], row["step"]) for row in rows if metric in row and row["step"] > 8]
    return min(values) if metric.endswith("loss") else max(values)


def criterion(settings):
    return selection.criterion(
        settings.checkpoint.best,
        "max",
        small.build(settings).evaluations,
        data=settings.data.to_dict(),
        experiment=settings.experiment.to_dict(),
        evaluators=settings.representation.evaluators.to_dict(),
    )


def train(folder, **changes):
    loop, _ = small.train(small.config(**changes), folder)
    run_folder.record(folder, small.config(**changes).to_dict())
    return loop


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(folder, steps=8)
    return folder


@pytest.fixture
def first(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_same_criterion_goes_on(first):
    position = train(first, steps=12, log_every=6, early_stopping__patience=9).position
    assert position.since == 0
    assert position.criterion["metric"] == "validation/accuracy"


@pytest.mark.parametrize(
    "changes, named",
    [
        (LOSS, "metric: validation/accuracy -> validation/loss"),
        (OTHER, "examples.content"),
        pytest.param(
            dict(**OTHER, data__placement="grain"), "examples.split", marks=pytest.mark.slow
        ),
        (dict(data__normalize={"mean": (0.5,), "std": (0.5,)}), "normalize.mean"),
        (dict(experiment=cfg.experiment("supervised", objective="linear")), "experiment.objective"),
    ],
    ids=["metric", "split", "split read from disk", "normalization", "objective"],
)
@pytest.mark.sample(1)
def test_another_criterion_starts_anew(first, changes, named, caplog):
    loop = train(first, steps=16, **changes)
    assert f"chosen anew from step 8 on: {named}" in caplog.text
    assert loop.position.since == 8
    assert (loop.position.best, loop.checkpoints.best_step()) == best_of(
        first, loop.config.checkpoint.best
    )
    # And that is the criterion from now on.
    caplog.clear()
    again = Loop(small.build(small.config(steps=16, **changes)), first)
    assert "anew" not in caplog.text
    assert again.position == loop.position


def test_metric_left_and_taken_up_again_starts_anew(first):
    train(first, steps=12, checkpoint__best="")
    loop = train(first, steps=16)
    assert loop.position.since == 12
    assert loop.checkpoints.best_step() == 16


def test_position_of_an_earlier_version_is_of_the_config_of_then(first, caplog):
    for path in (first / "checkpoints").glob("*/position/metadata"):
        record = json.loads(path.read_text())
        del record["criterion"], record["since"], record["checksum"]
        path.write_text(json.dumps(record))
    assert Loop(small.build(small.config()), first).position.since == 0
    assert Loop(small.build(small.config(**LOSS)), first).position.since == 8
    # The default of earlier versions, which kept the worst.
    saved = small.config(**LOSS, checkpoint__mode="max")
    run_folder.record(first, saved.to_dict())
    assert Loop(small.build(small.config(**LOSS)), first).position.since == 8
    assert "mode: max -> min" in caplog.text


def test_moved_data_of_the_same_content_are_the_same_examples(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{split}_{key}": value
        for split in ("train", "validation", "test")
        for key, value in (
            ("image", rng.integers(0, 256, (40, 8, 8, 1), np.uint8)),
            ("label", np.arange(40) % 10),
        )
    }

    def written(name, **changed):
        np.savez(tmp_path / name, **{**arrays, **changed})
        return criterion(
            small.config(data__source=f"npz:{tmp_path / name}", evaluate__batch_size=8)
        )

    here = written("a.npz")
    assert selection.changes(here, written("b.npz")) == []
    other = written("a.npz", validation_image=255 - arrays["validation_image"])
    assert len(selection.changes(here, other)) == 1


def test_evaluators_settings_belong_to_its_metric():
    def of_k(k):
        return criterion(
            small.config(
                checkpoint__best="validation/knn_accuracy",
                representation__evaluators=cfg.evaluators(knn={"every": 4, "k": k}),
            )
        )

    assert selection.changes(of_k(1), of_k(1)) == []
    assert selection.changes(of_k(1), of_k(5)) == ["evaluator.k: 1 -> 5"]
