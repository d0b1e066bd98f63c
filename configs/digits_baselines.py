"""Classical classifiers on the pixels of the digits, fitted without gradients.

    python launch.py train --config=configs/digits_baselines.py --workdir=runs/nearest
    python launch.py train --config=configs/digits_baselines.py:linear_svm --workdir=runs/svm

Variants: `nearest_neighbor` (the default; Fix & Hodges 1951) and `linear_svm` (Cortes & Vapnik
1995). Both are fitted in one step to the training split, without what a network is selected on.

Expected on the test digits (docs/results.md): 94.7 % by the nearest neighbor, 89.2 % by the linear
SVM; both are the same for every seed.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "nearest_neighbor", "linear_svm")
MODULE = "cnnlab.classical.pixel_classifiers"


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("fitted")
    model = "LinearSVM" if variant == "linear_svm" else "NearestNeighbor"
    config.model = cfg.model(f"{MODULE}:{model}", num_classes=10)
    config.data.source = "digits"
    config.steps = 1
    config.log_every = config.eval_every = 1
    return config
