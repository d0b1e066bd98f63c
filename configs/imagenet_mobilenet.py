"""MobileNet v1 on ImageNet, at four widths and four resolutions.

Paper: Howard et al. 2017, section 3.2, which trains as Inception v3 did (Szegedy et al. 2016,
section 8): RMSProp with momentum 0.9 and eps 1, rate 0.045 down by 6 % at a time, averaged
parameters. No weight decay on depthwise filters, no label smoothing, no small crops.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_mobilenet.py --workdir=runs/mobilenet
    python launch.py train --config=configs/imagenet_mobilenet.py:050 --workdir=runs/mobilenet_050
    python launch.py train --config=configs/imagenet_mobilenet.py:160 --workdir=runs/mobilenet_160

Variants: the default has width 1 and 224 pixels; 075, 050 and 025 are widths at 224 pixels, 192,
160 and 128 are resolutions at width 1.

Expected (validation, 50,000 images, the center crop; the paper's of tables 6 and 7, not reproduced
here: no ImageNet at hand), in % of top-1 accuracy: default 70.6, 075 68.4, 050 63.7, 025 50.6;
192 69.1, 160 67.2, 128 64.4. The state to compare is that of the averages, `ema/accuracy`.

Deviations, where the paper is silent: synchronous steps of 256 images (its own were asynchronous),
200 epochs, 6 % every two and a half epochs and weight decay 4e-5 (as the authors' TF-Slim code),
crops of 25 to 100 % of the area.
"""

from cnnlab import config as cfg

# The model, and the side of its images.
VARIANTS = {
    "default": ("mobilenet_v1", 224),
    "075": ("mobilenet_v1_075", 224),
    "050": ("mobilenet_v1_050", 224),
    "025": ("mobilenet_v1_025", 224),
    "192": ("mobilenet_v1", 192),
    "160": ("mobilenet_v1", 160),
    "128": ("mobilenet_v1", 128),
}


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    name, size = cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model(name)
    config.epochs = 200.0
    config.batch_size = 256
    config.ema_decay = 0.9999

    config.data.source = "imagenet2012"
    config.data.train.preprocess = cfg.preprocess(
        random_resized_crop={"size": size, "scale": (0.25, 1.0)}
    )
    config.data.train.augment = cfg.augment(flip={})
    config.data.eval.splits = {"validation": "validation"}
    # The center crop is 7/8 of the shorter side at each resolution.
    config.data.eval.preprocess = cfg.preprocess(
        resize={"size": round(size * 8 / 7)}, center_crop={"size": size}
    )
    config.data.normalize = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    config.optimizer = cfg.optimizer(
        "rmsprop", learning_rate=0.045, weight_decay=4e-5, decay_mask="not_depthwise"
    )
    config.schedule = cfg.schedule("exponential", rate=0.94, every=2.5 / 200, staircase=True)
    config.log_every = 500
    config.eval_every = 5000
    config.checkpoint.best = ""  # no images are left for model selection: the last state counts
    return config
