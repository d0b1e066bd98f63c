"""A detector of one dense layer on random pictures, judged by the numbers of a whole set."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab import config as cfg
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.splits import resolve
from cnnlab.losses.reduce import masked_mean
from cnnlab.metrics import detection
from cnnlab.metrics.metric import Mean
from experiments.base import Aux, Experiment

SIDE, FOUND, CLASSES = 16, 6, 3
# Divided by no number of devices.
SIZES = {"train": [24], "validation": [37], "test": [11]}


class Scatter:
    """Pictures of noise with 0 to 4 objects anywhere; some are crowds, some are difficult."""

    def __init__(self, split):
        self.rows = [(s, i) for s, a, b in resolve(split, SIZES) for i in range(a, b)]
        many = (None,)
        spec = {"image": ((SIDE, SIDE, 1), "uint8"), "image_id": ((), "int32")}
        spec |= {"boxes": ((None, 4), "float32"), "classes": (many, "int32")}
        spec |= {"crowd": (many, "bool"), "difficult": (many, "bool")}
        self.info = Info("scatter", split, ("a", "b", "c"), spec)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        split, row = self.rows[index]
        rng = np.random.default_rng([row, len(split)])
        count = row % 5
        start = rng.integers(0, 9, (count, 2))
        boxes = np.concatenate([start, start + rng.integers(3, 8, (count, 2))], axis=1)
        return {
            "image": rng.integers(0, 256, (SIDE, SIDE, 1), np.uint8),
            "image_id": np.int32(100 + row),
            "boxes": boxes.astype(np.float32),
            "classes": rng.integers(0, CLASSES, count).astype(np.int32),
            "crowd": rng.random(count) < 0.2,
            "difficult": rng.random(count) < 0.2,
        }


def detections(logits):
    """Return boxes, scores, classes and which rows are there, from outputs [b, 6 * 8]."""
    rows = logits.reshape(len(logits), FOUND, 5 + CLASSES)
    start = 9 * jax.nn.sigmoid(rows[..., :2])
    sides = 2 + 6 * jax.nn.sigmoid(rows[..., 2:4])
    scores = jax.nn.sigmoid(rows[..., 4])
    boxes = jnp.concatenate([start, start + sides], axis=-1)
    return boxes, scores, rows[..., 5:].argmax(-1), scores > 0.4


@dataclasses.dataclass(frozen=True)
class Guess(Experiment):
    """Detections about the middle of the picture."""

    def loss(self, params, model_state, batch, rng, *, train, axis_name):
        logits, _, state = self.apply(
            params, model_state, batch, rng, train=train, axis_name=axis_name
        )
        values, valid = jnp.square(logits).mean(axis=1), batch.get("valid")
        metrics = {"loss": Mean.of(values, valid)}
        return masked_mean(values, valid, axis_name), Aux(state, metrics, detections(logits))

    def targets(self):
        return ("boxes", "classes", "crowd", "difficult", "image_id")

    def predict(self, output, batch):
        return detection.rows(batch, *output)

    def summarize(self, outputs, source):
        return {
            **detection.box_numbers(outputs),
            **detection.voc_numbers(outputs),
            **detection.proposal_numbers(outputs, (1, 5)),
        }


PADDED = {"pad_objects": {"max_objects": 5}}
SETTINGS = dict(
    data__source="detection_objective:Scatter",
    data__keys=("image", "image_id", "boxes", "classes", "crowd", "difficult"),
    data__train__preprocess=PADDED,
    data__eval__preprocess=PADDED,
    experiment=cfg.experiment("detection_objective:Guess"),
    model=cfg.model("mlp", hidden=(8,), num_classes=FOUND * (5 + CLASSES)),
    batch_size=8,
    evaluate__batch_size=16,
    checkpoint__best="validation/AP",
)
