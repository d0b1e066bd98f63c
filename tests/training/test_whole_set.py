"""A number of a whole set, no sum over examples: chosen by, stopped by, compared by, seen once."""

import json

import average_precision_objective as ranked
import jax
import numpy as np
import pytest
import small
from sklearn.metrics import average_precision_score

import experiments
from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.runs import final_report
from cnnlab.runs.train import train
from cnnlab.sweeps.trial_metric import measured, metric_for
from cnnlab.training import evaluation, run_folder
from cnnlab.training.setup import Setup
from cnnlab.training.writer import read_rows

NAME = "validation/average_precision"
# Examples of the split.
VALIDATION = 237


def precision_of(setup, state, split):
    """Return the average precision by the definition, from the logits of the network."""
    data = setup.evaluations[split]
    examples = [data.source[i] for i in range(len(data.source))]
    images = np.stack([e["image"] for e in examples]).astype(np.float32) / 255
    labels = np.array([e["label"] for e in examples])
    logits, _ = setup.experiment.model.apply({"params": state.params}, images, train=False)
    return average_precision_score(labels == ranked.ONE, np.asarray(logits)[:, ranked.ONE])


@pytest.mark.parametrize(
    ("devices", "strategy", "placement"),
    [(1, "jit", "memory"), (8, "pmap", "memory"), (8, "fsdp", "grain")],
)
def test_it_is_of_every_example_once_on_any_number_of_devices(devices, strategy, placement):
    parts = small.build(
        small.config(
            **ranked.SETTINGS,
            parallel__devices=devices,
            parallel__strategy=strategy,
            data__placement=placement,
        )
    )
    # 360 examples in batches of 64.
    found = parts.evaluate_split(parts.state, "test").scalars()
    expected = precision_of(parts, jax.device_get(parts.state), "test")
    assert found["average_precision"] == pytest.approx(expected, abs=1e-12)
    assert found["collected_precision"] == found["average_precision"]
    # Of nothing at all there is no number, and that stops no run.
    assert not {"precision_of_none", "recall_of_none"} & set(found)


def test_it_is_that_of_the_moving_average_too():
    parts = small.build(small.config(**ranked.SETTINGS, ema_decay=0.5))
    state = parts.state.replace(
        params=jax.tree.map(lambda x: 0 * x, parts.state.params),
        ema=(parts.state.params, parts.state.model_state),
    )
    found = parts.evaluate_split(state, "validation").scalars()
    assert found["ema/average_precision"] != found["average_precision"]
    assert found["ema/average_precision"] == pytest.approx(
        precision_of(parts, jax.device_get(parts.state), "validation"), abs=1e-12
    )


def test_it_chooses_the_checkpoint_stops_early_and_is_compared_by_a_sweep(tmp_path, monkeypatch):
    asked = iter([0.5, 0.75, 0.25, 0.125])
    monkeypatch.setattr(
        ranked.Ranked,
        "summarize",
        lambda self, outputs, source: {
            "average_precision": next(asked) if len(outputs["index"]) == VALIDATION else 0.5
        },
    )
    settings = small.config(**ranked.SETTINGS, steps=40, early_stopping__patience=2)
    train(settings, tmp_path, "stop", show=False)
    found = run_folder.read_result(tmp_path)
    assert found["reason"] == "early stopping" and found["steps"] == 16
    assert f"best {NAME} (step 8)" in found["results"]
    values = [row[NAME] for row in read_rows(tmp_path / "metrics.jsonl") if NAME in row]
    assert values == [0.5, 0.75, 0.25, 0.125]
    flat = run_folder.flatten(settings.to_dict())
    assert measured(tmp_path, metric_for(flat)) == (8, 0.75)


@pytest.mark.parametrize(
    "best", ["average_precision_", "recall_of_nobody", "ema/average_precision"]
)
def test_a_name_that_it_does_not_have_is_refused_before_the_first_step(best):
    settings = {**ranked.SETTINGS, "checkpoint__best": f"validation/{best}"}
    with pytest.raises(UserError, match="is not evaluated"):
        small.build(small.config(**settings))


@pytest.mark.parametrize("best", ["collected_precision", "average_precision"])
def test_names_of_both_kinds_are_known_before_the_first_step(best):
    settings = {**ranked.SETTINGS, "checkpoint__best": f"validation/{best}"}
    small.build(small.config(**settings))


def test_what_fails_on_made_up_outputs_alone_is_no_reason_to_refuse_a_run(monkeypatch, caplog):
    def summarize(self, outputs, source):
        if len(source) < VALIDATION:
            raise ValueError("too few")
        return {"average_precision": 0.5}

    monkeypatch.setattr(ranked.Ranked, "summarize", summarize)
    parts = small.build(small.config(**ranked.SETTINGS))
    assert "ValueError: too few" in caplog.text
    assert parts.evaluate_split(parts.state, "test").scalars()["average_precision"] == 0.5


def test_outputs_are_not_gathered_where_nobody_asks(monkeypatch):
    gathered = []
    joined = evaluation._joined

    def noted(parts):
        gathered.append(set(parts[0][0]))
        return joined(parts)

    monkeypatch.setattr(evaluation, "_joined", noted)
    parts = small.build(small.config())
    assert not parts.evaluate_split(parts.state, "test").outputs
    assert not gathered
    parts = small.build(small.config(**ranked.SETTINGS))
    assert not parts.evaluate_split(parts.state, "test").outputs
    assert gathered == [{"score", "relevant", "index"}]
    assert set(parts.evaluate_split(parts.state, "test", keep=True).outputs) == gathered[0]


class PerImage(experiments.Supervised):
    """Reduces what an evaluation gathers to a number an example."""

    def predict(self, output, batch):
        """Return whether each example is right."""
        return {"right": output.argmax(axis=-1) == batch[self.target]}


def test_what_an_objective_predicts_takes_the_place_of_its_logits(monkeypatch):
    monkeypatch.setitem(experiments.EXPERIMENTS, "per_image", PerImage)
    parts = small.build(small.config(experiment=cfg.experiment("per_image")))
    found = parts.evaluate(parts.state, "test")
    assert {k: (v.shape, v.dtype) for k, v in found.outputs.items()} == {
        "right": ((360,), bool),
        "index": ((360,), np.int32),
    }
    assert found.outputs["right"].mean() == found.scalars()["accuracy"]


@pytest.mark.parametrize(
    ("best_is_last", "expected"), [(True, 1), pytest.param(False, 2, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_the_end_evaluates_each_split_once_for_each_state(
    tmp_path, monkeypatch, best_is_last, expected
):
    evaluated = []
    evaluate = Setup.evaluate

    def counting(self, state, split, **given):
        if int(state.step) == 8 or evaluated:
            evaluated.append((int(state.step), split))
        return evaluate(self, state, split, **given)

    monkeypatch.setattr(Setup, "evaluate", counting)
    values = iter([0.1, 0.2] if best_is_last else [0.2, 0.1])
    monkeypatch.setattr(
        ranked.Ranked,
        "summarize",
        lambda self, outputs, source: {
            "average_precision": next(values, 0.3) if len(outputs["index"]) == VALIDATION else 0.5
        },
    )
    train(small.config(**ranked.SETTINGS, steps=8), tmp_path, "stop", show=False)
    per_state = [(8, "validation"), (8, "test")]
    others = [] if expected == 1 else [(4, "test"), (4, "validation")]
    assert evaluated == per_state + others
    rows = json.loads((tmp_path / "result.json").read_text())["results"]
    assert len(rows) == expected
    assert all("test/accuracy" in row and "validation/accuracy" in row for row in rows.values())
    assert (tmp_path / "figures/test/confusion_matrix.png").exists()
    assert final_report.run_folder.is_finished(tmp_path)
