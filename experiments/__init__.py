"""Training objectives: one file each, and a table of them by name."""

from cnnlab.objectives import create

from .base import Experiment
from .cpc import CPC
from .fitted import Fitted
from .joint_embedding import JointEmbedding
from .siamese import Siamese
from .supervised import Supervised
from .triplet import Triplet

EXPERIMENTS: dict[str, type[Experiment]] = {
    "supervised": Supervised,
    "triplet": Triplet,
    "siamese": Siamese,
    "joint_embedding": JointEmbedding,
    "cpc": CPC,
    "fitted": Fitted,
}

__all__ = ["EXPERIMENTS", "Experiment", "create"]
