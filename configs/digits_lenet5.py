"""LeNet-5 on scikit-learn's 1,797 scanned digits, split by writer: the demo.

Paper: LeCun, Bottou, Bengio, Haffner 1998, with the dense C3 (61,706 parameters).

    python launch.py train --config=configs/digits_lenet5.py --workdir=runs/digits

Variants: `configs/digits_lenet5.py:plain` trains without augmentation, to see what it is worth;
`configs/digits_lenet5.py:lsuv` starts from weights scaled on data (Mishkin & Matas 2016).

Expected: 98.67 +- 0.53 % on the test digits over 5 seeds (docs/results.md), 2,500 steps. LSUV makes
no difference to a network of five layers: 98.5 +- 0.4 % over 3 seeds.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "plain", "lsuv")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    config.model = cfg.model("lenet5", num_classes=10)
    config.steps = 2500
    config.batch_size = 64

    upsample = cfg.preprocess(resize={"size": 32, "mode": "exact", "interpolation": "linear"})
    config.data.source = "digits"
    config.data.train.preprocess = upsample
    config.data.eval.preprocess = upsample
    if variant == "lsuv":
        config.init.name = "lsuv"
    if variant != "plain":
        config.data.train.augment = cfg.augment(
            affine={"degrees": 10.0, "scale": (0.9, 1.1), "shear": 5.0, "translate": 0.1}
        )
    config.data.normalize = {"mean": (0.3,), "std": (0.35,)}

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01)
    config.schedule = cfg.schedule("cosine", warmup=0.04)
    config.log_every = 125
    config.eval_every = 250
    config.checkpoint.every = 500
    config.representation.baselines = ("majority", "nearest_neighbor", "rbf_svm")
    return config
