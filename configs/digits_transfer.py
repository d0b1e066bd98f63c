"""Transfer between digits: LeNet-5 learns 0 to 4, then 5 to 9 from five examples of each.

What of a network carries over to other classes: Yosinski, Clune, Bengio & Lipson 2014. The trunk is
LeNet-5 with BatchNorm (LeCun et al. 1998).

    python launch.py train --config=configs/digits_transfer.py --workdir=runs/0to4
    python launch.py train --config=configs/digits_transfer.py:finetune --workdir=runs/finetune \\
        --config.init_from.path=runs/0to4

Variants: `digits_transfer.py:finetune` trains all layers from those of 0 to 4;
`digits_transfer.py:probe` a linear classifier on the frozen trunk; `digits_transfer.py:scratch` all
layers from random weights; `digits_transfer.py:random_probe` a linear classifier on a frozen random
trunk. Each with the same 25 images for the same seed, a fixed number of steps and no selection.

Expected: no gain on digits. Test accuracy for seeds 0 and 1: fine-tuning 91.1 and 88.3 %, from
scratch 90.0 and 88.9 %, the probe 80.6 and 79.4 %, the random probe 93.3 and 83.9 %, the nearest
neighbor on pixels 88.9 and 88.3 %. What tells 0 to 4 apart is of little use for 5 to 9, which are
easy on pixels. Over more seeds: `python benchmarks/transfer.py --workdir=runs/transfer`.
"""

from cnnlab import config as cfg
from cnnlab.errors import UserError

VARIANTS = ("default", "finetune", "probe", "scratch", "random_probe")
FIRST, SECOND = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    if variant not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise UserError(f"configs/digits_transfer.py has no variant '{variant}': {known}")
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model("lenet5", num_classes=5, norm="batch")

    upsample = cfg.preprocess(resize={"size": 32, "mode": "exact", "interpolation": "linear"})
    config.data.source = "digits"
    config.data.train.preprocess = upsample
    config.data.eval.preprocess = upsample
    config.data.train.augment = cfg.augment(
        affine={"degrees": 10.0, "scale": (0.9, 1.1), "shear": 5.0, "translate": 0.1}
    )
    config.data.normalize = {"mean": (0.3,), "std": (0.35,)}
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.weight_decay = 0.01
    config.schedule.warmup = 0.04
    if variant == "default":
        config.data.classes = FIRST
        config.steps = 1000
        config.batch_size = 64
        config.log_every = 100
        config.evaluate.every = 250
        return config

    config.data.classes = SECOND
    config.data.train.per_class = 5
    config.steps = 300
    config.batch_size = 25
    config.log_every = 50
    # 25 labels are all there is: nothing to select on.
    config.data.eval.splits = {"test": "test"}
    config.evaluate.splits = ()
    config.checkpoint.best = ""
    config.floors = ("nearest_neighbor",)
    if variant in ("finetune", "probe"):
        config.init_from.skip = ("head",)
    if variant in ("probe", "random_probe"):
        config.freeze = ("trunk",)
        config.optimizer.learning_rate = 2e-2
    return config
