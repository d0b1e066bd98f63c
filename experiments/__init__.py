"""What is optimised: one file per objective, chosen by name in one plain table."""

from cnnlab.objectives import create
from experiments.base import Experiment
from experiments.cpc import CPC
from experiments.fitted import Fitted
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
    "fitted": Fitted,
}

__all__ = ["EXPERIMENTS", "Experiment", "create"]
