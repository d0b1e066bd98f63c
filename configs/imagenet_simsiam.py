"""SimSiam, SimCLR, BYOL, VICReg and Barlow Twins on ImageNet, without labels.

Papers: Chen & He 2020 (SimSiam; arXiv 2011.10566); Chen et al. 2020 (SimCLR; 2002.05709); Grill et
al. 2020 (BYOL; 2006.07733); Bardes et al. 2022 (VICReg; 2105.04906); Zbontar et al. 2021 (Barlow
Twins; 2103.03230). ResNet-50 each, with the stride in the 3x3 and zero scales.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_simsiam.py --workdir=runs/simsiam
    python launch.py train --config=configs/imagenet_simsiam.py:byol --workdir=runs/byol \\
        --config.model.dtype=bfloat16

and a linear classifier on the frozen features:

    python launch.py train --config=configs/imagenet_resnet.py:modern --workdir=runs/linear \\
        --config.init_from.path=runs/simsiam --config.init_from.skip="('head',)" \\
        --config.freeze="('trunk',)"

Variants: the default is SimSiam, 100 epochs in steps of 512; nt_xent (SimCLR, 100 epochs in steps
of 4,096), byol (1,000 epochs, 4,096), vicreg and barlow (1,000 epochs, 2,048).

Expected, top-1 in % of a linear classifier on the frozen features (validation, 50,000 images;
published, each after a recipe for the classifier of its own; not reproduced here: no ImageNet at
hand): default 68.1 (the authors' repository; 67.7 if the predictor's rate falls too, as it does
here), nt_xent 64.5 (README of the authors' code), byol 74.3, vicreg 73.2 (README), barlow 73.3
(README).

Heads, rates, decays, warm-ups, schedules and the augmentations but for those named next are those
of the authors' code: facebookresearch/simsiam, vicreg and barlowtwins, google-research/simclr,
google-deepmind/deepmind-research/byol. Recalled from the papers, to be looked up before they are
quoted: 67.7 (SimSiam, table 1), 74.3 (BYOL, table 1), SimCLR's blur with probability 0.5, and
VICReg's views, both blurred with probability 0.5 and solarized with 0.1.

Deviations: the crops are cut out of the central square of an image whose shorter side has been
reduced to 256 pixels, not out of the whole image; SimSiam's predictor has the rate of the rest,
which falls, where the authors keep it; BYOL trains on all images and looks at none of them for
choosing; LARS adds the norms of gradient and decay, where vicreg's and Barlow Twins' code takes the
norm of their sum; vicreg's variance has the weight of the authors' code, half of the paper's.
"""

from cnnlab import config as cfg

IMAGES = 1_281_167
CROP = {"size": 224, "scale": (0.08, 1.0)}
# BYOL's colors, which VICReg and Barlow Twins took over.
COLORS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}
VARIANTS = ("default", "nt_xent", "byol", "vicreg", "barlow")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.model = cfg.model("resnet50_v15", num_classes=0, zero_scale=True)
    config.parallel.sync_bn = True

    config.data.source = "imagenet2012"
    square = {"resize": {"size": 256}, "center_crop": {"size": 256}}
    config.data.train.preprocess = cfg.preprocess(**square)
    config.data.train.views = 2
    config.data.eval.splits = {"validation": "validation"}
    config.data.eval.preprocess = cfg.preprocess(resize={"size": 256}, center_crop={"size": 224})
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

    config.schedule = cfg.schedule("cosine")
    config.log_every = 100
    # The loss needs two views, and evaluation has one: no evaluation, and no best checkpoint.
    config.evaluate.splits = ()
    config.eval_every = 2500
    config.checkpoint.best = ""
    return {"default": simsiam, "nt_xent": simclr, "byol": byol}.get(variant, statistics)(
        config, variant
    )


def simsiam(config, variant):
    """Chen & He 2020, section 3 and appendix A."""
    del variant
    config.experiment = cfg.experiment(
        "joint_embedding", method="simsiam", projector=(2048, 2048, 2048), predictor=(512,)
    )
    config.epochs = 100.0
    config.batch_size = 512
    config.data.train.augment = cfg.augment(
        random_resized_crop={"size": 224, "scale": (0.2, 1.0)},
        color_jitter={"hue": 0.1, "probability": 0.8},
        grayscale={"probability": 0.2},
        gaussian_blur={"probability": 0.5},
        flip={},
    )
    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.05 * config.batch_size / 256, weight_decay=1e-4, decay_mask="all"
    )
    return config


def layerwise(config, *, epochs, batch_size, base_rate, weight_decay):
    """Set LARS with ten epochs of warm-up, as in all recipes but SimSiam."""
    config.epochs, config.batch_size = float(epochs), batch_size
    config.optimizer = cfg.optimizer(
        "lars", learning_rate=base_rate * batch_size / 256, weight_decay=weight_decay
    )
    config.schedule.warmup = 10 / epochs


def simclr(config, variant):
    """Chen et al. 2020, section 2 and appendix A, at strength 1."""
    del variant
    config.experiment = cfg.experiment(
        "joint_embedding",
        method="nt_xent",
        projector=(2048, 128),
        temperature=0.1,
        joint_views=True,
    )
    config.data.train.augment = cfg.augment(
        random_resized_crop=CROP,
        color_jitter={
            **{"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2},
            "probability": 0.8,
        },
        grayscale={"probability": 0.2},
        gaussian_blur={"probability": 0.5},
        flip={},
    )
    layerwise(config, epochs=100, batch_size=4096, base_rate=0.3, weight_decay=1e-6)
    return config


def two_kinds_of_views(config):
    """Set BYOL's two augmentations: blur on the first view, solarization on the second."""
    config.data.train.augment = cfg.augment(
        random_resized_crop=CROP,
        color_jitter=COLORS,
        grayscale={"probability": 0.2},
        gaussian_blur={"probability": 1.0},
        solarize={"probability": 0.0},
        flip={},
    )
    config.data.train.second_view = cfg.augment(
        gaussian_blur={"probability": 0.1}, solarize={"probability": 0.2}
    )


def byol(config, variant):
    """Grill et al. 2020, section 3.3 and appendix B."""
    del variant
    two_kinds_of_views(config)
    layerwise(config, epochs=1000, batch_size=4096, base_rate=0.2, weight_decay=1.5e-6)
    config.experiment = cfg.experiment(
        "joint_embedding",
        method="byol",
        projector=(4096, 256),
        predictor=(4096,),
        momentum=0.996,
        momentum_steps=1000 * IMAGES // 4096,
    )
    return config


def statistics(config, variant):
    """Bardes et al. 2022, section 4.2 and appendix C; Zbontar et al. 2021, section 2.2."""
    wide = (8192, 8192, 8192)
    layerwise(config, epochs=1000, batch_size=2048, base_rate=0.2, weight_decay=1e-6)
    config.schedule.cosine.final = 0.001
    if variant == "vicreg":
        config.experiment = cfg.experiment(
            "joint_embedding", method="vicreg", projector=wide, weights=(25.0, 12.5, 1.0)
        )
        config.data.train.augment = cfg.augment(
            random_resized_crop=CROP,
            color_jitter=COLORS,
            grayscale={"probability": 0.2},
            gaussian_blur={"probability": 0.5},
            solarize={"probability": 0.1},
            flip={},
        )
        return config
    config.experiment = cfg.experiment(
        "joint_embedding", method="barlow", projector=wide, weights=(0.0051,)
    )
    two_kinds_of_views(config)
    # Biases and norms have a base rate of 0.0048.
    config.optimizer.multipliers = (("(bias|scale)$", 0.0048 / 0.2),)
    return config
