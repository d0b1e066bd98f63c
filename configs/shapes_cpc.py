"""Contrastive predictive coding on procedural shapes, without labels.

Paper: van den Oord, Li & Vinyals 2018, section 3.2, scaled from 256 pixels to 64: the same 7x7
grid, of patches of 16 pixels every 8, predicted up to five rows ahead; an encoder without norms.

    python launch.py train --config=configs/shapes_cpc.py --workdir=runs/shapes_cpc

Expected, accuracy in % of a linear probe of the largest shape (test, 1,000 images, 5 seeds; chance
16.7): contexts 23.6 +- 2.0 (random weights 17.8 +- 1.4), features 20.6 +- 2.2 (17.1 +- 0.8), raw
pixels 16.3; the same network trained on the labels for as many steps 18.7 and 19.3 (one seed). The
bound on the validation images is 0.72 +- 0.06 of log 49 = 3.89 nats.

Candidates are the patches of the same image: among all, the ground's color would tell most apart.
Deviations: the encoder has three stages of one unit and sees squares of 2x2 pixels as one; images
keep their colors; AdamW with a cosine in place of Adam.
"""

from cnnlab import config as cfg

VARIANTS = ("default",)


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("cpc", steps=5, negatives="image")
    config.model = cfg.model("cpc_small", width=0.5)
    config.steps = 500
    config.batch_size = 32

    config.data.source = "shapes"
    config.data.train.augment = cfg.augment(flip={}, quarter_turn={})
    config.data.normalize = {"mean": (0.45, 0.45, 0.45), "std": (0.25, 0.25, 0.25)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    config.log_every = 50
    config.eval_every = 250
    config.evaluate.batch_size = 50
    config.checkpoint.best = ""
    config.representation.evaluators = cfg.evaluators(
        collapse={"every": 250}, linear_probe={"endpoint": ("features", "context")}, knn={}
    )
    config.representation.controls = ("pixels", "random", "supervised")
    return config
