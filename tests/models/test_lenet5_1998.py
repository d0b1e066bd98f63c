"""LeNet-5 of 1998: the paper's parameters and connections, table I, the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.models.lenet5_1998 import TABLE
from cnnlab.models.lenet5_codes import digit_codes

RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(-0.1, 1.175, (2, 28, 28, 1)), jnp.float32)


def traced(size=32, **arguments):
    return summarize(models.create("lenet5_1998", **arguments), (1, size, size, 1))


def test_60000_parameters_and_the_shapes_of_figure_2():
    summary = traced()
    rows = {row.name: (row.shape[1:], row.parameters) for row in summary.rows}
    assert rows == {
        "c1": ((28, 28, 6), 156),
        "s2": ((14, 14, 6), 12),
        "c3": ((10, 10, 16), 1516),
        "s4": ((5, 5, 16), 32),
        "c5": ((1, 1, 120), 48_120),
        "f6": ((84,), 10_164),
        "features": ((84,), 0),
        "logits": ((10,), 0),
    }
    assert summary.total.parameters == 60_000


def test_340908_connections_by_the_paper_and_415680_multiply_adds_as_computed():
    # A connection for each input of a unit and one for its bias; the codes have no bias.
    shapes = {row.name: row.shape[1:] for row in traced().rows}
    inputs = dict(c1=25, s2=4, s4=4, c5=25 * 16, f6=120)
    connections = {name: np.prod(shapes[name]) * (n + 1) for name, n in inputs.items()}
    connections["c3"] = 10 * 10 * sum(25 * len(row) + 1 for row in TABLE)
    connections["rbf"] = digit_codes().size
    paper = dict(c1=122_304, s2=5_880, c3=151_600, s4=2_000, c5=48_120, f6=10_164, rbf=840)
    assert connections == paper
    assert sum(connections.values()) == 340_908
    # c3 is computed with all connections to the six maps, 96 in place of 60.
    macs = {row.name: row.macs for row in traced().rows if row.macs}
    assert macs == dict(c1=117_600, c3=100 * 25 * 96, c5=48_000, f6=10_080)


def test_table_1_has_60_connections_of_three_four_and_six_maps():
    assert [len(set(row)) for row in TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len(set(map(frozenset, TABLE))) == 16
    # Each map of s2 is seen by ten of c3.
    assert np.bincount(np.concatenate(TABLE)).tolist() == [10] * 6


def test_codes_are_signs_and_differ_in_twelve_pixels_or_more():
    codes = digit_codes()
    assert codes.shape == (10, 84) and set(np.unique(codes)) == {-1, 1}
    differ = (codes[:, None] != codes).sum(-1)
    assert differ[~np.eye(10, dtype=bool)].min() == 12
    one = ["".join(" #"[int(ink > 0)] for ink in row) for row in codes[1].reshape(12, 7)]
    assert one[:2] == ["   ##  ", "  ###  "] and one[9] == " ######"


@pytest.fixture(scope="module")
def run():
    """Return parameters none of which is zero, and the endpoints for images of 28x28."""
    model = models.create("lenet5_1998", padding=2)
    params = jax.tree.map(
        lambda x: jnp.asarray(0.3 * RNG.normal(size=x.shape), jnp.float32),
        jax.eval_shape(model.init, jax.random.key(0), IMAGES)["params"],
    )
    return params, jax.jit(model.apply)({"params": params}, IMAGES)


def test_forward_pass_equals_numpy(run):
    params, (output, endpoints) = run
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def squash(x):
        return 1.7159 * np.tanh(2 / 3 * x)

    def correlate(x, kernel):
        h, w = (n - 4 for n in x.shape[1:3])
        return sum(x[:, u : u + h, v : v + w] @ kernel[u, v] for u, v in np.ndindex(5, 5))

    def subsample(x, name):
        b, h, w, c = x.shape
        sums = x.reshape(b, h // 2, 2, w // 2, 2, c).sum((2, 4))
        return squash(p[name]["coefficient"] * sums + p[name]["bias"])

    # The background of the paper's images goes around them.
    x = np.pad(
        np.asarray(IMAGES, np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-0.1
    )
    expected = {"c1": squash(correlate(x, p["c1"]["kernel"]) + p["c1"]["bias"])}
    s2 = expected["s2"] = subsample(expected["c1"], "s2")
    kernel, maps, start = p["c3"]["kernel"], [], 0
    for row in TABLE:
        seen = kernel[:, :, start : start + len(row), None]
        maps.append(correlate(s2[..., list(row)], seen))
        start += len(row)
    expected["c3"] = squash(np.concatenate(maps, -1) + p["c3"]["bias"])
    expected["s4"] = subsample(expected["c3"], "s4")
    expected["c5"] = squash(correlate(expected["s4"], p["c5"]["kernel"]) + p["c5"]["bias"])
    x = expected["c5"].reshape(2, 120) @ p["f6"]["kernel"] + p["f6"]["bias"]
    expected["f6"] = squash(x)
    for name, value in expected.items():
        np.testing.assert_allclose(endpoints[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    distances = [[((f - code) ** 2).sum() for code in digit_codes()] for f in expected["f6"]]
    np.testing.assert_allclose(output, -np.array(distances), rtol=1e-4)
    np.testing.assert_array_equal(endpoints["features"], endpoints["f6"])


def test_all_parameters_start_uniform_within_their_bounds():
    init = jax.jit(models.create("lenet5_1998").init)
    params = init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))["params"]
    for name, fan_in in dict(c1=25, s2=4, s4=4, c5=400, f6=120).items():
        for leaf in jax.tree.leaves(params[name]):
            values = np.abs(np.asarray(leaf)) * fan_in / 2.4
            assert np.all(values <= 1) and np.any(values > 0.5), name
            if leaf.size > 1000:
                assert np.mean(values) == pytest.approx(0.5, abs=0.01)


def test_fewer_classes_have_the_first_codes_and_a_softmax_any_number():
    assert traced(num_classes=3).row("logits").shape == (1, 3)
    summary = traced(num_classes=26, head="softmax")
    assert summary.row("logits").parameters == 85 * 26
    assert summary.total.parameters == 60_000 + 85 * 26
    assert traced(num_classes=0).rows[-1].name == "features"


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        (28, {}, "28x28 are too small"),
        (32, {"num_classes": 11}, "not for 11 classes: use model.head=softmax"),
        (32, {"head": "linear"}, "head='linear' must be one of"),
    ],
)
def test_what_cannot_work_is_named(size, arguments, message):
    with pytest.raises(UserError, match=message):
        traced(size, **arguments)
