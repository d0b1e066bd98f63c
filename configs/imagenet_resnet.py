"""ResNets and plain networks on ImageNet: the paper's recipe, 90 epochs, and large batches.

Papers: He, Zhang, Ren, Sun 2015, section 3.4; for `modern` Goyal et al. 2017, sections 2 and 5
(linear rate, warm-up, zero scales, the stride in the 3x3) and He et al. 2018, sections 3 and 5
(cosine, label smoothing).

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_resnet.py --workdir=runs/resnet50
    python launch.py train --config=configs/imagenet_resnet.py:resnet34 --workdir=runs/resnet34
    python launch.py train --config=configs/imagenet_resnet.py:modern --workdir=runs/modern \\
        --config.model.dtype=bfloat16
    python launch.py train --config=configs/imagenet_resnet.py:goyal8k --workdir=runs/goyal8k \\
        --launcher=slurm --nodes=32 --gpus_per_node=8

Variants: the default is resnet50 in 600,000 steps of 256 images; resnet18, resnet34, resnet101,
resnet152, plain18, plain34; modern, ResNet-50 v1.5 in 90 epochs. For many devices, with 90 epochs
of large batches and the first 5 of them for the warm-up: goyal8k, 8,192 images and the rate scaled
with them, 0.1 for each 256 (Goyal et al., section 2.1); lars8k, lars16k and lars32k, up to 32,768
images with a rate for each layer (You, Gitman & Ginsburg 2017). See docs/scaling.md.

Expected (validation, 50,000 images; published, not reproduced here: no ImageNet at hand), in % of
top-1 errors, the paper's of tables 2 and 3 with ten crops: plain18 27.94, resnet18 27.88, plain34
28.54, resnet34 24.52, resnet50 22.85, resnet101 21.75, resnet152 21.43. With the center crop,
which is what is measured here, the authors give resnet50 24.7, resnet101 23.6, resnet152 23.0
(github.com/KaimingHe/deep-residual-networks).
modern: 23.5 (Goyal et al., figure 3: 23.53 +- 0.08 with steps of 1,024 images; flax's example has
23.46 in 100 epochs with a cosine).
goyal8k: 23.74 +- 0.09, and 23.60 +- 0.12 with 256 images (Goyal et al., table 1: 256 GPUs of 32
images, five runs). You et al. give top-1 accuracies (table 4, of a weaker augmentation): 73.0 with
256 images, LARS 72.3 with 8K, 73.0 with 16K, 72.3 with 32K. The numbers of this paragraph and the
rates of LARS, 0.6, 2.5 and 2.9, are recalled and not checked against the papers.

The momentum contains the rate, and norms are not decayed, as in the authors' code.

Deviations: the rate falls at set times, a quarter, half and three quarters of the run, where the
paper waits for the error to stop falling; the mean of each channel is subtracted, not that of each
pixel, and divided by its standard deviation; resnet18 has shortcuts of kind B, that of table 2 A.
The warm-up starts at next to nothing, Goyal et al.'s at the rate of 256 images. The lars variants
are ResNet-50 v1.5 with modern's crops of any aspect, decayed by He et al.'s 1e-4: that of their
paper is not known to us. It does not say of norms and biases either, which have no rate of their
own here.
"""

from cnnlab import config as cfg

NETWORKS = ("resnet18", "resnet34", "resnet101", "resnet152", "plain18", "plain34")
# Images a step, optimizer, learning rate.
LARGE = {
    "goyal8k": (8192, "sgd", 0.1 * 8192 / 256),
    "lars8k": (8192, "lars", 0.6),
    "lars16k": (16_384, "lars", 2.5),
    "lars32k": (32_768, "lars", 2.9),
}
VARIANTS = ("default", *NETWORKS, "modern", *LARGE)


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
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

    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.1, weight_decay=1e-4, rate_in_momentum=True
    )
    config.schedule = cfg.schedule("step", boundaries=(0.25, 0.5, 0.75), factor=0.1)
    config.log_every = 500
    config.eval_every = 5000
    config.checkpoint.best = ""  # no images are left for model selection: the last state counts
    if variant in LARGE:
        return large(modern(config), *LARGE[variant])
    return modern(config) if variant == "modern" else config


def modern(config):
    """Set the recipe of 90 epochs."""
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
    config.eval_every = 1250
    return config


def large(config, batch_size: int, optimizer: str, learning_rate: float):
    """Set the large batches of a `modern` config."""
    config.experiment.label_smoothing = 0.0
    config.batch_size = batch_size
    config.optimizer.name = optimizer
    config.optimizer.learning_rate = learning_rate
    if optimizer == "lars":
        # With the decay of its algorithm 1; norms and biases keep plain momentum (`kernels`).
        config.schedule.name = "polynomial"
        config.schedule.polynomial.power = 2.0
    else:
        config.schedule.name = "step"
        config.schedule.step.boundaries = (30 / 90, 60 / 90, 80 / 90)
    # About 157 steps an epoch at 8,192 images, 39 at 32,768.
    config.log_every, config.eval_every = 20, 200
    config.evaluate.batch_size = 8192  # which 1,024 devices can divide
    return config
