"""Contrastive predictive coding on ImageNet without labels.

Papers: van den Oord, Li & Vinyals 2018 (arXiv 1807.03748), section 3.2; for `v2` Henaff et al. 2019
(Data-efficient image recognition with contrastive predictive coding, arXiv 1905.09272), section 4.1
and appendix A. The latents of a 7x7 grid of patches are predicted up to five rows ahead, by the
three first stages of a ResNet-v2-101 without BatchNorm.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_cpc.py --workdir=runs/cpc \\
        --config.model.dtype=bfloat16
    python launch.py train --config=configs/imagenet_cpc.py:v2 --workdir=runs/cpc_v2

and a linear classifier on the frozen features, the mean of the 49 latents:

    python launch.py train --config=configs/imagenet_cpc.py:linear --workdir=runs/linear \\
        --config.init_from.path=runs/cpc

Variants: the default (v1): crops of 256 pixels from 300, gray, patches of 64 every 32 pixels of
which 60 are kept; v2: crops of 260, patches of 80 every 36 pixels (6x6 of them), one color channel
of each patch, layer norm, predictions in four directions, those two and more rows ahead; linear:
the classifier, 30 epochs in steps of 512.

Expected, top-1 / top-5 in % of a linear classifier on the frozen features (validation, 50,000
images; published, not reproduced here: no ImageNet at hand): default 48.7 / 73.6 (van den Oord et
al., tables 3 and 4); v2 63.8 / 85.3 with ResNet-50 and 71.5 / 90.1 with ResNet-161, which is not
built here (Henaff et al., table 1).

Looked up: the network of contexts, steps that v2 leaves out, layer norm, color dropping and
ResNet-161 in v2. Recalled from the papers, to be looked up before they are quoted: the results, the
recipe of v1 (Adam with 2e-4, 32 times 16 images, crops, flip, gray, 60 of 64 pixels) and v2's
sizes. The papers give no number of steps: 200 epochs here. The classifier's recipe is our own.

Deviations: images are resized to a shorter side of 300 pixels before the crop, as their authors do
not say how they come to 300x300; gray is a mean of normalized channels; v2 has ResNet-101 in place
of ResNet-161, matrices W_k of full rank in place of 64, v1's optimizer, and none of its further
augmentations of patches.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "v2", "linear")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("cpc", steps=5)
    config.model = cfg.model("cpc_resnet101", gray=True)
    config.epochs = 200.0
    config.batch_size = 512

    config.data.source = "imagenet2012"
    config.data.train.augment = cfg.augment(flip={})
    config.data.eval.splits = {"validation": "validation"}
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    size = 256
    if variant == "v2":
        size = 260
        config.experiment = cfg.experiment("cpc", steps=5, skip=1)
        config.model = cfg.model(
            "cpc_resnet101",
            patch=80,
            stride=36,
            jitter_crop=0,
            drop_colors=True,
            norm="layer",
            directions=("down", "up", "right", "left"),
        )
    config.data.train.preprocess = cfg.preprocess(resize={"size": 300}, random_crop={"size": size})
    config.data.eval.preprocess = cfg.preprocess(resize={"size": 300}, center_crop={"size": size})

    config.optimizer = cfg.optimizer("adam", learning_rate=2e-4)
    config.schedule = cfg.schedule("constant")
    config.log_every = 100
    config.eval_every = 2500
    config.checkpoint.best = ""
    return linear(config) if variant == "linear" else config


def linear(config):
    """Train a linear classifier on the frozen features of another run of the default."""
    config.experiment = cfg.experiment("supervised")
    config.model.num_classes = 1000
    config.model.jitter_crop = 0
    config.init_from.skip = ("head",)
    config.freeze = ("trunk",)
    config.epochs = 30.0
    config.optimizer = cfg.optimizer("sgd", learning_rate=0.1)
    config.schedule = cfg.schedule("cosine")
    return config
