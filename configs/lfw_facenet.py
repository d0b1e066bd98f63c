"""FaceNet: triplet embeddings of faces, verified on Labeled Faces in the Wild.

Paper: Schroff, Kalenichenko & Philbin 2015, sections 3 and 5.6. Any folder of faces will do, one
folder an identity (PATH/IDENTITY/*.jpg), cropped and roughly aligned; there is nothing to
`data prepare`:

    python launch.py train --config=configs/lfw_facenet.py --workdir=runs/facenet \
        --config.data.source=folder:/path/to/faces
    python launch.py train --config=configs/lfw_facenet.py:batch_hard --workdir=runs/hermans \
        --config.data.source=folder:/path/to/faces

Two in a hundred faces are kept for validation, of people that are trained on. What counts are
the 6,000 pairs of LFW, people whom the network has not seen, over ten folds; add

    --config.data.eval.sources.lfw=folder:/path/to/lfw
    --config.representation.evaluators.listed_pairs.file=/path/to/pairs.txt

Variants: default (FaceNet: semi-hard negatives, batches of 45 identities with 40 faces each),
batch_hard (Hermans, Beyer & Leibe 2017: 18 identities with 4 images each, batch-hard, soft
margin, Adam).

Expected (the paper's, recalled and not checked against it; not reproduced here: no faces at hand):
99.63 +- 0.09 % of LFW's pairs with faces aligned, 98.87 +- 0.15 % with the center crop, after
training on a private set of 100 to 200 million faces of 8 million people. On public sets expect
less.

As in the paper: 128 dimensions on the unit sphere, squared distances, margin 0.2, all pairs of
anchor and positive, AdaGrad, a rate of 0.05 that falls in the end. The recipe of batch_hard is
recalled; its exponential decay is in steps here.

Deviations: the network is GoogLeNet without auxiliary classifiers and dropout, like the paper's
NN2 but for NN2's L2 pooling and numbers of filters; no random negatives beside the 45 identities;
200,000 steps, where the paper has 1,000 to 2,000 hours.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "batch_hard")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("triplet", mining="semi_hard", margin=0.2)
    config.model = cfg.model("googlenet", num_classes=128, auxiliary=False, dropout=0.0)
    config.steps = 200_000
    config.batch_size = 1800

    config.data.source = "folder:faces"  # set on the command line
    config.data.train.split = "train[:98%]"
    config.data.eval.splits = {"validation": "train[98%:]", "lfw": "train"}
    config.data.eval.sources = {"lfw": "folder:lfw"}  # likewise
    config.data.train.sampler.name = "classes"
    config.data.train.sampler.classes.per_class = 40
    whole, crop = {"size": 256}, {"size": 224}
    config.data.train.preprocess = cfg.preprocess(resize=whole, center_crop=crop)
    config.data.train.augment = cfg.augment(flip={})
    config.data.eval.preprocess = cfg.preprocess(resize=whole, center_crop=crop)
    config.data.normalize = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    config.optimizer = cfg.optimizer("adagrad", learning_rate=0.05)
    config.schedule = cfg.schedule("step", boundaries=(0.8, 0.9), factor=0.1)
    config.log_every = 100
    config.eval_every = 10_000
    config.checkpoint.every = 2000
    config.checkpoint.best = ""
    config.representation.evaluators = cfg.evaluators(
        collapse={"endpoint": "embedding"},
        listed_pairs={"endpoint": "embedding", "splits": ("lfw",), "file": "pairs.txt"},
        verification={"endpoint": "embedding", "splits": ("validation",)},
        retrieval={"endpoint": "embedding", "splits": ("validation",)},
    )
    config.representation.controls = ("random",)
    if variant == "batch_hard":
        config.experiment = cfg.experiment(
            "triplet", mining="batch_hard", soft=True, distance="euclidean", normalize=False
        )
        config.batch_size = 72
        config.data.train.sampler.classes.per_class = 4
        config.steps = 25_000
        config.optimizer = cfg.optimizer("adam", learning_rate=3e-4)
        # 3e-4 for 15,000 updates, then down to a thousandth of it.
        config.schedule = cfg.schedule("step", boundaries=(0.6, 0.8), factor=0.03)
    return config
