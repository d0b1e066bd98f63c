"""An objective judged by numbers of a whole set: an average precision of both kinds."""

import dataclasses
from typing import Any

import flax.struct
import numpy as np
from sklearn.metrics import average_precision_score

import experiments
from cnnlab import config as cfg
from cnnlab.metrics.collected import Collected

# The class that is distinguished from all others.
ONE = 3


@flax.struct.dataclass
class AveragePrecision(Collected):
    """Area under precision over recall of scores [b] for what is relevant, bool [b]."""

    score: Any
    relevant: Any

    def compute(self):
        """Return the area; NaN where nothing is relevant."""
        if not self.relevant.any():
            return np.nan
        return average_precision_score(self.relevant, self.score)


@dataclasses.dataclass(frozen=True)
class Ranked(experiments.Supervised):
    """Classify, judged by how one class is ranked."""

    def loss(self, params, model_state, batch, rng, *, train, axis_name):
        """Return the loss of `Supervised`, with two collected metrics more."""
        value, aux = super().loss(params, model_state, batch, rng, train=train, axis_name=axis_name)
        if train:
            return value, aux
        label = batch[self.target]
        more = {
            "collected_precision": AveragePrecision(aux.output[:, ONE], label == ONE),
            "precision_of_none": AveragePrecision(aux.output[:, ONE], label < 0),
        }
        return value, aux._replace(metrics={**aux.metrics, **more})

    def predict(self, output, batch):
        """Return one score an example and what it is."""
        return {"score": output[:, ONE], "relevant": batch[self.target] == ONE}

    def summarize(self, outputs, source):
        """Return the average precision, and one of nothing."""
        assert len(outputs["index"]) <= len(source)
        found = average_precision_score(outputs["relevant"], outputs["score"])
        return {"average_precision": found, "recall_of_none": np.nan}


experiments.EXPERIMENTS["ranked"] = Ranked
SETTINGS = dict(
    experiment=cfg.experiment("ranked"),
    model=cfg.model("mlp", hidden=(128,)),
    checkpoint__best="validation/average_precision",
)
