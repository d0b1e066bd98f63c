"""Summaries of models and functions: hand counts, and what belongs to which endpoint."""

from collections import OrderedDict

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.layers.catalog import LAYERS


def test_lenet5_is_as_counted_by_hand():
    summary = summarize(models.create("lenet5", padding=2), (1, 28, 28, 1))
    rows = {row.name: row for row in summary.rows}
    assert list(rows) == ["c1", "s2", "c3", "s4", "c5", "f6", "features", "logits"]
    assert [row.parameters for row in summary.rows] == [156, 0, 2416, 0, 48120, 10164, 0, 850]
    assert [row.macs for row in summary.rows] == [117600, 0, 240000, 0, 48000, 10080, 0, 840]
    assert (summary.total.parameters, summary.total.macs) == (61706, 416520)
    assert summary.total.activations == 28 * 28 * 6 + 10 * 10 * 16 + 120 + 84 + 10
    assert [rows[n].receptive_field[0] for n in ("c1", "s2", "c3", "s4", "c5")] == [
        5,
        6,
        14,
        16,
        32,
    ]
    assert [rows[n].stride[1] for n in ("c1", "s2", "c3", "s4")] == [1, 2, 2, 4]
    assert rows["c1"].start == (-2.0, -2.0)
    assert rows["c1"].shape == (1, 28, 28, 6)
    assert summary.row("c3") is rows["c3"]


def test_multiply_adds_grow_with_the_batch_and_parameters_do_not():
    model = models.create("lenet5")
    one, four = (summarize(model, (n, 32, 32, 1)).total for n in (1, 4))
    assert four.macs == 4 * one.macs
    assert four.parameters == one.parameters


def test_statistics_are_not_parameters_and_training_is_summarized_too():
    model = models.create("lenet5", norm="batch", dropout=0.5)
    still = summarize(model, (2, 32, 32, 1))
    train = summarize(model, (2, 32, 32, 1), train=True)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.ones((2, 32, 32, 1))))
    expected = sum(x.size for x in jax.tree.leaves(variables["params"]))
    assert still.total.parameters == train.total.parameters == expected
    assert train.row("c1").receptive_field == (None, None)
    assert still.row("c1").receptive_field == (5, 5)


class Shared(nn.Module):
    @nn.compact
    def __call__(self, x):
        dense = nn.Dense(3)
        first = dense(x)
        second = dense(first)
        unused = nn.Dense(5, name="unused")(x)
        del unused
        return second + x, OrderedDict(zeta=first, alpha={"inner": second})


def test_what_is_shared_counts_for_the_endpoint_that_comes_first():
    summary = summarize(Shared(), (1, 4, 4, 3))
    assert [row.name for row in summary.rows] == ["zeta", "alpha/inner", "output"]
    assert [row.parameters for row in summary.rows] == [12, 0, 0]
    assert [row.macs for row in summary.rows] == [16 * 9, 16 * 9, 0]
    # All that the model holds, used or not.
    assert summary.total.parameters == 12 + 20


def test_any_function_can_be_summarized():
    def function(params, x):
        return {"left": x @ params["w"], "right": jnp.cumsum(x, axis=1)}

    summary = summarize(function, (2, 6, 3), params={"w": jnp.ones((3, 5))})
    left, right = summary.rows
    assert (left.name, left.parameters, left.macs) == ("output/left", 15, 2 * 6 * 15)
    assert left.receptive_field == (1,)
    assert right.macs == 0
    assert summarize(jnp.sin, jnp.ones((2, 3))).total.fields == ()
    assert summarize(jnp.sin, (2, 5, 3), axes=(2,)).total.receptive_field == (1,)


FIELDS = {
    "conv": (3, 3),
    "conv3d": (3, 3, 3),
    "conv_dilated": (5, 5),
    "conv_circular": (3, 3),
    "conv_im2col": (3, 3),
    "channel_shuffle": (1, 1),
    "separable": (3, 3),
    "locally_connected": (3, 3),
    "transposed": (2, 2),
    "dynamic_conv": (3,),
    "subsampling": (2, 2),
    "bed_of_nails": (1, 1),
    "batch_norm": (None, None),
    "layer_norm": (1,),
    "multi_head_attention": (None,),
    "non_local": (None, None),
    "conv_lstm": (3, 7, 7),
    "graph_conv": (None,),
}
STRIDES = {"conv3d": (1, 2, 2), "max_pool": (2, 2), "transposed": (0.5, 0.5)}
# By hand: outputs x taps x channels of a group x filters, for 8 examples; a transposed convolution
# from its inputs; attention from its four projections and two products.
MACS = {
    "conv": 8 * 36 * 9 * 3 * 4,
    "conv3d": 8 * 27 * 27 * 2 * 2,
    "conv_grouped": 8 * 36 * 9 * 2 * 6,
    "depthwise": 8 * 30 * 9 * 6,
    "separable": 8 * 30 * (9 * 3 + 3 * 4),
    "locally_connected": 8 * 20 * 9 * 2 * 2,
    "transposed": 8 * 12 * 16 * 3 * 2,
    "max_pool": 0,
    "graph_conv": 8 * (5 * 3 * 4 + 5 * 5 * 3),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.sample(20)
def test_every_layer_is_read_rightly(name):
    row = LAYERS[name]
    inputs = row.inputs(jax.random.key(0))
    total = summarize(row.module(), *inputs, **row.call).total
    if name in FIELDS:
        assert total.receptive_field == FIELDS[name]
    assert total.stride == STRIDES.get(name, total.stride)
    assert total.macs == MACS.get(name, total.macs)
    variables = jax.eval_shape(lambda: row.module().init(jax.random.key(0), *inputs, **row.call))
    params = jax.tree.leaves(variables.get("params", {}))
    assert total.parameters == sum(x.size for x in params)


def test_bad_requests_are_explained():
    summary = summarize(jnp.sin, (1, 4, 1))
    with pytest.raises(UserError, match="no endpoint 'c9'; there are: output"):
        summary.row("c9")
    with pytest.raises(UserError, match="axes=\\(5,\\)"):
        summarize(jnp.sin, (1, 4, 1), axes=(5,))


def test_numbers_that_start_out_known_are_parameters_like_others():
    class Scaled(nn.Module):
        @nn.compact
        def __call__(self, x):
            # Zeros without axes are plain numbers to JAX, and all alike.
            scale, shift = (self.param(n, nn.initializers.zeros, ()) for n in ("scale", "shift"))
            return None, OrderedDict(scaled=scale * x, shifted=scale * x + shift)

    summary = summarize(Scaled(), (1, 5, 1))
    assert [row.parameters for row in summary.rows] == [1, 1]
    assert summary.total.parameters == 2
    # A weight that happens to be zero is a connection still.
    assert summary.row("scaled").receptive_field == (1,)


def test_what_makes_the_weights_is_no_part_of_the_model():
    def orthogonal(key, shape, dtype):
        return jax.random.normal(key, shape, dtype) @ jnp.ones((shape[-1],) * 2, dtype)

    total = summarize(nn.Dense(3, kernel_init=orthogonal), (1, 4)).total
    assert (total.parameters, total.macs) == (15, 12)


def test_model_in_training_has_the_same_layers():
    model = models.create("lenet5", norm="batch", dropout=0.5)
    shown, trained = (summarize(model, (2, 32, 32, 1), train=train) for train in (False, True))
    for rows in zip(shown.rows, trained.rows, strict=True):
        assert len({(row.parameters, row.macs, row.shape) for row in rows}) == 1
    # BatchNorm's statistics are those of whole images.
    assert None in trained.row("c1").receptive_field
