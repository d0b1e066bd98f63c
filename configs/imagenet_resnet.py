"""ResNets and plain networks on ImageNet: as in their paper, and in 90 epochs as usual today.

Papers: He, Zhang, Ren, Sun 2015, section 3.4; for `modern` Goyal et al. 2017, sections 2 and 5
(linear rate, warm-up, zero scales, the stride in the 3x3) and He et al. 2018, sections 3 and 5
(cosine, label smoothing).

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_resnet.py --workdir=runs/resnet50
    python launch.py train --config=configs/imagenet_resnet.py:resnet34 --workdir=runs/resnet34
    python launch.py train --config=configs/imagenet_resnet.py:modern --workdir=runs/modern \\
        --config.model.dtype=bfloat16

Variants: the default is resnet50 in 600,000 steps of 256 images; resnet18, resnet34, resnet101,
resnet152, plain18, plain34; modern, ResNet-50 v1.5 in 90 epochs.

Expected (validation, 50,000 images; published, not reproduced here: no ImageNet at hand), in % of
top-1 errors, the paper's of tables 2 and 3 with ten crops: plain18 27.94, resnet18 27.88, plain34
28.54, resnet34 24.52, resnet50 22.85, resnet101 21.75, resnet152 21.43. With the center crop,
which is what is measured here, the authors give resnet50 24.7, resnet101 23.6, resnet152 23.0
(github.com/KaimingHe/deep-residual-networks).
modern: 23.5 (Goyal et al., figure 3: 23.53 +- 0.08 with steps of 1,024 images; flax's example has
23.46 in 100 epochs with a cosine).

The momentum contains the rate, and norms are not decayed, as in the authors' code.

Deviations: the rate falls at set times, a quarter, half and three quarters of the run, where the
paper waits for the error to stop falling; the mean of each channel is subtracted, not that of each
pixel, and divided by its standard deviation; resnet18 has shortcuts of kind B, that of table 2 A.
"""

from cnnlab import config as cfg
from cnnlab.errors import UserError

NETWORKS = ("resnet18", "resnet34", "resnet101", "resnet152", "plain18", "plain34")
VARIANTS = ("default", *NETWORKS, "modern")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    if variant not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise UserError(f"configs/imagenet_resnet.py has no variant '{variant}': {known}")
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model(variant if variant in NETWORKS else "resnet50")
    config.steps = 600_000
    config.batch_size = 256

    config.data.source = "imagenet2012"
    config.data.train.preprocess = cfg.preprocess(
        random_resize={"shorter": (256, 480)}, random_crop={"size": 224}
    )
    config.data.train.augment = cfg.augment(flip={}, pca_noise={"std": 0.1})
    config.data.eval.splits = {"validation": "validation"}
    config.data.eval.preprocess = cfg.preprocess(resize={"size": 256}, center_crop={"size": 224})
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.optimizer.sgd.rate_in_momentum = True
    config.schedule.name = "step"
    config.schedule.step = {"boundaries": (0.25, 0.5, 0.75), "factor": 0.1}
    config.log_every = 500
    config.evaluate.every = 5000
    config.checkpoint.every = 5000
    config.checkpoint.best = ""  # the last state counts: there are no images to choose another by
    return modern(config) if variant == "modern" else config


def modern(config):
    """Change what ninety epochs have otherwise."""
    config.model = cfg.model("resnet50_v15", zero_scale=True)
    config.experiment.label_smoothing = 0.1
    config.steps, config.epochs = 0, 90.0
    config.batch_size = 1024
    config.data.train.preprocess = cfg.preprocess(random_resized_crop={"size": 224})
    config.data.train.augment = cfg.augment(flip={})
    config.optimizer.learning_rate = 0.1 * config.batch_size / 256
    config.optimizer.sgd.rate_in_momentum = False
    config.optimizer.sgd.nesterov = True
    config.schedule.name = "cosine"
    config.schedule.warmup = 5 / 90
    config.log_every = 125
    config.evaluate.every = 1250
    config.checkpoint.every = 1250
    return config
