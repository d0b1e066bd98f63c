"""Transfer learning on shapes: pretraining on three classes, then three others with few labels.

How transferable the features are: Yosinski, Clune, Bengio & Lipson 2014. The trunk is
ResNet-10 of quarter width (He et al. 2015; one block a stage), the task which shape is
the largest: star, ring or cross for the pretraining, then disc, square or triangle.

    python launch.py train --config=configs/shapes_transfer.py --workdir=runs/first
    python launch.py train --config=configs/shapes_transfer.py:finetune --workdir=runs/finetune \\
        --config.init_from.path=runs/first

Variants: `shapes_transfer.py:finetune` trains all layers from those of the first three shapes;
`shapes_transfer.py:probe` a linear classifier on the frozen trunk; `shapes_transfer.py:scratch` all
layers from random weights; `shapes_transfer.py:random_probe` a linear classifier on a frozen random
trunk. Each with the same images for the same seed, a fixed number of steps and no selection.

Expected, test accuracy in % over 5 seeds (three classes, chance 33; `benchmarks/transfer.py`):

    own classes   fine-tune    probe        scratch      random probe   nearest neighbor
    95.9 +- 0.9   55.6 +- 5.2  58.6 +- 3.1  33.8 +- 3.0  31.9 +- 1.6    34.0 +- 1.6
For the same seed fine-tuning gains 21.8 +- 7.9 on scratch and the probe 26.7 +- 2.8 on the random
one, 16 and 24 in the least of five seeds. A third of the pretraining (940 steps) leaves the first
task at 85.7 +- 9.6 and the gain of fine-tuning at 9.5 +- 7.0. After those 940 steps rates were
chosen on validation images with another draw of labels, from 1e-3, 3e-3 and 1e-2 for fine-tuning
and scratch, which none of them lifts above chance; the probes' was not varied. These three shapes
come first because in short trials the other three were not learned; the gain in that direction is
not known.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "finetune", "probe", "scratch", "random_probe")
FIRST, SECOND = ("star", "ring", "cross"), ("disc", "square", "triangle")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model("resnet18", depths=(1, 1, 1, 1), width=0.25, num_classes=3)

    config.data.source = "shapes"
    config.data.train.augment = cfg.augment(flip={}, quarter_turn={})
    config.data.normalize = {"mean": (0.45, 0.45, 0.45), "std": (0.25, 0.25, 0.25)}
    config.optimizer = cfg.optimizer("adamw", learning_rate=1e-2, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    if variant == "default":
        config.data.classes = FIRST
        config.steps = 2800
        config.batch_size = 64
        config.log_every = 200
        config.evaluate.every = 400
        return config

    config.data.classes = SECOND
    config.data.train.per_class = 50
    config.steps = 200
    config.batch_size = 50
    config.log_every = 50
    # No labels are left for model selection.
    config.data.eval.splits = {"test": "test"}
    config.evaluate.splits = ()
    config.checkpoint.best = ""
    config.representation.baselines = ("nearest_neighbor",)
    config.optimizer.learning_rate = 1e-3 if variant == "finetune" else 1e-2
    if variant in ("finetune", "probe"):
        config.init_from.skip = ("head",)
    if variant in ("probe", "random_probe"):
        config.freeze = ("trunk",)
        config.optimizer.learning_rate = 2e-2
    return config
