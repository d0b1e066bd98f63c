"""HDF5 files as Keras 2 writes them, and as it never would."""

import json

import numpy as np

TORCH = {"weight": "kernel", "running_mean": "moving_mean", "running_var": "moving_variance"}


def bn(layer):
    return layer.startswith("batch_normalization")


def layers_of(arrays):
    """Return arrays by layer and name of Keras, of those by name of `cnnlab.pretrained`."""
    layers = {}
    for name, array in arrays.items():
        layer, _, leaf = name.rpartition(".")
        leaf = {"weight": "gamma", "bias": "beta"}.get(leaf, leaf) if bn(layer) else leaf
        leaf = TORCH.get(leaf, leaf)
        if layer.startswith("depthwise"):
            leaf = leaf.replace("kernel", "depthwise_kernel")
        axes = (2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0)
        laid = array.transpose(axes) if array.ndim == 4 else array.T
        layers.setdefault(layer, {})[leaf] = laid
    return layers


def config_of(layers, **changes):
    """Return what a model of these layers says of itself."""
    entries = []
    for name, arrays in layers.items():
        kernel = next((x for leaf, x in arrays.items() if leaf.endswith("kernel")), None)
        options = {"name": name, **changes.get(name, {})}
        if bn(name):
            entries += [("BatchNormalization", {"epsilon": 0.001, **options})]
            entries += [("Activation", {"name": f"after_{name}", "activation": "relu"})]
        elif kernel is not None and kernel.ndim == 4:
            kind = "DepthwiseConv2D" if "depthwise" in name else "Conv2D"
            size = list(kernel.shape[:2])
            entries += [(kind, {"kernel_size": size, "padding": "same", **options})]
        else:
            entries += [("Dense", {"activation": "softmax", **options})]
    layers = [{"class_name": kind, "config": options} for kind, options in entries]
    return {"class_name": "Functional", "config": {"name": "model", "layers": layers}}


def write(path, layers, config=None, *, whole=True, suffix=":0"):
    """Write layers as `model.save` does, or as `save_weights`, and return the path."""
    import h5py

    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights") if whole else file
        weights.attrs["layer_names"] = np.array([name.encode() for name in layers])
        for layer, arrays in layers.items():
            group = weights.create_group(layer)
            names = [f"{layer}/{leaf}{suffix}" for leaf in arrays]
            group.attrs["weight_names"] = np.array([name.encode() for name in names])
            for name, array in zip(names, arrays.values(), strict=True):
                group[name] = array
        if whole:
            file.create_group("optimizer_weights")["Adam/m:0"] = np.zeros(3, np.float32)
    return path
