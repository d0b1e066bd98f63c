"""Triplet embeddings of faces: ORL, people who were not trained on.

Papers: Schroff, Kalenichenko & Philbin 2015 (FaceNet: semi-hard negatives); Turk & Pentland 1991
(eigenfaces); Lawrence, Giles, Tsoi & Back 1997 (five images of each person train, five test:
eigenfaces 10.5 % of errors, a convolutional network on a self-organizing map 3.8 %). Data: the
AT&T (ORL) faces, ten images of 112x92 of 40 people.

    python launch.py train --config=configs/orl_triplet.py --workdir=runs/orl
    python launch.py train --config=configs/orl_triplet.py:eigenfaces --workdir=runs/orl_eigenfaces

The folders lie in data/orl_faces/orl_faces, or where --config.data.source says, as
`folder:/path/s{label}/{image}.pgm`.

Variants: default, 30 people train, verification and retrieval on the other ten, people 31 to 40;
fold1, fold2, fold3, fold4, alike with people 1 to 10, 11 to 20, 21 to 30, 31 to 40 held out;
eigenfaces, eigenfaces_fold1, eigenfaces_fold2, eigenfaces_fold3 and eigenfaces_fold4, 40 principal
components of the 30 people's images, evaluated alike; five and five_eigenfaces, images 1 to 5 of
all people train, 6 to 10 are recognized by their nearest neighbor among them.

Expected: docs/results.md has what was measured here.

Deviations: Lawrence et al. draw the five images at random, and average over drawings; here they
are the first.
"""

from cnnlab import config as cfg

FOLDS = tuple(f"fold{n}" for n in range(1, 5))
VARIANTS = (
    *("default", *FOLDS, "eigenfaces", *(f"eigenfaces_{fold}" for fold in FOLDS)),
    *("five", "five_eigenfaces"),
)
EIGENFACES = "cnnlab.classical.pixel_classifiers:Eigenfaces"


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    five, eigenfaces = variant.startswith("five"), "eigenfaces" in variant
    last = 10 * int(variant[-1]) if variant.endswith(FOLDS) else 40
    config = cfg.base()
    config.data.source = "folder:data/orl_faces/orl_faces/s{label}/{image}.pgm"
    before, after = f"label<={last - 10}", f"label>{last}"
    others = {10: after, 40: before}.get(last, f"{before}+{after}")
    config.data.train.split = "image<=5" if five else others
    config.data.eval.splits = {"test": "image>5" if five else f"label>{last - 10} & label<={last}"}
    config.evaluate.splits = ("test",)
    config.checkpoint.best = ""
    config.data.normalize = {"mean": (0.44,), "std": (0.2,)}
    if eigenfaces:
        config.experiment = cfg.experiment("fitted")
        config.model = cfg.model(EIGENFACES, num_classes=40)
        config.steps = 1
        config.log_every = config.eval_every = 1
    else:
        config.experiment = cfg.experiment("triplet", margin=0.2, mining="semi_hard")
        config.model = cfg.model(
            "koch2015",
            num_classes=64,
            channels=(16, 32, 64, 64),
            kernels=(5, 3, 3, 3),
            units=256,
            initial="he",
            norm="batch",
        )
        config.steps = 400
        config.batch_size = 60
        config.data.train.sampler.name = "classes"
        config.data.train.sampler.classes.per_class = 4
        config.data.train.augment = cfg.augment(
            flip={},
            affine={"degrees": 8.0, "scale": (0.9, 1.1), "translate": 0.06},
            color_jitter={"brightness": 0.2, "contrast": 0.2},
        )
        config.optimizer = cfg.optimizer("adamw", learning_rate=1e-3, weight_decay=0.05)
        config.schedule = cfg.schedule("cosine", warmup=0.1)
        config.log_every = 50
        config.eval_every = 200
    endpoint = "features" if eigenfaces else "embedding"
    evaluators = {
        "verification": {"endpoint": endpoint},
        "retrieval": {"endpoint": endpoint},
    }
    if five:
        evaluators = {"knn": {"endpoint": endpoint, "k": 1, "splits": ("test",)}}
    config.representation.evaluators = cfg.evaluators(**evaluators)
    config.representation.controls = ("pixels", "random")
    return config
