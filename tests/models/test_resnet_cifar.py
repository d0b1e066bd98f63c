"""CIFAR's ResNets: parameters and multiply-adds of section 4.2, exactly."""

import jax
import jax.numpy as jnp
import pytest
from depth_counts import counts

from cnnlab import models
from cnnlab.analysis.summary import summarize


@pytest.mark.parametrize(
    ("layers", "parameters", "macs"),
    [
        (20, 269_722, 40_551_040),
        (32, 464_154, 68_862_592),
        (44, 658_586, 97_174_144),
        (56, 853_018, 125_485_696),
        (110, 1_727_962, 252_887_680),
    ],
)
def test_counts_are_exact(layers, parameters, macs):
    assert counts(f"resnet{layers}") == (parameters, macs)


def test_1202_layers_have_19_million_parameters():
    assert counts("resnet1202")[0] == 19_421_274


def test_mlperf_tinys_network_has_its_reference_models_counts():
    # Keras counts 78,666: these, and mean and variance of 240 channels.
    assert counts("resnet8_mlperf_tiny") == (78_186, 12_501_632)


def test_a_plain_network_is_the_same_without_shortcuts():
    total = summarize(models.create("plain20"), (1, 32, 32, 3), axes=()).total
    assert (total.parameters, total.macs) == (269_722, 40_551_040)
    for layers in (20, 32, 44, 56):
        other = models.create(f"resnet{layers}", residual=False)
        assert models.create(f"plain{layers}") == other


def convolutions(name):
    """Return how many kernels a network has, none of them a shortcut's."""
    model = models.create(name)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))
    paths = [path for path, _ in jax.tree.leaves_with_path(params["params"])]
    assert not [path for path in paths if "shortcut" in str(path)]
    return sum(path[-1].key == "kernel" for path in paths)


def test_a_name_says_how_many_layers_have_weights():
    assert convolutions("resnet20") == 20


def test_stages_are_those_of_section_4_2():
    summary = summarize(models.create("resnet20"), (1, 32, 32, 3))
    assert [(row.name, row.shape[1:], row.receptive_field) for row in summary.rows[:4]] == [
        ("stem", (32, 32, 16), (3, 3)),
        ("stage1", (32, 32, 16), (15, 15)),
        ("stage2", (16, 16, 32), (37, 37)),
        ("stage3", (8, 8, 64), (81, 81)),
    ]
