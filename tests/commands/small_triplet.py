"""Triplets on digits, with every evaluator and every control; seconds."""

from cnnlab import config as cfg


def get_config():
    """Return the config."""
    config = cfg.base()
    config.experiment = cfg.experiment("triplet")
    config.model = cfg.model("mlp", hidden=(16,), num_classes=8)
    config.steps = 8
    config.batch_size = 32
    config.data.train.sampler.name = "classes"
    config.log_every = 4
    config.evaluate.every = 4
    config.checkpoint.every = 4
    config.checkpoint.best = ""
    config.representation.evaluators = cfg.evaluators(
        collapse={"every": 4},
        few_shot={"ways": 5, "episodes": 20},
        knn={"endpoint": "embedding"},
        linear_probe={"splits": ("test",), "max_iterations": 50},
        retrieval={"splits": ("test",)},
        verification={"splits": ("test",), "pairs": 500},
    )
    config.representation.controls = ("pixels", "random", "supervised", "fine_tune")
    config.representation.fine_tune.per_class = 5
    config.representation.fine_tune.batch_size = 24
    config.parallel.devices = 1
    config.representation.embedding_view.split = "test"
    config.representation.embedding_view.projector = True
    return config
