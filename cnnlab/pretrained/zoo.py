"""Which libraries have weights of which of our models, and what those weights were trained with.

Wightman, "PyTorch Image Models"; Howard & Gugger 2020, "fastai"; torchvision's model zoo. The
preprocessing is that of the library's evaluation at the resolution of the training.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnnlab.models import MODELS
from cnnlab.models.resnet_cifar import KERAS
from cnnlab.pretrained import name_maps
from cnnlab.pretrained.name_maps import Layout
from cnnlab.pretrained.preprocessing import HALF, Preprocessing

USUAL = Preprocessing()


@dataclasses.dataclass(frozen=True)
class Source:
    """A layout of a model's weights.

    Attributes:
        layout: name of the library.
        names: from our modules to its layers.
        flattened: our dense layers that see a flattened map, with its height and width; the
            order of its places and channels differs.
        arguments: fields of our model that such weights were trained with.
        instead: name of our model with all fields of theirs, if it is another.
        preprocessing: of its images; None if nothing is known.
        written: whether `save` writes it.
    """

    layout: str
    names: Layout
    flattened: Mapping[str, int] = dataclasses.field(default_factory=dict)
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    instead: str = ""
    preprocessing: Preprocessing | None = USUAL
    written: bool = True


# Ours, for every model; arrays as they are here.
OWN = Source("cnnlab", name_maps.own, preprocessing=None)

_RESNET = Source("torchvision", name_maps.torchvision_resnet)
_TIMM_D = Preprocessing(interpolation="bicubic")
# resnet101d was trained and is evaluated at 256, nearly the whole image.
_TIMM_101D = Preprocessing(size=256, resize=269, interpolation="bicubic")


def _resnet_v1(name: str) -> Source:
    # torchvision's bottlenecks have the stride in the 3x3.
    return dataclasses.replace(_RESNET, instead=f"{name}_v15")


def _xresnet(preprocessing: Preprocessing) -> tuple[Source, ...]:
    return (
        Source("fastai", name_maps.fastai_xresnet),
        Source("timm", name_maps.timm_resnet_d, preprocessing=preprocessing),
    )


# Idelbayev, "Properly implemented ResNet-s for CIFAR10": akamaster/pytorch_resnet_cifar10.
_CIFAR = Source(
    "akamaster",
    name_maps.akamaster_resnet,
    arguments={"shortcut_padding": "both"},
    preprocessing=Preprocessing(size=32, resize=32),
    written=False,
)
# Banbury et al. 2021: mlcommons/tiny. The ResNet's images are numbers of 0 to 255.
_TINY_RESNET = Source(
    "mlperf_tiny",
    name_maps.mlperf_tiny_resnet,
    preprocessing=Preprocessing(size=32, resize=32, mean=(0.0,) * 3, std=(1 / 255,) * 3),
    written=False,
)
_TINY_MOBILENET = Source(
    "mlperf_tiny",
    name_maps.mlperf_tiny_mobilenet,
    arguments=KERAS,
    preprocessing=Preprocessing(size=96, resize=96, mean=(0.0,) * 3, std=(1.0,) * 3),
    written=False,
)
_VGG = Source("torchvision", name_maps.torchvision_vgg, {"fc6": 7})
_MOBILENET = Source(
    "timm",
    name_maps.timm_mobilenet,
    arguments={"activation": "relu6", "norm_epsilon": 1e-5, "padding": "symmetric"},
    preprocessing=Preprocessing(interpolation="bicubic", mean=HALF, std=HALF),
)

# The first is what `save` writes by default.
SOURCES: dict[str, tuple[Source, ...]] = {
    "alexnet_torchvision": (Source("torchvision", name_maps.torchvision_alexnet, {"fc6": 6}),),
    **{f"vgg{n}{norm}": (_VGG,) for n in (11, 13, 16, 19) for norm in ("", "_bn")},
    "googlenet_torchvision": (
        # Its weights came from TensorFlow, and torchvision maps ImageNet's normalization to this
        # one inside the model (`transform_input`).
        Source(
            "torchvision",
            name_maps.torchvision_googlenet,
            {"auxiliary1/fc": 4, "auxiliary2/fc": 4},
            preprocessing=Preprocessing(mean=HALF, std=HALF),
        ),
    ),
    "resnet18": (_RESNET,),
    "resnet34": (_RESNET,),
    **{f"resnet{n}": (_resnet_v1(f"resnet{n}"),) for n in (50, 101, 152)},
    **{f"resnet{n}_v15": (_RESNET,) for n in (50, 101, 152)},
    "resnext50_32x4d": (_RESNET,),
    **{f"resnet{n}": (_CIFAR,) for n in (20, 32, 44, 56, 110, 1202)},
    **{f"xresnet{n}": _xresnet(_TIMM_D) for n in (18, 34, 50)},
    "xresnet101": _xresnet(_TIMM_101D),
    **{name: (_MOBILENET,) for name in MODELS if name.startswith("mobilenet_v1")},
    "mobilenet_v1_025": (_MOBILENET, _TINY_MOBILENET),
    "resnet8_mlperf_tiny": (_TINY_RESNET,),
}

# Files of torchvision's second recipe, which evaluates after a smaller resize.
SECOND_RECIPE = (
    "resnet50-11ad3fa6",
    "resnet101-cd907fc2",
    "resnet152-f82ba261",
    "resnext50_32x4d-1a0047aa",
)


def sources(model_name: str) -> tuple[Source, ...]:
    """Return the layouts that a model's weights can have, ours last."""
    return (*SOURCES.get(model_name, ()), OWN)


def known_preprocessing(source: Source, file_name: str) -> Preprocessing | None:
    """Return the preprocessing of a library's weights, in a file that says nothing itself."""
    if source.preprocessing and file_name.startswith(SECOND_RECIPE):
        return dataclasses.replace(source.preprocessing, resize=232)
    return source.preprocessing
