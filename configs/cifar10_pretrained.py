"""Published weights on the test images of CIFAR-10: evaluated, not trained.

Weights: Idelbayev, akamaster/pytorch_resnet_cifar10 (ResNets of He et al. 2015, section 4.2), and
MLPerf Tiny's reference model (Banbury et al. 2021; mlcommons/tiny, pretrainedResnet.h5), which
needs h5py. Get the files from these repositories, and name the one to evaluate; leave
`--config.data.source` out after `python launch.py data prepare cifar10`:

    python launch.py eval --config=configs/cifar10_pretrained.py \\
        --config.data.source=cifar:/path --config.init_from.path=resnet20-12fca82f.th
    python launch.py eval --config=configs/cifar10_pretrained.py:resnet56 \\
        --config.data.source=cifar:/path --config.init_from.path=resnet56-4bfd9763.th
    python launch.py eval --config=configs/cifar10_pretrained.py:resnet8 \\
        --config.data.source=cifar:/path --config.init_from.path=pretrainedResnet.h5

Variants: the default is resnet20; resnet32, resnet44, resnet56, resnet110, resnet1202; resnet8.

Expected (share of the 10,000 test images that are right): resnet20 91.73 %, resnet56 93.39 %, which
is what their repository says; resnet8 87.21 %. Measured here: 827, 661 and 1,279 errors.

The ResNets of 20 layers and more see ImageNet's mean and standard deviation, and option A pads
channels on both sides; ResNet-8 sees numbers from 0 to 255.

Deviations: none.
"""

from cnnlab import config as cfg

DEEP = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202")
VARIANTS = ("default", *DEEP, "resnet8")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    name = "resnet20" if variant == "default" else variant
    config = cfg.base()
    config.experiment = cfg.experiment("supervised")
    if name == "resnet8":
        config.model = cfg.model("resnet8_mlperf_tiny", num_classes=10)
        config.data.normalize = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}
    else:
        config.model = cfg.model(name, num_classes=10, shortcut_padding="both")
        config.data.normalize = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    config.data.source = "cifar10"
    config.data.train.split = "train"
    config.data.eval.splits = {"test": "test"}
    config.evaluate.splits = ("test",)
    config.checkpoint.best = ""
    # Nothing trains; a run needs a length.
    config.steps = 1
    return config
