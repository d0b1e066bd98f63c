"""Evaluation sees every example once, however the count divides."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from sklearn.datasets import load_digits

from cnnlab.metrics.collected import Collected
from cnnlab.metrics.metric import Mean
from cnnlab.training.evaluation import Evaluation


@pytest.mark.parametrize(
    ("strategy", "devices", "batch_size", "placement"),
    [("pmap", 8, 64, "memory"), ("jit", 2, 100, "memory"), ("fsdp", 8, 96, "grain")],
)
def test_every_example_counts_once(strategy, devices, batch_size, placement):
    parts = small.build(
        small.config(
            parallel__strategy=strategy,
            parallel__devices=devices,
            evaluate__batch_size=batch_size,
            data__placement=placement,
        )
    )
    evaluation = parts.evaluate(parts.state, "test")
    digits = load_digits()
    labels = digits.target[1437:]
    # 360 divides by neither 64, 100 nor 96.
    np.testing.assert_array_equal(np.sort(evaluation.outputs["index"]), np.arange(360))
    np.testing.assert_array_equal(evaluation.outputs["label"], labels)

    params = jax.device_get(parts.state.params)
    images = np.round(digits.data[1437:] * 255 / 16) / 255
    hidden = np.maximum(images @ params["hidden1"]["kernel"] + params["hidden1"]["bias"], 0)
    logits = hidden @ params["logits"]["kernel"] + params["logits"]["bias"]
    np.testing.assert_allclose(evaluation.outputs["logits"], logits, atol=1e-4)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    scalars = evaluation.scalars()
    assert scalars["accuracy"] == np.mean(logits.argmax(axis=1) == labels)
    assert scalars["loss"] == pytest.approx(-log_p[np.arange(360), labels].mean(), rel=1e-5)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    np.testing.assert_array_equal(evaluation.metrics["confusion"].compute(), counts)


def test_moving_average_is_evaluated_beside_the_parameters():
    parts = small.build(small.config(ema_decay=0.5))
    state = parts.state.replace(
        ema=(parts.state.params, parts.state.model_state),
        params={k: {n: v * 0 for n, v in leaf.items()} for k, leaf in parts.state.params.items()},
    )
    values = parts.evaluate_split(state, "validation").scalars()
    assert values["loss"] == pytest.approx(np.log(10))
    assert values["ema/loss"] != pytest.approx(np.log(10))


def test_evaluation_stops_when_asked_to():
    parts = small.build(small.config())
    assert parts.evaluate_split(parts.state, "validation", stop=lambda: True) is None


def test_a_mean_of_nothing_is_left_out():
    # Triplets, say, in a split without two examples of a class.
    some, none = Mean.of(jnp.ones(2)), Mean.of(jnp.ones(2), jnp.zeros(2, bool))
    assert Evaluation({"some": some, "none": none}, {}).scalars() == {"some": 1.0}


@flax.struct.dataclass
class Averaged(Collected):
    """The mean of each column."""

    values: Any

    def compute(self):
        return np.mean(self.values, axis=0)


def test_a_single_number_that_is_nan_is_missing_and_an_array_with_nan_is_not():
    metrics = {
        "one": Averaged(np.array([1.0, np.nan])),
        "each": Averaged(np.array([[1.0, np.nan]])),
        "right": Averaged(np.array([1.0, 3.0])),
    }
    found = Evaluation(metrics, {}, {"score": np.nan, "other": 0.5})
    assert found.missing() == ["one", "score"]
    assert found.scalars() == {"right": 2.0, "other": 0.5}
