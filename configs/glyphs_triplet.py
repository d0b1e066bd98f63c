"""Triplet embeddings of pen-stroke characters (glyphs), evaluated on unseen alphabets.

Papers: Schroff, Kalenichenko & Philbin 2015 (FaceNet: squared distances on the unit sphere, margin
0.2, semi-hard negatives); Hermans, Beyer & Leibe 2017 (batch-hard, batch-all, soft margin). The
network is the tower of configs/glyphs_siamese.py with an embedding of 64 dimensions on top; batches
are 32 characters by 4 drawers.

    python launch.py train --config=configs/glyphs_triplet.py --workdir=runs/triplet
    python launch.py train --config=configs/glyphs_triplet.py:hardest --workdir=runs/hardest

Variants: default (semi-hard), batch_hard, batch_all, soft (batch-hard with Hermans' soft margin on
Euclidean distances that are not on a sphere), hardest (each pair's hardest negative, with which
FaceNet saw networks collapse).

Expected, accuracy in % of 20-way one-shot on the held-out alphabets of the test split over 5
seeds: 86.2 +- 0.4; batch_all 85.1 +- 0.4; soft 74.3 +- 0.9; the same network trained on labels
87.1 +- 0.6, with random weights 41.9 +- 1.6, raw pixels 26.5 +- 0.7 (more:
docs/representations.md). In all 5 seeds hardest and batch_hard collapse: spread 0.008 and 0.007,
loss at the margin, 37.2 +- 2.9 and 26.6 +- 2.2. From the default's weights batch_hard has 87.2 with
a spread of 0.24 (one seed; --config.init_from.path=runs/triplet, a rate of 5e-4, 1,000 steps).

Deviations: networks and images are small; AdamW in place of AdaGrad; FaceNet's batches have some
1,800 faces, about 40 of each person.
"""

from cnnlab import config as cfg

# The loss of each variant.
VARIANTS = {
    "default": {"mining": "semi_hard"},
    "batch_hard": {"mining": "batch_hard"},
    "batch_all": {"mining": "batch_all"},
    "soft": {
        "mining": "batch_hard",
        "soft": True,
        "distance": "euclidean",
        "normalize": False,
    },
    "hardest": {"mining": "hardest_negative"},
}


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    loss = cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("triplet", margin=0.2, **loss)
    config.model = cfg.model(
        "koch2015",
        num_classes=64,
        channels=(16, 32, 64),
        kernels=(5, 3, 3),
        units=256,
        initial="he",
        norm="batch",
    )
    config.steps = 2000
    config.batch_size = 128

    config.data.source = "glyphs"
    config.data.keys = ("image", "label", "alphabet", "drawer")
    config.data.train.sampler.name = "classes"
    config.data.train.sampler.classes.per_class = 4
    config.data.train.augment = cfg.augment(
        affine={"degrees": 10.0, "scale": (0.8, 1.2), "shear": 10.0, "translate": 0.06}
    )
    config.data.normalize = {"mean": (0.15,), "std": (0.3,)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.05)
    config.log_every = 100
    config.eval_every = 500
    config.checkpoint.best = "validation/loss"
    both = ("embedding", "features")
    config.representation.evaluators = cfg.evaluators(
        collapse={"endpoint": "embedding"},
        few_shot={"ways": 20, "shots": 1, "within": "alphabet", "endpoint": both},
        verification={"endpoint": both},
        retrieval={"endpoint": both},
    )
    config.representation.controls = ("pixels", "random", "supervised")
    return config
