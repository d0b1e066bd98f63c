"""Weights of torchvision, timm and fastai in our models: equal activations, and back again.

Weights and BatchNorm's statistics are random, so that no layer can hide behind its initial values.
"""

import jax
import numpy as np
import pytest
from peers import fastai_xresnet, timm_model, torchvision_model

from cnnlab import models, pretrained
from cnnlab.pretrained.param_map import counters, shapes_of, slots_of
from cnnlab.pretrained.zoo import SOURCES

pytestmark = pytest.mark.parity

# Relative to the largest value of an endpoint.
TOLERANCE = 1e-4
# An even size, and an odd one, of which nearly every layer has something left over.
SIZES = (128, 97)


def randomize(network, seed=0):
    """Set all weights and statistics to random values that keep activations in bounds."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.ndim > 1:
            std = (2 / value[0].numel()) ** 0.5
            value.copy_(std * torch.randn(value.shape, generator=generator))
        elif name.endswith(("bias", "running_mean")):
            value.copy_(0.2 * torch.randn(value.shape, generator=generator))
        elif value.is_floating_point():
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


def in_sequence(features):
    """Yield the endpoints of torchvision's plain networks: ReLUs and pools by our names."""
    from torch import nn

    stage, conv = 1, 1
    for place, layer in enumerate(features):
        if isinstance(layer, nn.ReLU):
            yield f"conv{stage}_{conv}", f"features.{place}"
            conv += 1
        if isinstance(layer, nn.MaxPool2d):
            yield f"pool{stage}", f"features.{place}"
            stage, conv = stage + 1, 1


def vgg_layers(network):
    dense = {"fc6": "classifier.1", "fc7": "classifier.4", "features": "classifier.4"}
    return {**dict(in_sequence(network.features)), **dense, "logits": "classifier.6"}


def alexnet_layers(network):
    places = {"conv1": 1, "pool1": 2, "conv2": 4, "pool2": 5, "conv3": 7, "conv4": 9, "conv5": 11}
    names = {name: f"features.{place}" for name, place in (places | {"pool5": 12}).items()}
    dense = {"fc6": "classifier.2", "fc7": "classifier.5", "features": "classifier.5"}
    return {**names, **dense, "logits": "classifier.6"}


def googlenet_layers(network):
    names = {name: name for name, _ in network.named_children() if name.startswith("inception")}
    pools = {f"pool{n}": f"maxpool{n}" for n in range(1, 5)}
    convs = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
    return {**names, **pools, **convs, "features": "avgpool", "logits": "fc"}


def resnet_layers(network):
    stages = {f"stage{n}": f"layer{n}" for n in range(1, 5)}
    return {"stem": "relu", "pool1": "maxpool", **stages, "features": "avgpool", "logits": "fc"}


def resnet_d_layers(network):
    return resnet_layers(network) | {"stem": "act1", "features": "global_pool"}


def mobilenet_layers(network):
    blocks = [
        f"blocks.{i}.{j}" for i, stage in enumerate(network.blocks) for j in range(len(stage))
    ]
    names = {f"block{n}": name for n, name in enumerate(blocks, 1)}
    return {"stem": "bn1", **names, "features": "global_pool", "logits": "classifier"}


def fastai_layers(network):
    stages = {f"stage{n}": f"{n + 3}" for n in range(1, 5)}
    return {"stem": "2", "pool1": "3", **stages, "features": "8", "logits": "11"}


def their_activations(network, layers, images):
    """Return the outputs of the network's layers, by the names of our endpoints."""
    import torch

    seen, hooks = {}, []
    for endpoint, name in layers.items():

        def keep(module, inputs, output, endpoint=endpoint):
            # A copy: the next layer may work in place.
            seen[endpoint] = output.detach().clone()

        hooks.append(network.get_submodule(name).register_forward_hook(keep))
    with torch.no_grad():
        network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    for hook in hooks:
        hook.remove()
    return {endpoint: value.numpy() for endpoint, value in seen.items()}


def write(state, path, kind):
    import safetensors.torch
    import torch

    if kind == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")


def state_of(name, source):
    """Return the other library's state dict without values, for names and shapes."""
    import torch

    with torch.device("meta"):
        return make(name, source).state_dict()


def make(name, layout):
    if layout == "fastai":
        depths = models.MODELS[name].arguments["depths"]
        return fastai_xresnet(depths, 1 if name in ("xresnet18", "xresnet34") else 4)
    if layout == "timm":
        if name.startswith("xresnet"):
            return timm_model(f"{name[1:]}d")
        return timm_model("mobilenetv1_100")
    return torchvision_model(name.removesuffix("_v15").removesuffix("_torchvision"))


CASES = [
    ("alexnet_torchvision", "torchvision", alexnet_layers, "zip"),
    ("vgg11_bn", "torchvision", vgg_layers, "legacy"),
    ("googlenet_torchvision", "torchvision", googlenet_layers, "zip"),
    ("resnet18", "torchvision", resnet_layers, "legacy"),
    ("resnet50_v15", "torchvision", resnet_layers, "zip"),
    ("resnext50_32x4d", "torchvision", resnet_layers, "safetensors"),
    ("xresnet50", "timm", resnet_d_layers, "safetensors"),
    ("xresnet18", "fastai", fastai_layers, "zip"),
    ("mobilenet_v1", "timm", mobilenet_layers, "safetensors"),
]


@pytest.mark.parametrize(("name", "layout", "layers", "kind"), CASES)
def test_activations_agree_at_every_endpoint_and_weights_return_unchanged(
    name, layout, layers, kind, tmp_path
):
    import safetensors.torch
    import torch

    network = randomize(make(name, layout))
    write(network.state_dict(), tmp_path / "theirs", kind)
    model, variables = pretrained.create(name, tmp_path / "theirs")
    apply = jax.jit(model.apply)
    for size in SIZES:
        images = np.random.default_rng(size).normal(size=(1, size, size, 3)).astype(np.float32)
        expected = their_activations(network, layers(network), images)
        _, endpoints = apply(variables, images)
        assert endpoints.keys() == expected.keys()
        for endpoint, value in endpoints.items():
            theirs = expected[endpoint]
            ours = np.moveaxis(np.asarray(value), -1, 1).reshape(theirs.shape)
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            assert error < TOLERANCE, f"{endpoint} of {size} px: {error}"

    pretrained.save(model, variables, tmp_path / "ours.safetensors", layout=layout)
    back = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    make(name, layout).load_state_dict(back, strict=True)
    for key, value in network.state_dict().items():
        assert torch.equal(back[key], value), key
        assert back[key].dtype == value.dtype, key


def training_files(state, average):
    """Yield what trainers write: the weights, their average, and objects of other programs."""
    import argparse
    import pathlib

    import torch

    def under(prefix, state):
        return {f"{prefix}{name}": value for name, value in state.items()}

    args = argparse.Namespace(lr=0.1, device=torch.device("cpu"), out=pathlib.Path("x"))
    torchvision = {"model": state, "epoch": 3, "args": args}
    yield torchvision | {"model_ema": {"n_averaged": torch.tensor(1), **under("module.", average)}}
    yield {"arch": "resnet50", "state_dict": state, "args": args, "state_dict_ema": average}
    moco = {**under("module.encoder_q.", state), **under("module.encoder_k.", average)}
    yield {"state_dict": moco | {"module.queue": torch.zeros(2, 2)}}
    yield {"state_dict": under("model.", state) | under("ema_model.", average)}


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_trainers_checkpoints_compute_what_their_networks_do(kind, tmp_path):
    import torch

    networks = [randomize(torchvision_model("resnet18"), seed) for seed in (0, 1)]
    images = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = [n(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy() for n in networks]
    for content in training_files(*(network.state_dict() for network in networks)):
        write(content, tmp_path / "theirs.pth", kind)
        for ema, expected in zip((False, True), theirs, strict=True):
            model, variables = pretrained.create(tmp_path / "theirs.pth", ema=ema)
            error = np.abs(np.asarray(jax.jit(model.apply)(variables, images)[0]) - expected).max()
            assert error < TOLERANCE * np.abs(expected).max()


def test_googlenets_auxiliary_classifiers_agree_in_training(tmp_path):
    import torch

    name = "googlenet_torchvision"
    network = randomize(torchvision_model("googlenet")).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    variables = pretrained.load(name, tmp_path / "theirs.pth")
    images = np.random.default_rng(0).normal(size=(2, 97, 97, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    model = models.create(name, dropout=0.0, auxiliary_dropout=0.0)
    (logits, endpoints), _ = jax.jit(
        lambda v, x: model.apply(v, x, train=True, mutable=["batch_stats"])
    )(variables, images)
    for ours, theirs in (
        (logits, expected.logits),
        (endpoints["auxiliary1"], expected.aux_logits1),
        (endpoints["auxiliary2"], expected.aux_logits2),
    ):
        error = np.abs(np.asarray(ours) - theirs.numpy()).max() / theirs.abs().max().item()
        assert error < TOLERANCE


def test_googlenet_without_auxiliary_classifiers_loads(tmp_path):
    import torch

    state = randomize(torchvision_model("googlenet")).state_dict()
    torch.save({k: v for k, v in state.items() if "aux" not in k}, tmp_path / "theirs.pth")
    variables = pretrained.load("googlenet_torchvision", tmp_path / "theirs.pth")
    assert not [key for key in variables["params"] if "auxiliary" in key]
    pretrained.save("googlenet_torchvision", variables, tmp_path / "ours.safetensors")
    again = pretrained.load("googlenet_torchvision", tmp_path / "ours.safetensors")
    assert jax.tree.structure(again) == jax.tree.structure(variables)


ALL = [(name, source) for name, found in SOURCES.items() for source in found if source.written]
# timm has MobileNet v1 of width 1 only.
ALL = [(name, source) for name, source in ALL if not name.startswith("mobilenet_v1_")]


@pytest.mark.parametrize(("name", "source"), ALL, ids=[f"{n}-{s.layout}" for n, s in ALL])
def test_names_and_shapes_are_those_of_the_other_library(name, source):
    expected = {k: tuple(v.shape) for k, v in state_of(name, source.layout).items()}
    slots = slots_of(shapes_of(name), source)
    ours = {slot.name: slot.shape_there for slot in slots.values()}
    assert ours | dict.fromkeys(counters(slots), ()) == expected


def test_preprocessing_is_what_the_other_library_evaluates_with():
    declared = {"resnet18": "resnet18", "resnext50_32x4d": "resnext50_32x4d", "vgg16": "vgg16"}
    torchvision_model("resnet18")
    from torchvision import models as peers

    for ours, theirs in declared.items():
        expected = peers.get_model_weights(theirs).IMAGENET1K_V1.transforms()
        found = SOURCES[ours][0].preprocessing
        assert (expected.crop_size, expected.resize_size) == ([found.size], [found.resize])
        assert (tuple(expected.mean), tuple(expected.std)) == (found.mean, found.std)
        assert expected.interpolation.value == found.interpolation
    for ours, theirs in [("mobilenet_v1", "mobilenetv1_100")] + [
        (f"xresnet{n}", f"resnet{n}d") for n in (18, 34, 50, 101)
    ]:
        expected = timm_model(theirs).pretrained_cfg
        found = SOURCES[ours][-1].preprocessing
        assert expected["input_size"] == (3, found.size, found.size)
        # timm rounds the shorter side down.
        assert int(found.size / expected["crop_pct"]) == found.resize
        assert (expected["mean"], expected["std"]) == (found.mean, found.std)
        assert expected["interpolation"] == found.interpolation
