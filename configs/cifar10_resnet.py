"""ResNets and plain networks of 20 to 110 layers on CIFAR-10.

Paper: He, Zhang, Ren, Sun 2015, section 4.2 and table 6. As there, 45,000 images train and 5,000
validate while choices are made; `_50k` trains on all 50,000 for the numbers to compare, and looks
at the test images only to report.

    python launch.py data prepare cifar10
    python launch.py train --config=configs/cifar10_resnet.py --workdir=runs/resnet20
    python launch.py train --config=configs/cifar10_resnet.py:resnet56 --workdir=runs/resnet56
    python launch.py train --config=configs/cifar10_resnet.py:resnet56_50k --workdir=runs/r56_50k

Variants: the default is resnet20; resnet32, resnet44, resnet56, resnet110, plain20, plain32,
plain44, plain56; resnet20_50k and so on for each; resnet20_30epochs and so on: 30 epochs on the
50,000 images instead of 164, by one cycle of the rate (Smith & Topin 2017) to 0.2, with Nesterov's
momentum and a decay of 5e-4. Its rates were chosen beforehand, none was tried on the test images.

Expected (the paper's, in % of test errors after 64,000 steps on 50,000 images, one run):
resnet20 8.75, resnet32 7.51, resnet44 7.17, resnet56 6.97, resnet110 6.43 (best of 5, mean 6.61).
The deeper of the plain networks have the larger error, in training too (figure 6). docs/results.md
has what was measured here.

The momentum contains the rate, and norms are not decayed, as in the authors' code.

Deviations: the mean of each channel is subtracted, not that of each pixel, and divided by its
standard deviation; resnet110 warms up linearly over its first 400 steps, where the paper keeps a
rate of 0.01 until the training error is below 80 %, about 400 steps.
"""

from cnnlab import config as cfg

NETWORKS = (
    *("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    *("plain20", "plain32", "plain44", "plain56"),
)
VARIANTS = ("default", *(f"{name}{end}" for end in ("", "_50k", "_30epochs") for name in NETWORKS))


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    name, _, part = variant.partition("_")
    name = "resnet20" if name == "default" else name
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model(name, num_classes=10)
    config.steps = 64_000
    config.batch_size = 128

    config.data.source = "cifar10"
    config.data.train.split = "train[:45000]"
    config.data.eval.splits = {"validation": "train[45000:]", "test": "test"}
    config.data.train.augment = cfg.augment(flip={}, pad_crop={"padding": 4})
    config.data.normalize = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}

    config.optimizer = cfg.optimizer(
        "sgd", learning_rate=0.1, weight_decay=1e-4, rate_in_momentum=True
    )
    config.schedule = cfg.schedule(
        "step", warmup=400 if name == "resnet110" else 0.0, boundaries=(32_000, 48_000), factor=0.1
    )
    config.log_every = 400
    config.eval_every = 2000
    if part == "30epochs":
        config.steps, config.epochs = 0, 30.0
        config.optimizer = cfg.optimizer("sgd", learning_rate=0.2, nesterov=True, weight_decay=5e-4)
        config.schedule = cfg.schedule("one_cycle", peak_fraction=0.25)
    if part:
        config.data.train.split = "train"
        config.data.eval.splits = {"test": "test"}
        config.evaluate.splits = ("test",)
        config.checkpoint.best = ""
    return config
