"""Names in other libraries, from their files."""

import pytest

from cnnlab.pretrained import name_maps

# Places of the convolutions in torchvision's `features`.
VGG_PLACES = {
    ((1, 1, 2, 2, 2), False): (0, 3, 6, 8, 11, 13, 16, 18),
    ((1, 1, 2, 2, 2), True): (0, 4, 8, 11, 15, 18, 22, 25),
    ((2, 2, 3, 3, 3), False): (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    ((2, 2, 3, 3, 3), True): (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    ((2, 2, 4, 4, 4), False): (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


@pytest.mark.parametrize(("case", "places"), VGG_PLACES.items())
def test_vgg_counts_norms_activations_and_pools(case, places):
    depths, norm = case
    convs = [f"conv{n}_{m}" for n, depth in enumerate(depths, 1) for m in range(1, depth + 1)]
    norms = [f"{name}_norm" for name in convs] if norm else []
    found = name_maps.torchvision_vgg([*reversed(convs), *norms, "fc6", "fc7", "logits"])
    assert [found[name] for name in convs] == [f"features.{place}" for place in places]
    assert [found[name] for name in norms] == [f"features.{p + 1}" for p in places if norm]
    assert [found[name] for name in ("fc6", "fc7", "logits")] == [
        "classifier.0",
        "classifier.3",
        "classifier.6",
    ]


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        (
            name_maps.torchvision_alexnet,
            {"conv2": "features.3", "conv5": "features.10", "fc6": "classifier.1"},
        ),
        (
            name_maps.torchvision_googlenet,
            {
                "conv2_reduce": "conv2.conv",
                "conv2_norm": "conv3.bn",
                "inception4e/reduce5x5": "inception4e.branch3.0.conv",
                "inception4e/conv5x5_norm": "inception4e.branch3.1.bn",
                "inception5b/proj": "inception5b.branch4.1.conv",
                "auxiliary2/conv_norm": "aux2.conv.bn",
                "auxiliary1/fc": "aux1.fc1",
                "auxiliary1/logits": "aux1.fc2",
                "logits": "fc",
            },
        ),
        (
            name_maps.akamaster_resnet,
            {"stem/norm1": "bn1", "stage3/block9/conv2": "layer3.8.conv2", "logits": "linear"},
        ),
        (
            name_maps.torchvision_resnet,
            {
                "stem/conv1": "conv1",
                "stem/norm1": "bn1",
                "stage3/block23/norm3": "layer3.22.bn3",
                "stage2/block1/shortcut_conv": "layer2.0.downsample.0",
                "stage2/block1/shortcut_norm": "layer2.0.downsample.1",
            },
        ),
        (
            name_maps.timm_resnet_d,
            {
                "stem/norm2": "conv1.4",
                "stem/conv3": "conv1.6",
                "stem/norm3": "bn1",
                "stage1/block1/shortcut_conv": "layer1.0.downsample.1",
                "stage1/block1/shortcut_norm": "layer1.0.downsample.2",
            },
        ),
        (
            name_maps.fastai_xresnet,
            {
                "stem/conv1": "0.0",
                "stem/norm3": "2.1",
                "stage1/block1/conv1": "4.0.convpath.0.0",
                "stage1/block1/shortcut_conv": "4.0.idpath.0.0",
                "stage2/block1/shortcut_conv": "5.0.idpath.1.0",
                "stage4/block3/norm3": "7.2.convpath.2.1",
                "logits": "11",
            },
        ),
        (
            name_maps.timm_mobilenet,
            {
                "stem": "conv_stem",
                "stem_norm": "bn1",
                "block1/depthwise": "blocks.0.0.conv_dw",
                "block3/pointwise_norm": "blocks.1.1.bn2",
                "block11/depthwise_norm": "blocks.3.5.bn1",
                "block13/pointwise": "blocks.4.1.conv_pw",
                "logits": "classifier",
            },
        ),
        (name_maps.own, {"c1": "c1"}),
    ],
)
def test_layers_have_the_librarys_names(layout, names):
    assert layout(list(names)) == names


@pytest.mark.parametrize(
    "layout",
    [
        name_maps.torchvision_alexnet,
        name_maps.torchvision_vgg,
        name_maps.torchvision_googlenet,
        name_maps.torchvision_resnet,
        name_maps.timm_resnet_d,
        name_maps.fastai_xresnet,
        name_maps.timm_mobilenet,
    ],
)
def test_what_a_library_does_not_have_is_left_out(layout):
    assert layout(["stage1/block1/norm1/group", "conv1_1_norm/group", "inception3a/other"]) == {}
