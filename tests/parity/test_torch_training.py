"""LeNet-5, losses and optimizers agree with PyTorch: values, gradients, whole training runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from cnnlab.training import optimizers, schedules

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(8, 32, 32, 1)).astype(np.float32)
LABELS = RNG.integers(0, 10, 8)
CONVOLUTIONS = ("c1", "c3", "c5")


def torch_lenet(params, pool):
    """Return the same network in PyTorch with the same weights."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c3, self.c5 = (
                nn.Conv2d(i, o, 5) for i, o in ((1, 6), (6, 16), (16, 120))
            )
            self.f6, self.logits = nn.Linear(120, 84), nn.Linear(84, 10)
            self.pool = nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2)

        def forward(self, x):
            x = self.pool(torch.relu(self.c1(x)))
            x = self.pool(torch.relu(self.c3(x)))
            x = torch.relu(self.c5(x)).flatten(1)
            return self.logits(torch.relu(self.f6(x)))

    net = Net()
    with torch.no_grad():
        for name, weights in params.items():
            kernel = np.asarray(weights["kernel"])
            if name in CONVOLUTIONS:
                kernel = kernel.reshape(5, 5, -1, kernel.shape[-1]).transpose(3, 2, 0, 1)
            else:
                kernel = kernel.T
            layer = getattr(net, name)
            layer.weight.copy_(torch.from_numpy(kernel.copy()))
            layer.bias.copy_(torch.from_numpy(np.asarray(weights["bias"]).copy()))
    return net


def flax_kernel(name, weight):
    """Return a PyTorch weight or gradient in flax's layout."""
    array = weight.detach().numpy()
    return array.transpose(2, 3, 1, 0) if name in CONVOLUTIONS else array.T


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_lenet5_and_its_gradients(pool):
    import torch

    model = models.create("lenet5", pool=pool)
    params = model.init(jax.random.key(0), IMAGES)["params"]
    net = torch_lenet(params, pool)

    def loss_fn(params):
        logits, _ = model.apply({"params": params}, IMAGES)
        return jnp.mean(softmax_cross_entropy(logits, jnp.asarray(LABELS))), logits

    (loss, logits), grads = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(params)
    theirs = net(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()))
    their_loss = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(LABELS))
    their_loss.backward()
    np.testing.assert_allclose(logits, theirs.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(loss, their_loss.item(), rtol=1e-5)
    for name, weights in grads.items():
        layer = getattr(net, name)
        expected = flax_kernel(name, layer.weight.grad).reshape(weights["kernel"].shape)
        np.testing.assert_allclose(weights["kernel"], expected, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(weights["bias"], layer.bias.grad.numpy(), atol=1e-5)


def test_max_pooling_gives_a_tie_to_the_same_pixel():
    import torch

    x = np.maximum(RNG.normal(size=(2, 8, 8, 3)), 0).astype(np.float32).round(0)
    ours = jax.grad(
        lambda x: jnp.sum(max_pool(x, (2, 2), (2, 2)) ** 2 + max_pool(x, (2, 2), (2, 2)))
    )(x)
    theirs = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    pooled = torch.nn.functional.max_pool2d(theirs, 2)
    (pooled**2 + pooled).sum().backward()
    np.testing.assert_array_equal(ours, theirs.grad.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_cross_entropy(smoothing):
    import torch

    logits = RNG.normal(size=(5, 7)).astype(np.float32) * 4
    labels = RNG.integers(0, 7, 5)
    ours = softmax_cross_entropy(
        jnp.asarray(logits), jnp.asarray(labels), label_smoothing=smoothing
    )
    theirs = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits),
        torch.from_numpy(labels),
        label_smoothing=smoothing,
        reduction="none",
    )
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_sigmoid_cross_entropy():
    import torch

    logits = RNG.normal(size=(5, 7)).astype(np.float32) * 4
    target = RNG.random((5, 7)).astype(np.float32)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(target), reduction="none"
    ).sum(dim=1)
    ours = sigmoid_cross_entropy(jnp.asarray(logits), jnp.asarray(target))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


OPTIMIZERS = {
    "sgd": (dict(momentum=0.9), "SGD", dict(momentum=0.9)),
    "sgd nesterov": (
        dict(momentum=0.9, nesterov=True),
        "SGD",
        dict(momentum=0.9, nesterov=True),
    ),
    "adam": (dict(b1=0.9, b2=0.99, eps=1e-8), "Adam", dict(betas=(0.9, 0.99), eps=1e-8)),
    "adamw": (dict(b1=0.9, b2=0.99, eps=1e-8), "AdamW", dict(betas=(0.9, 0.99), eps=1e-8)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_takes_the_same_steps(name):
    import torch

    ours, cls, theirs = OPTIMIZERS[name]
    start = RNG.normal(size=(4, 3)).astype(np.float32)
    gradients = RNG.normal(size=(10, 4, 3)).astype(np.float32)
    schedule = schedules.make("constant", 0.05, 10)
    optimizer = optimizers.make(name.split()[0], schedule, weight_decay=0.1, **ours)
    params = {"kernel": jnp.asarray(start)}
    state = optimizer.init(params)
    weight = torch.from_numpy(start.copy()).requires_grad_()
    peer = getattr(torch.optim, cls)([weight], lr=0.05, weight_decay=0.1, **theirs)
    for gradient in gradients:
        updates, state = optimizer.update({"kernel": jnp.asarray(gradient)}, state, params)
        params = {"kernel": params["kernel"] + updates["kernel"]}
        weight.grad = torch.from_numpy(gradient)
        peer.step()
        np.testing.assert_allclose(params["kernel"], weight.detach().numpy(), atol=1e-5)
