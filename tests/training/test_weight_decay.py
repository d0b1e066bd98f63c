"""Masks of weight decay: kernels are decayed, biases and scales never."""

import jax
import jax.numpy as jnp

from cnnlab import models
from cnnlab.training import weight_decay


def test_the_mask_takes_lenets_kernels_and_nothing_else():
    model = models.create("lenet5", norm="batch")
    images = jnp.zeros((1, 32, 32, 1))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images))
    mask = weight_decay.kernels(shapes["params"])
    flat = {"/".join(k.key for k in path): v for path, v in jax.tree.leaves_with_path(mask)}
    decayed = {name for name, value in flat.items() if value}
    assert decayed == {f"{layer}/kernel" for layer in ("c1", "c3", "c5", "f6", "logits")}
    assert {"c1_norm/scale", "c1_norm/bias", "logits/bias"} <= flat.keys() - decayed


def test_depthwise_filters_are_not_decayed_where_the_mask_says_so():
    kernel, bias = jnp.zeros((3, 3, 1, 8)), jnp.zeros(8)
    params = {"block1": {"depthwise": {"kernel": kernel}, "pointwise": {"kernel": kernel}}}
    params |= {"stem": {"kernel": kernel, "bias": bias}}
    mask = weight_decay.DECAY_MASKS["not_depthwise"](params)
    assert mask["block1"] == {"depthwise": {"kernel": False}, "pointwise": {"kernel": True}}
    assert mask["stem"] == {"kernel": True, "bias": False}


def test_stacked_biases_and_scales_are_not_decayed_for_all_their_rank():
    stacked = {"block": {"kernel": jnp.zeros((2, 3, 3)), "bias": jnp.zeros((2, 3))}}
    stacked["block"] |= {"scale": jnp.zeros((2, 3)), "relative_bias": jnp.zeros((2, 3))}
    mask = weight_decay.kernels(stacked)["block"]
    assert mask == {"kernel": True, "bias": False, "scale": False, "relative_bias": False}
