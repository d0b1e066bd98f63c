"""Softmax, sigmoid and linear outputs on procedural shapes, each with its loss.

Which shape is the largest (softmax, one class of six), which shapes are there at all (sigmoid,
several labels at once), and the image's label as six real numbers (linear, squared error on
one-hot targets: a Gaussian model of what is no Gaussian, for comparison with softmax).

    python launch.py --config=configs/shapes_objectives.py --workdir=runs/shapes
    python launch.py --config=configs/shapes_objectives.py:sigmoid --workdir=runs/presence
    python launch.py --config=configs/shapes_objectives.py:linear --workdir=runs/linear

The network is ResNet-10 of a quarter width (He et al. 2015; one block a stage).

Expected: docs/results.md has what was measured here.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "sigmoid", "linear")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.model = cfg.model("resnet18", depths=(1, 1, 1, 1), width=0.25, num_classes=6)
    config.epochs = 40.0
    config.batch_size = 64

    config.data.source = "shapes"
    config.data.train.augment = cfg.augment(flip={}, quarter_turn={})
    config.data.normalize = {"mean": (0.45, 0.45, 0.45), "std": (0.25, 0.25, 0.25)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=1e-2, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.05)
    config.log_every = 250
    config.eval_every = 500

    objective = {"default": "softmax"}.get(variant, variant)
    target = "presence" if variant == "sigmoid" else "label"
    config.experiment = cfg.experiment("supervised", objective=objective, target=target)
    config.data.keys = ("image", target)
    return config
