"""Without convolutions: what LeNet-5 is compared with on MNIST, and the step from dense to shared.

Papers: LeCun, Bottou, Bengio, Haffner 1998, section III.C and figure 9; LeCun 1989.

    python launch.py data prepare mnist
    python launch.py --config=configs/mnist_baselines.py --workdir=runs/linear
    python launch.py --config=configs/mnist_baselines.py:mlp300 --workdir=runs/mlp300

Variants, with what the paper gives in % of errors on the 10,000 test images:

- linear, the default: 12.0. Linear outputs, squared error.
- mlp300: 4.7. One hidden layer of 300 units, scaled tanh, squared error.
- nearest_neighbor: 5.0, of three neighbors.
- linear_svm: not in the paper.
- line_mlp, line_local, line_shared: the lecture's line, the units of LeNet-5 fully connected (11.4
  million parameters), locally connected (423,038) and with shared weights (61,706), by one recipe.

Expected: docs/results.md has our numbers beside the paper's.

All train on the 60,000 images, and look at the test images only to report. Deviations: Adam in
place of stochastic gradient descent with a rate a parameter; one neighbor in place of three.
"""

from cnnlab import config as cfg

MODULE = "cnnlab.classical.pixel_classifiers"
# The units of LeNet-5: 6 maps of 28x28, pooled; 16 of 10x10, pooled; 120; 84.
UNITS = (6 * 28 * 28, 16 * 10 * 10, 120, 84)
FITTED = {"nearest_neighbor": "NearestNeighbor", "linear_svm": "LinearSVM"}
LINE = {
    "line_mlp": lambda: cfg.model("mlp", hidden=UNITS, num_classes=10),
    "line_local": lambda: cfg.model("locally_connected", num_classes=10, padding=2),
    "line_shared": lambda: cfg.model("lenet5", num_classes=10, padding=2),
}
VARIANTS = ("default", "linear", "mlp300", *FITTED, *LINE)


def get_config(variant: str = "default"):
    """Return the config of a variant; the default is `linear`."""
    cfg.variant(variant, VARIANTS)
    variant = "linear" if variant == "default" else variant
    config = cfg.base()
    config.data.source = "mnist"
    config.data.eval.splits = {"test": "test"}
    config.evaluate.splits = ("test",)
    config.checkpoint.best = ""
    if variant in FITTED:
        config.experiment = cfg.experiment("fitted")
        config.model = cfg.model(f"{MODULE}:{FITTED[variant]}", num_classes=10)
        # Of 60,000 distances each.
        config.evaluate.batch_size = 64
        config.steps = 1
        config.log_every = config.eval_every = 1
        return config

    config.data.normalize = {"mean": (0.1307,), "std": (0.3081,)}
    config.epochs = 20.0
    config.batch_size = 64
    config.log_every = 469
    config.eval_every = 4690
    config.schedule = cfg.schedule("cosine", warmup=0.04)
    if variant in LINE:
        config.experiment = cfg.experiment("supervised")
        config.model = LINE[variant]()
        config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01)
        return config
    config.experiment = cfg.experiment("supervised", objective="linear")
    hidden = (300,) if variant == "mlp300" else ()
    config.model = cfg.model("mlp", hidden=hidden, activation="scaled_tanh", num_classes=10)
    config.optimizer = cfg.optimizer("adam", learning_rate=1e-3)
    return config
