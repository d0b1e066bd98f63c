"""The objectives that must not depend on how a batch is spread over devices or processes.

A new experiment joins by one row. What is fitted has neither losses nor gradients to compare: see
`training/test_fitting.py` for devices, and `launch/test_group.py` for processes.
"""

from cnnlab import config as cfg

# Name -> the entries of a config that make this objective run on small data. BatchNorm is part
# of each, so that synchronised statistics are compared too.
OBJECTIVES = {
    "supervised": dict(
        experiment=cfg.experiment("supervised", label_smoothing=0.1),
        model=cfg.model("mlp", hidden=(12, 12), norm="batch"),
    ),
    "supervised_sigmoid": dict(
        experiment=cfg.experiment("supervised", objective="sigmoid"),
        model=cfg.model("mlp", hidden=(12,), norm="batch"),
    ),
    "triplet": dict(
        experiment=cfg.experiment("triplet", mining="batch_all"),
        model=cfg.model("mlp", hidden=(12,), norm="batch", num_classes=6),
        data__train__sampler__name="classes",
    ),
    "siamese": dict(
        experiment=cfg.experiment("siamese"),
        model=cfg.model("mlp", hidden=(12,), norm="batch", num_classes=6),
        data__train__sampler__name="pairs",
    ),
    **{
        f"joint_embedding_{method}": dict(
            experiment=cfg.experiment(
                "joint_embedding", method=method, projector=(8, 8), predictor=(4, 8), momentum=0.9
            ),
            model=cfg.model("mlp", hidden=(12,), norm="batch", num_classes=0),
            data__train__views=2,
            data__train__augment=cfg.augment(affine={}),
        )
        for method in ("nt_xent", "byol", "vicreg")
    },
    "cpc": dict(
        experiment=cfg.experiment("cpc", steps=2),
        model=cfg.model("cpc_small", patch=4, stride=2, width=0.03125, jitter_crop=0),
        # Larger inputs for larger gradients.
        data__normalize={"mean": (0.3,), "std": (0.15,)},
    ),
}
# Plain gradient descent at rate 1: the change of the parameters is the gradient itself.
GRADIENT = dict(
    optimizer__learning_rate=1.0,
    optimizer__sgd__momentum=0.0,
    schedule__name="constant",
    parallel__sync_bn=True,
    batch_size=32,
    # No metric is one of all these objectives.
    checkpoint__best="",
)
