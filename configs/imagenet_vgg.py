"""VGG-11 to VGG-19 on ImageNet.

Paper: Simonyan & Zisserman 2014, section 3; the networks are columns A, B, D and E of table 1.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_vgg.py --workdir=runs/vgg16
    python launch.py train --config=configs/imagenet_vgg.py:vgg11 --workdir=runs/vgg11
    python launch.py train --config=configs/imagenet_vgg.py:vgg16_bn --workdir=runs/vgg16_bn

Variants: the default is vgg16; vgg11, vgg13, vgg19; vgg16_fixed, whose images all have a shorter
side of 256 pixels; vgg16_bn, with BatchNorm, which the paper does not have.

Expected (validation, 50,000 images; published, not reproduced here: no ImageNet at hand), in % of
top-1 / top-5 errors, the paper's of table 3 for dense evaluation at one scale:
vgg11 29.6 / 10.4, vgg13 28.7 / 9.9, vgg16_fixed 27.0 / 8.8 (tested at 256 pixels, as trained);
vgg16 25.6 / 8.1, vgg19 25.5 / 8.0 (trained at 256 to 512 pixels, tested at 384).
With ten crops out of 256 pixels the paper's vgg16 has 28.07 / 9.33 (He et al. 2015, table 3). With
the center crop, which is what is measured here, torchvision's weights, of another recipe, have
vgg11 30.98 / 11.37, vgg13 30.07 / 10.75, vgg16 28.41 / 9.62, vgg16_bn 26.64 / 8.48,
vgg19 27.62 / 9.12.

Deviations: all but vgg11 start from Xavier's weights, where the paper starts deeper networks from
parts of vgg11 (it names Glorot & Bengio 2010 as the way without); the rate falls at set times, a
quarter, half and three quarters of the run, where the paper waits for the validation accuracy to
stop rising; the center crop instead of dense evaluation.
"""

from cnnlab import config as cfg

# The model, and the range of the shorter side of its training images.
VARIANTS = {
    "default": ("vgg16", (256, 512)),
    "vgg11": ("vgg11", (256, 256)),
    "vgg13": ("vgg13", (256, 256)),
    "vgg16_fixed": ("vgg16", (256, 256)),
    "vgg16_bn": ("vgg16_bn", (256, 512)),
    "vgg19": ("vgg19", (256, 512)),
}


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    name, shorter = cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model(name)
    if name == "vgg11":
        config.model.initial = "normal"
    config.epochs = 74.0
    config.batch_size = 256

    config.data.source = "imagenet2012"
    config.data.train.preprocess = cfg.preprocess(
        random_resize={"shorter": shorter}, random_crop={"size": 224}
    )
    config.data.train.augment = cfg.augment(flip={}, pca_noise={"std": 0.1})
    config.data.eval.splits = {"validation": "validation"}
    config.data.eval.preprocess = cfg.preprocess(resize={"size": 256}, center_crop={"size": 224})
    # Pixels from 0 to 255 less their mean, for which the paper's initial weights are.
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (1 / 255, 1 / 255, 1 / 255)}

    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.01, weight_decay=5e-4, decay_mask="all", rate_in_momentum=True
    )
    config.schedule = cfg.schedule("step", boundaries=(0.25, 0.5, 0.75), factor=0.1)
    config.log_every = 500
    config.eval_every = 5000
    config.checkpoint.best = ""  # no images are left for model selection: the last state counts
    return config
