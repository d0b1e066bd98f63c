"""Both sides of the comparison of models are the same network; shares of rates by hand."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

# Fields of both sides, and the size of images: large enough for BatchNorm to be well conditioned.
THIN = {
    "ResNet-20": ({"widths": (4, 8, 16)}, 8),
    "MobileNet v1": ({"width": 0.125}, 64),
}


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import models_vs_torch

    return models_vs_torch


def thin(case):
    fields, size = THIN[case.name]
    return dataclasses.replace(case, fields=fields, given=fields, shape=(4, size, size, 3))


@pytest.mark.parity
@pytest.mark.parametrize("name", THIN)
def test_all_contestants_give_the_same_first_results(comparison, name):
    case = thin(next(c for c in comparison.cases() if c.name == name))
    ours = comparison.Ours(case)
    peers = {
        "eager": comparison.peer(case, ours.params),
        "channels last": comparison.peer(case, ours.params, channels_last=True),
    }
    comparison.check(case, {"cnnlab": ours, **peers}, 2e-4)
    other = comparison.peer(case, jax.tree.map(lambda x: 0.9 * x, ours.params))
    with pytest.raises(SystemExit, match="another differs by"):
        again = comparison.peer(case, ours.params)
        comparison.check(case, {"PyTorch": again, "another": other}, 2e-4)


@pytest.mark.parity
def test_each_peer_has_the_parameters_of_its_model_and_no_others(comparison):
    import torch_models

    from cnnlab import models

    for case in comparison.cases():
        fields = {"auxiliary": False} if case.model.startswith("googlenet") else {}
        model = models.create(case.model, num_classes=case.classes, **fields)
        shape = jax.ShapeDtypeStruct((1, *case.shape[1:]), np.float32)
        params = jax.eval_shape(model.init, jax.random.key(0), shape)["params"]
        net = getattr(torch_models, case.peer)(case.classes, **case.given)
        ours = sum(np.prod(p.shape) for p in jax.tree.leaves(params))
        assert sum(p.numel() for p in net.parameters()) == ours, case.name
        assert len(list(net.parameters())) == len(jax.tree.leaves(params)), case.name


def test_shares_of_the_rates_by_hand(monkeypatch):
    """3 passes of 2 x 500 operations in 2 s are 1500 a second; 80 bytes in 2 s are 40."""
    monkeypatch.syspath_prepend(FOLDER)
    from device_rates import device_rates, shares

    found = shares(500, True, 80, 2.0, 3000, 160)
    assert found == {"of matrix rate": 0.5, "of bandwidth": 0.25}
    assert shares(500, False, 80, 2.0, 3000, 160)["of matrix rate"] == pytest.approx(1 / 6)
    assert min(device_rates(16, "float32")) > 0


def test_every_case_is_larger_on_a_gpu(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(FOLDER)
    from models_vs_torch import cases

    for small, large in zip(cases(), cases(gpu=True), strict=True):
        assert np.prod(large.shape) > np.prod(small.shape)
        assert dataclasses.replace(large, shape=small.shape) == small


def test_shares_of_a_step_count_the_operations_of_all_images_and_passes(comparison, monkeypatch):
    """LeNet-5 has 416,520 multiply-adds an image forward: 6 x 28^2 x 25 for c1, and so on."""
    macs = 6 * 28**2 * 25 + 16 * 10**2 * 150 + 120 * 400 + 120 * 84 + 84 * 10
    monkeypatch.setattr(comparison, "device_rates", lambda: (1e9, 1e6))
    ours = SimpleNamespace(bytes=lambda: 1e6)
    found = comparison.reached(comparison.Case("", "lenet5", "", (4, 32, 32, 1)), ours, 2.0)
    assert found["of bandwidth"] == 0.5
    assert found["of matrix rate"] == pytest.approx(2 * 3 * 4 * macs / 2.0 / 1e9)
