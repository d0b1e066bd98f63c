"""Siamese verification and one-shot recognition of pen-stroke characters (glyphs).

Papers: Koch, Zemel & Salakhutdinov 2015 (weighted L1 distance, yes or no); Hadsell, Chopra & LeCun
2006 (contrastive). The tower is Koch's scaled to 32x32: three convolutions of 5, 3 and 3 pixels
with 16, 32 and 64 filters, and 256 sigmoid units.

    python launch.py train --config=configs/glyphs_siamese.py --workdir=runs/siamese
    python launch.py train --config=configs/glyphs_siamese.py:contrastive --workdir=runs/contrastive

Variants: default (verification), contrastive (Euclidean distances in 64 dimensions, margin 1).

Expected, accuracy in % of 20-way one-shot on the test alphabets over 5 seeds: 69.7 +- 0.8 by the
learned similarity, 74.8 +- 0.7 by the cosine of the features; contrastive 65.1 +- 0.8 by the
learned distance; the same network trained on labels 86.3 +- 0.4, with random weights 41.9 +- 1.6,
raw pixels 26.5 +- 0.7.

Deviations: Koch's tower has four convolutions, for 105x105, and no BatchNorm; weights start by
their fan-in (the paper's were not tried here), and those of the head below 0 (`experiment.head`;
from the paper's, of both signs, the learned distance takes longer to be of use); AdamW in place of
SGD.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "contrastive")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("siamese", objective="verification", head="negative")
    tower = {
        "channels": (16, 32, 64),
        "kernels": (5, 3, 3),
        "units": 256,
        "initial": "he",
        "norm": "batch",
    }
    config.model = cfg.model("koch2015", **tower)
    config.steps = 2000
    config.batch_size = 64

    config.data.source = "glyphs"
    config.data.keys = ("image", "label", "alphabet", "drawer")
    config.data.train.sampler.name = "pairs"
    config.data.train.augment = cfg.augment(
        affine={"degrees": 10.0, "scale": (0.8, 1.2), "shear": 17.0, "translate": 0.06}
    )
    config.data.normalize = {"mean": (0.15,), "std": (0.3,)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=3e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.05)
    config.log_every = 100
    config.eval_every = 500
    config.checkpoint.best = ""
    both = ("embedding", "features")
    config.representation.evaluators = cfg.evaluators(
        collapse={"endpoint": "embedding"},
        few_shot={"ways": 20, "shots": 1, "within": "alphabet", "endpoint": both},
        verification={"endpoint": both},
    )
    config.representation.controls = ("pixels", "random", "supervised")
    if variant == "contrastive":
        config.experiment = cfg.experiment("siamese", objective="contrastive", margin=1.0)
        config.model = cfg.model("koch2015", num_classes=64, **tower)
    return config
