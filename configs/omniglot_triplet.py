"""Triplet embeddings of Omniglot's characters, on the split of Vinyals et al.

Papers: Schroff, Kalenichenko & Philbin 2015 (FaceNet: semi-hard negatives); Vinyals, Blundell,
Lillicrap, Kavukcuoglu & Wierstra 2016, section 4.1.1 (28x28 pixels; characters rotated by 90, 180
and 270 degrees are classes of their own); the split is that of Snell, Swersky & Zemel 2017, 1,028
characters to train, 172 to validate, 423 to test, times four.

    python launch.py train --config=configs/omniglot_triplet.py --workdir=runs/omniglot_triplet

The set lies in data/omniglot, in its own folders, or where --config.data.source says, as
`omniglot:/path`.

Expected, of the papers, accuracy in % of one-shot trials of 5 and of 20 ways: Matching Networks
98.1 and 93.8, Prototypical Networks 98.8 and 96.0. docs/results.md has what was measured here.

Deviations: the papers train on episodes, this network on triplets; batches are 32 classes by 4
drawings.
"""

from cnnlab import config as cfg

VARIANTS = ("default",)
SIZE = 28


def get_config(variant: str = "default"):
    """Return the config."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("triplet", margin=0.2, mining="semi_hard")
    config.model = cfg.model(
        "koch2015",
        num_classes=64,
        channels=(64, 64, 64),
        kernels=(5, 3, 3),
        units=256,
        initial="he",
        norm="batch",
    )
    config.steps = 3000
    config.batch_size = 128

    config.data.source = "omniglot:data/omniglot"
    config.data.keys = ("image", "label")
    config.data.train.split = "vinyals_train"
    config.data.eval.splits = {"validation": "vinyals_validation", "test": "vinyals_test"}
    config.data.train.preprocess = cfg.preprocess(resize={"size": SIZE})
    config.data.eval.preprocess = cfg.preprocess(resize={"size": SIZE})
    config.data.train.sampler.name = "classes"
    config.data.train.sampler.classes.per_class = 4
    config.data.train.augment = cfg.augment(
        affine={"degrees": 10.0, "scale": (0.9, 1.1), "shear": 10.0, "translate": 0.06, "fill": 1.0}
    )
    config.data.normalize = {"mean": (0.92,), "std": (0.2,)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.05)
    config.log_every = 100
    config.eval_every = 1000
    config.checkpoint.best = ""
    trials = {"name": "few_shot", "shots": 1, "episodes": 1000, "endpoint": "embedding"}
    config.representation.evaluators = cfg.evaluators(
        ways5={**trials, "ways": 5, "splits": ("test",)},
        ways20={**trials, "ways": 20, "splits": ("test",)},
    )
    config.representation.controls = ("pixels", "random")
    return config
