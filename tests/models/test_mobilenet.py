"""MobileNet: the paper's tables of parameters and multiply-adds, and its block in numpy."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.jaxpr import trace
from cnnlab.analysis.macs import macs
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.mobilenet import ACTIVATIONS, Block

NAMES = {1.0: "mobilenet_v1", 0.75: "mobilenet_v1_075", 0.5: "mobilenet_v1_050"}
NAMES[0.25] = "mobilenet_v1_025"
PARAMETERS = {1.0: 4_231_976, 0.75: 2_585_560, 0.5: 1_331_592, 0.25: 470_072}
MACS = {
    (1.0, 224): 568_740_352,
    (1.0, 192): 418_121_728,
    (1.0, 160): 290_675_200,
    (1.0, 128): 186_400_768,
    (0.75, 224): 325_400_448,
    (0.75, 192): 239_273_472,
    (0.75, 160): 166_396_800,
    (0.75, 128): 106_770_432,
    (0.5, 224): 149_497_088,
    (0.5, 192): 109_970_432,
    (0.5, 160): 76_524_800,
    (0.5, 128): 49_160_192,
    (0.25, 224): 41_030_272,
    (0.25, 192): 30_212_608,
    (0.25, 160): 21_059_200,
    (0.25, 128): 13_570_048,
}


@cache
def variables_of(width):
    model = models.create(NAMES[width])
    return model, jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))


# Each width and each resolution once; the others are long tests.
QUICK = {(1.0, 224), (0.75, 192), (0.5, 160), (0.25, 128)}


@pytest.mark.parametrize(
    ("width", "size"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case not in QUICK)) for case in MACS],
)
@pytest.mark.sample(1)
def test_multiply_adds_and_parameters_for_each_width_and_resolution(width, size):
    model, variables = variables_of(width)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == PARAMETERS[width]
    program = trace(model.apply, variables, jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    assert macs(program) == MACS[width, size]


@pytest.mark.parametrize(
    ("kwargs", "parameters", "multiply_adds"),
    [
        # Tables 4 and 5.
        ({"convolution": "full"}, 29_294_088, 4_867_293_184),
        ({"shallow": True}, 2_887_976, 307_323_392),
    ],
)
def test_full_and_shallow_networks_have_the_counts_of_tables_4_and_5(
    kwargs, parameters, multiply_adds
):
    total = summarize(models.create("mobilenet_v1", **kwargs), (1, 224, 224, 3)).total
    assert (total.parameters, total.macs) == (parameters, multiply_adds)


@pytest.mark.parametrize("padding", ["symmetric", "SAME"])
def test_stages_have_the_shapes_of_table_1_and_a_field_of_315(padding):
    summary = summarize(models.create("mobilenet_v1", padding=padding), (1, 224, 224, 3))
    expected = {"stem": (112, 112, 32), "block1": (112, 112, 64)}
    expected |= dict.fromkeys(("block2", "block3"), (56, 56, 128))
    expected |= dict.fromkeys(("block4", "block5"), (28, 28, 256))
    expected |= {f"block{n}": (14, 14, 512) for n in range(6, 12)}
    expected |= dict.fromkeys(("block12", "block13"), (7, 7, 1024))
    expected |= {"features": (1024,), "logits": (1000,)}
    assert {row.name: row.shape[1:] for row in summary.rows} == expected
    last = summary.row("block13")
    assert last.receptive_field == (315, 315) and last.stride == (32, 32)


def at_places(x, stride, low):
    """Return what each tap of 3x3 windows sees, with `low` zeros before x and enough after it."""
    out = [-(-n // stride) for n in x.shape[1:3]]
    x = np.pad(x, ((0, 0), (low, 3), (low, 3), (0, 0)))
    spans = [(n - 1) * stride + 1 for n in out]
    return np.stack(
        [
            x[:, u : u + spans[0] : stride, v : v + spans[1] : stride]
            for u in range(3)
            for v in range(3)
        ]
    )


def normalized(x, variables, name, epsilon):
    norm, stats = variables["params"][f"{name}_norm"], variables["batch_stats"][f"{name}_norm"]
    return (x - stats["mean"]) / np.sqrt(stats["var"] + epsilon) * norm["scale"] + norm["bias"]


@pytest.mark.parametrize(
    ("stride", "padding", "low", "activation", "full"),
    [
        (1, 1, 1, "relu", False),
        (2, 1, 1, "relu6", False),
        (2, "SAME", 0, "relu", False),
        (2, 1, 1, "relu", True),
    ],
)
def test_block_is_that_of_figure_3(stride, padding, low, activation, full):
    block = Block(
        5, stride, full=full, activation=ACTIVATIONS[activation], padding=padding, epsilon=0.1
    )
    x = 9 * jax.random.normal(jax.random.key(0), (2, 6, 8, 3))
    variables = jax.jit(block.init)(jax.random.key(1), x)
    variables = jax.tree.map(lambda a: np.asarray(a) + 0.1, variables)
    params = variables["params"]
    limit = 6.0 if activation == "relu6" else np.inf

    def finish(y, name):
        return np.clip(normalized(y, variables, name, 0.1), 0, limit)

    seen = at_places(np.asarray(x), stride, low)
    if full:
        y = finish(
            np.einsum("tbhwc,tcf->bhwf", seen, params["conv"]["kernel"].reshape(9, 3, 5)), "conv"
        )
    else:
        y = np.einsum("tbhwc,tc->bhwc", seen, params["depthwise"]["kernel"].reshape(9, 3))
        y = finish(y, "depthwise")
        y = finish(y @ params["pointwise"]["kernel"][0, 0], "pointwise")
    assert (y == limit).any() == (activation == "relu6")
    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("padding", "low"), [("symmetric", 1), ("SAME", 0)])
def test_stem_is_padded_as_asked_and_normalized(padding, low):
    model = models.create("mobilenet_v1", width=0.125, num_classes=3, padding=padding)
    images = jax.random.normal(jax.random.key(0), (1, 8, 8, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda a: rng.uniform(0.5, 1, a.shape).astype("float32"), shapes)

    # Not compiled: what the stem does not need.
    def stem(variables, images):
        return model.apply(variables, images)[1]["stem"]

    kernel = variables["params"]["stem"]["kernel"]
    y = np.einsum("tbhwc,tcf->bhwf", at_places(images, 2, low), kernel.reshape(9, 3, 4))
    expected = np.maximum(normalized(y, variables, "stem", 1e-3), 0)
    np.testing.assert_allclose(jax.jit(stem)(variables, images), expected, rtol=1e-4, atol=1e-5)


def test_relu6_has_a_gradient_between_0_and_6_only():
    relu6 = ACTIVATIONS["relu6"].function
    x = jnp.array([-1.0, 0.0, 3.0, 7.0])
    np.testing.assert_array_equal(relu6(x), [0, 0, 3, 6])
    np.testing.assert_array_equal(jax.grad(lambda x: relu6(x).sum())(x), [0, 0, 1, 0])
    assert jnp.isnan(relu6(jnp.float32(jnp.nan)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"convolution": "conv"}, "convolution='conv' is unknown"),
        ({"activation": "relu7"}, "activation of mobilenet 'relu7'; did you mean"),
        ({"padding": "VALID"}, "unknown padding of mobilenet 'VALID'"),
    ],
)
def test_what_cannot_work_is_named(kwargs, message):
    model = models.create("mobilenet_v1", **kwargs)
    with pytest.raises(UserError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
