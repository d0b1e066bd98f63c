"""GoogLeNet (Inception v1) on ImageNet.

Paper: Szegedy et al. 2014, sections 5 and 6. What it leaves open (rate, batch, weight decay,
length) is from Caffe's replica, made with the first author's help.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_googlenet.py --workdir=runs/googlenet
    python launch.py train --config=configs/imagenet_googlenet.py:quick --workdir=runs/googlenet_q

- default: crops of 8 to 100 % of the area, photometric distortions, the rate down by 4 % every 8
  epochs, 250 epochs, evaluation of the averaged parameters too (`ema/`).
- quick: Caffe's, of 60 epochs: crops of 224 out of 256 pixels, a rate that falls as a root.

The two auxiliary classifiers count 0.3 each in training (`experiment.auxiliary_weight`).

Expected (validation, 50,000 images; published, not reproduced here: no ImageNet at hand):
default 10.07 % top-5 errors with one crop (the paper, table 3, one of seven networks);
quick 31.3 % top-1 and 11.1 % top-5 errors with the center crop (Caffe's replica).

Deviations: SGD is synchronous; averages are exponential, not Polyak's; the photometric distortions
are color_jitter's (Howard 2013) alone, the paper's choice among interpolations is left out; quick
keeps the aspect when it resizes, where Caffe squashes.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "quick")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised", auxiliary_weight=0.3)
    config.model = cfg.model("googlenet")
    config.epochs = 250.0
    config.batch_size = 32
    config.ema_decay = 0.9999

    whole, crop = {"size": 256}, {"size": 224}
    config.data.source = "imagenet2012"
    config.data.train.preprocess = cfg.preprocess(
        random_resized_crop={"size": 224, "scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}
    )
    config.data.train.augment = cfg.augment(
        flip={}, color_jitter={"brightness": 0.5, "contrast": 0.5, "saturation": 0.5}
    )
    config.data.eval.splits = {"validation": "validation"}
    config.data.eval.preprocess = cfg.preprocess(resize=whole, center_crop=crop)
    # Pixels from 0 to 255 less their mean, as Caffe has them.
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (1 / 255, 1 / 255, 1 / 255)}

    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.01, weight_decay=2e-4, decay_mask="all", rate_in_momentum=True
    )
    config.schedule = cfg.schedule("exponential", rate=0.96, every=8 / 250, staircase=True)
    config.log_every = 1000
    config.eval_every = 40_000
    config.checkpoint.best = ""  # no images are left for model selection: the last state counts
    if variant == "quick":
        config.epochs = 60.0
        config.ema_decay = 0.0
        config.data.train.preprocess = cfg.preprocess(
            resize=whole, center_crop=whole, random_crop=crop
        )
        config.data.train.augment = cfg.augment(flip={})
        config.schedule.name = "polynomial"
        config.schedule.polynomial.power = 0.5
    return config
