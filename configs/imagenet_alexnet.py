"""AlexNet on ImageNet.

Paper: Krizhevsky, Sutskever, Hinton 2012, sections 4 and 5.

    python launch.py data prepare imagenet2012
    python launch.py train --config=configs/imagenet_alexnet.py --workdir=runs/alexnet
    python launch.py train --config=configs/imagenet_alexnet.py:torchvision --workdir=runs/alexnet1

- default: two groups, local response normalization, 60,965,224 parameters; crops of 227 pixels
  out of 256, flips, PCA color noise; SGD whose momentum contains the rate; 90 epochs.
- torchvision: the single tower of 61,100,840 parameters, crops of random area, 90 epochs.

Expected (validation, 50,000 images; published, not reproduced here: no ImageNet at hand):
default 40.7 % top-1 and 18.2 % top-5 errors with ten crops (the paper, one network, table 2);
42.9 and 19.8 % with the center crop, which is what is measured here (Caffe's replica);
torchvision 43.48 and 20.93 % with the center crop (its published weights).

Deviations: crops of 227, where the paper says 224 but means 227; the mean of each channel is
subtracted, not that of each pixel; the rate falls at set times, a quarter, half and three quarters
of the run, where the paper waits for the validation error to stop falling; one crop at test.
Caffe's replica started from biases of 0.1, not 1, with which its loss stayed flat.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "torchvision")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model("alexnet")
    config.epochs = 90.0
    config.batch_size = 128

    whole = {"size": 256}
    config.data.source = "imagenet2012"
    config.data.train.preprocess = cfg.preprocess(
        resize=whole, center_crop=whole, random_crop={"size": 227}
    )
    config.data.train.augment = cfg.augment(flip={}, pca_noise={"std": 0.1})
    config.data.eval.splits = {"validation": "validation"}
    config.data.eval.preprocess = cfg.preprocess(resize=whole, center_crop={"size": 227})
    # Pixels from 0 to 255 less their mean, for which the paper's initial weights are.
    config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (1 / 255, 1 / 255, 1 / 255)}

    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.01, weight_decay=5e-4, decay_mask="all", rate_in_momentum=True
    )
    config.schedule = cfg.schedule("step", boundaries=(0.25, 0.5, 0.75), factor=0.1)
    config.log_every = 500
    config.eval_every = 10_000
    config.checkpoint.best = ""  # no images are left for model selection: the last state counts
    if variant == "torchvision":
        config.model = cfg.model("alexnet_torchvision")
        config.batch_size = 256
        config.data.train.preprocess = cfg.preprocess(random_resized_crop={"size": 224})
        config.data.train.augment = cfg.augment(flip={})
        config.data.eval.preprocess = cfg.preprocess(resize=whole, center_crop={"size": 224})
        config.data.normalize.std = (0.229, 0.224, 0.225)
        config.optimizer.weight_decay = 1e-4
        config.optimizer.sgd.rate_in_momentum = False
        config.schedule.step.boundaries = (1 / 3, 2 / 3)
    return config
