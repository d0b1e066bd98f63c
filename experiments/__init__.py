"""What is optimised: one file per objective, chosen by name in one plain table."""

from collections.abc import Mapping
from typing import Any

from cnnlab import models
from cnnlab.choices import check_keywords, pick
from experiments.base import Experiment
from experiments.cpc import CPC
from experiments.invariant import Invariant
from experiments.siamese import Siamese
from experiments.supervised import Supervised
from experiments.triplet import Triplet

EXPERIMENTS: dict[str, type[Experiment]] = {
    "supervised": Supervised,
    "triplet": Triplet,
    "siamese": Siamese,
    "invariant": Invariant,
    "cpc": CPC,
}


def create(experiment: Mapping[str, Any], model: Mapping[str, Any], *, sync_bn: bool = False):
    """Build the experiment that a config describes.

    Args:
        experiment: `name` and the keyword arguments of the class behind it.
        model: `name` and the keyword arguments of the model.
        sync_bn: share BatchNorm's batch statistics between the replicas of `pmap`.

    Raises:
        UserError: for an unknown name or keyword, with the nearest right one.
    """
    chosen = {key: value for key, value in experiment.items() if key != "name"}
    cls = pick(EXPERIMENTS, experiment["name"], "experiment")
    check_keywords(cls, chosen, f"experiment '{experiment['name']}'")
    return cls(model=models.create(**model), sync_bn=sync_bn, **chosen)
