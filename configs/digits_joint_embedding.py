"""Joint-embedding methods on the digits without labels: collapse, and five ways to prevent it.

Papers: Chen et al. 2020 (SimCLR: nt_xent), Chen & He 2020 (simsiam), Grill et al. 2020 (byol),
Bardes et al. 2022 (vicreg), Zbontar et al. 2021 (barlow). Two randomly distorted views of a digit
are trained to have the same embedding. All methods share a small ResNet with group normalization,
the distortions, the optimizer and the number of steps, and differ in the loss and its heads.

    python launch.py train --config=configs/digits_joint_embedding.py --workdir=runs/nt_xent
    python launch.py train --config=configs/digits_joint_embedding.py:vicreg --workdir=runs/vicreg

Variants: the default is nt_xent; no_negatives, which collapses, nt_xent, simsiam, byol, vicreg,
barlow.

Expected, accuracy in % of the 20 nearest neighbors and of a linear probe of the features on the
test digits over 5 seeds: nt_xent 93.6 +- 0.2 and 92.5 +- 1.5, simsiam 90.3 +- 1.6 and 91.8 +- 1.2,
byol 87.0 +- 0.9 and 90.8 +- 1.6, vicreg 96.7 +- 0.2 and 96.1 +- 0.7, barlow 89.8 +- 1.6 and 89.9 +-
1.1; random weights 77.9 +- 2.2 and 74.3 +- 3.4, raw pixels 94.0 and 87.8. no_negatives collapses
to one constant vector: 10.2 +- 1.2 and 11.6 +- 2.6, chance; its network has no norms, and its
weight decay is 2. nt_xent with that network, decay and length keeps a spread of 0.016 and 90 % of
neighbors (2 seeds). With group norms and the weight decay of the others no_negatives falls to a
spread of 0.004; the norms scale up the differences that are left, and 90 % of the neighbors are
still right (one seed).

Deviations: AdamW in place of LARS and SGD; widths and rates are smaller than those of the papers;
the loss of no_negatives is on the features: with a projector only the projections collapse.
"""

from cnnlab import config as cfg

METHODS = {
    "no_negatives": {"projector": ()},
    "nt_xent": {"temperature": 0.2, "joint_views": True},
    "simsiam": {},
    "byol": {"momentum": 0.99},
    "vicreg": {},
    "barlow": {},
}
VARIANTS = ("default", *METHODS)
STEPS = 250


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    method = "nt_xent" if variant == "default" else variant
    config = cfg.base()
    entries = {"projector": (128, 128, 64), "predictor": (32,), **METHODS[method]}
    config.experiment = cfg.experiment("joint_embedding", method=method, **entries)
    if method == "byol":
        config.experiment.momentum_steps = STEPS
    network = {"depths": (1, 1, 1), "widths": (16, 32, 64), "stem": "cifar", "norm": "group"}
    config.model = cfg.model("resnet18", **network, num_classes=0)
    config.steps = STEPS
    config.batch_size = 128

    upsample = cfg.preprocess(resize={"size": 16, "mode": "exact", "interpolation": "linear"})
    config.data.source = "digits"
    config.data.train.preprocess = upsample
    config.data.eval.preprocess = upsample
    config.data.train.views = 2
    config.data.train.augment = cfg.augment(
        affine={"degrees": 15.0, "scale": (0.8, 1.2), "shear": 10.0, "translate": 0.1},
        random_erasing={},
    )
    config.data.normalize = {"mean": (0.3,), "std": (0.35,)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=5e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.05)
    config.log_every = 50
    config.eval_every = 250
    # Evaluation has one view and no loss: no best checkpoint.
    config.checkpoint.best = ""
    if method == "no_negatives":
        # Norms would scale up the remaining differences and hide the collapse.
        config.model.norm, config.steps = "", 600
        config.optimizer.learning_rate, config.optimizer.weight_decay = 0.01, 2.0
    config.representation.evaluators = cfg.evaluators(
        collapse={"every": 250}, knn={"every": 250}, linear_probe={}
    )
    config.representation.controls = ("pixels", "random", "supervised")
    return config
