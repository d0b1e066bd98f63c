"""Joint embeddings: each method's loss is the loss of its paper, on one replica and on two."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.normalization.batch_norm import BatchNorm
from experiments.base import Experiment
from experiments.joint_embedding import METHODS, JointEmbedding

IMAGES = np.random.default_rng(0).normal(size=(4, 2, 2, 3, 1)).astype(np.float32)
KEY = jax.random.key(1)
# Of the paper's defaults and of others, some of each.
ENTRIES = {
    "nt_xent": {"joint_views": True, "temperature": 0.2, "chunk": 3},
    "byol": {"momentum": 0.6, "momentum_steps": 4},
    "vicreg": {"weights": (3.0, 2.0, 5.0)},
}


class Tiny(nn.Module):
    """Encoder of one dense layer and a BatchNorm; features [b, 4]."""

    norm_axis_name: str = ""

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Dense(4, name="dense")(images.reshape(images.shape[0], -1))
        x = jnp.tanh(BatchNorm(train, axis_name=self.norm_axis_name, name="norm")(x))
        return x, {"features": x}


def make(method):
    heads = dict(projector=(5, 3), predictor=(3,))
    return JointEmbedding(Tiny(), sync_bn=True, method=method, **heads, **ENTRIES.get(method, {}))


@functools.cache
def start(method):
    """Return parameters and a state of some time into a training, made up."""
    rng = np.random.default_rng(3)

    def some(path, leaf):
        name = jax.tree_util.keystr(path)
        if leaf.dtype == np.int32:
            return np.int32(3)
        # Scales about 1, variances above 0, and hidden units that are on for most rows.
        center = (
            1.0 if "scale" in name or "var" in name or "['hidden1_norm']['bias']" in name else 0
        )
        return (center + 0.3 * rng.uniform(-1, 1, leaf.shape)).astype(np.float32)

    shapes = jax.eval_shape(make(method).init, KEY, {"image": IMAGES[:, 0]})
    variables = jax.tree_util.tree_map_with_path(some, dict(shapes))
    return variables.pop("params"), variables


@functools.cache
def compiled(method):
    """Return (parameters, state, images) -> (loss, what goes with it, gradient)."""
    return jax.jit(functools.partial(run, make(method)))


def run(experiment, params, state, images, axis_name=None):
    def loss(params):
        batch = {"image": images}
        return experiment.loss(params, state, batch, KEY, train=True, axis_name=axis_name)

    (value, aux), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return value, aux, gradient


@functools.cache
def result(method):
    return jax.device_get(compiled(method)(*start(method), IMAGES))


# The same by numpy in float64, an example at a time where it is not a matrix product.


def wide(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def normalized(x, scale=1.0, bias=0.0):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * scale + bias


def encode(params, images):
    x = images.reshape(len(images), -1) @ params["dense"]["kernel"] + params["dense"]["bias"]
    return np.tanh(normalized(x, **params["norm"]))


def head(params, x, last_norm=False):
    x = np.maximum(normalized(x @ params["hidden1"]["kernel"], **params["hidden1_norm"]), 0)
    x = x @ params["output"]["kernel"] + params["output"].get("bias", 0.0)
    return normalized(x, **params.get("output_norm", {})) if last_norm else x


def project(params, method):
    def one(images):
        return head(params["projector"], encode(params, images), bool(METHODS[method].last_norm))

    if make(method).joint_views:
        both = one(np.concatenate([IMAGES[:, 0], IMAGES[:, 1]]))
        return both[:4], both[4:]
    return one(IMAGES[:, 0]), one(IMAGES[:, 1])


def unit(x):
    return x / np.sqrt(x @ x)


def no_negatives(params, targets):
    pairs = zip(*project(params, "no_negatives"), strict=True)
    return np.mean([np.sum((unit(a) - unit(b)) ** 2) for a, b in pairs])


def nt_xent(params, targets):
    z = [unit(x) for view in project(params, "nt_xent") for x in view]
    total = 0.0
    for i in range(8):
        others = sum(np.exp(z[i] @ z[k] / 0.2) for k in range(8) if k != i)
        total -= np.log(np.exp(z[i] @ z[(i + 4) % 8] / 0.2) / others)
    return total / 8


def simsiam(params, targets):
    first, second = (head(params["predictor"], z) for z in project(params, "simsiam"))
    pairs = [*zip(first, targets[1], strict=True), *zip(second, targets[0], strict=True)]
    return np.mean([-unit(p) @ unit(z) for p, z in pairs])


def byol(params, targets):
    first, second = (head(params["predictor"], z) for z in project(params, "byol"))
    pairs = [*zip(first, targets[1], strict=True), *zip(second, targets[0], strict=True)]
    return sum(np.sum((unit(p) - unit(z)) ** 2) for p, z in pairs) / 4


def vicreg(params, targets):
    views = project(params, "vicreg")
    total = 3 * np.mean((views[0] - views[1]) ** 2)
    for z in views:
        c = np.cov(z.T)
        total += 2 * np.mean([max(0, 1 - np.sqrt(c[j, j] + 1e-4)) for j in range(3)])
        total += 5 * sum(c[j, k] ** 2 for j in range(3) for k in range(3) if j != k) / 3
    return total


def barlow(params, targets):
    first, second = (normalized(z) for z in project(params, "barlow"))
    total = 0.0
    for j in range(3):
        for k in range(3):
            c = first[:, j] @ second[:, k] / 4
            total += (1 - c) ** 2 if j == k else 5e-3 * c**2
    return total


PLAIN = {f.__name__: f for f in (no_negatives, nt_xent, simsiam, byol, vicreg, barlow)}


def moved_teacher(params, state):
    # momentum_steps=4, and step 3 of the teacher comes after step 2 of the network.
    part = 0.4 * (np.cos(np.pi * 2 / 4) + 1) / 2
    old = wide(state["teacher"]["params"])
    return jax.tree.map(lambda a, b: (1 - part) * a + part * b, old, {k: params[k] for k in old})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.sample(3)
def test_loss_and_gradient_are_those_of_the_paper(method):
    value, aux, gradient = result(method)
    params = wide(start(method)[0])
    # What predictions are compared with is made of numbers, which no parameter changes.
    teacher = moved_teacher(params, start(method)[1]) if method == "byol" else params
    targets = project(teacher, method)
    expected = PLAIN[method](params, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(aux.metrics["loss"].compute(), expected, rtol=1e-5)
    size = max(np.abs(x).max() for x in jax.tree.leaves(gradient))
    assert size > 1e-3
    leaves = jax.tree_util.tree_leaves_with_path(params)
    for (path, leaf), got in zip(leaves, jax.tree.leaves(gradient), strict=True):
        for at in np.ndindex(leaf.shape):
            kept, sides = leaf[at], []
            for change in (1e-5, -1e-5):
                leaf[at] = kept + change
                sides.append(PLAIN[method](params, targets))
            leaf[at] = kept
            wanted = (sides[0] - sides[1]) / 2e-5
            assert abs(got[at] - wanted) < 2e-5 * size, (jax.tree_util.keystr(path), at)


def test_metrics():
    own = {
        "nt_xent": {"accuracy"},
        "vicreg": {"invariance", "variance", "covariance"},
        "barlow": {"invariance", "redundancy"},
    }
    for method in METHODS:
        _, aux, _ = result(method)
        assert set(aux.metrics) == {"loss", "embedding_std", "projection_std"} | own.get(
            method, set()
        )
        assert aux.output is None
        params = wide(start(method)[0])
        if method != "nt_xent":
            rows = np.stack([unit(x) for v in range(2) for x in encode(params, IMAGES[:, v])])
            spread = rows.std(axis=0).mean() * np.sqrt(4)
            assert aux.metrics["embedding_std"].compute() == pytest.approx(spread, rel=1e-4)
        rows = np.stack([unit(x) for view in project(params, method) for x in view])
        spread = rows.std(axis=0).mean() * np.sqrt(3)
        assert aux.metrics["projection_std"].compute() == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize("method", ["simsiam", "byol"])
def test_no_gradient_comes_through_the_target(method):
    # A predictor that ignores its input cuts the other branch: nothing else may be left.
    params, state = start(method)
    norm = {"scale": np.zeros(3, np.float32), "bias": np.ones(3, np.float32)}
    cut = {**params, "predictor": {**params["predictor"], "hidden1_norm": norm}}
    _, _, gradient = compiled(method)(cut, state, IMAGES)
    for name, tree in gradient.items():
        nothing = all(not np.any(x) for x in jax.tree.leaves(tree))
        assert nothing == (name != "predictor"), name


def test_teacher_moves_towards_the_network_and_its_statistics_by_its_own_passes():
    params, state = start("byol")
    teacher = result("byol")[1].model_state["teacher"]
    expected = moved_teacher(wide(params), state)
    assert set(expected) == {"dense", "norm", "projector"}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        teacher["params"],
        expected,
    )
    assert teacher["step"].dtype == np.int32 and teacher["step"] == 4
    mean = state["teacher"]["batch_stats"]["norm"]["mean"]
    for view in range(2):
        x = IMAGES[:, view].reshape(4, -1) @ expected["dense"]["kernel"]
        mean = 0.9 * mean + 0.1 * (x + expected["dense"]["bias"]).mean(axis=0)
    np.testing.assert_allclose(teacher["batch_stats"]["norm"]["mean"], mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_batch_norm_sees_each_view_alone_or_both_at_once(method):
    params, state = start(method)
    first, second = (
        (IMAGES[:, v].reshape(4, -1) @ params["dense"]["kernel"] + params["dense"]["bias"]).mean(0)
        for v in range(2)
    )
    old = state["batch_stats"]["norm"]["mean"]
    joint = 0.9 * old + 0.1 * (first + second) / 2
    alone = 0.81 * old + 0.09 * first + 0.1 * second
    got = result(method)[1].model_state["batch_stats"]["norm"]["mean"]
    np.testing.assert_allclose(got, joint if method == "nt_xent" else alone, rtol=1e-4, atol=1e-6)


# Negatives, a teacher, statistics of the batch; test_equivalence.py has the others on eight.
@pytest.mark.parametrize("method", ["nt_xent", "byol", "barlow"])
def test_two_replicas_are_one(method):
    params, state = start(method)

    def replica(params, state, images):
        value, aux, gradient = run(make(method), params, state, images, "batch")
        exact = jax.tree.map(lambda x: x.astype(jnp.float32), aux.model_state)
        means = jax.lax.pmean((value, gradient, exact), "batch")
        return (*means, jax.lax.psum(aux.metrics, "batch"))

    parts = IMAGES.reshape(2, 2, *IMAGES.shape[1:])
    replicas = jax.pmap(replica, axis_name="batch", in_axes=(None, None, 0))
    other = jax.device_get(replicas(params, state, parts))
    value, aux, gradient = result(method)
    one = (value, gradient, aux.model_state)
    size = max(np.abs(x).max() for x in jax.tree.leaves(gradient))
    for got, wanted in zip(jax.tree.leaves(other[:3]), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(got[0], wanted, rtol=1e-5, atol=5e-6 * size)
    for name, metric in aux.metrics.items():
        total = jax.tree.map(lambda x: x[0], other[3][name]).compute()
        assert total == pytest.approx(metric.compute(), rel=1e-5, abs=1e-6), name


def test_the_start():
    experiment, batch = make("byol"), {"image": IMAGES[:, 0]}
    variables = jax.jit(experiment.init)(KEY, batch)
    # The encoder is the one that it would be without heads, the teacher all but the predictor.
    alone = jax.jit(Experiment(Tiny()).init)(KEY, batch)
    params, teacher = variables["params"], variables["teacher"]
    assert set(params) == {"dense", "norm", "projector", "predictor"}
    for given, same in (
        (alone["params"], {name: params[name] for name in ("dense", "norm")}),
        (teacher["params"], {name: params[name] for name in ("dense", "norm", "projector")}),
    ):
        jax.tree.map(np.testing.assert_array_equal, given, same)
    assert set(variables["batch_stats"]) == {"norm", "projector", "predictor"}
    assert set(teacher["batch_stats"]) == {"norm", "projector"}


def test_evaluation_of_single_images_has_nothing_to_say():
    experiment, (params, state) = make("byol"), start("byol")
    batch = {"image": IMAGES[:, 0], "valid": np.ones(4, bool)}
    value, aux = experiment.loss(params, state, batch, KEY, train=False, axis_name=None)
    assert float(value) == 0 and aux.metrics == {} and aux.output is None
    assert aux.model_state is state
    embedded = jax.jit(experiment.embed)(params, state, batch)["embedding"]
    dense, norm = params["dense"], {**params["norm"], **state["batch_stats"]["norm"]}
    x = IMAGES[:, 0].reshape(4, -1) @ dense["kernel"] + dense["bias"]
    x = (x - norm["mean"]) / np.sqrt(norm["var"] + 1e-5) * norm["scale"] + norm["bias"]
    # The features, not the projections.
    np.testing.assert_allclose(embedded, np.tanh(x), rtol=1e-5, atol=1e-6)


def test_without_projector_and_norms_the_loss_is_on_the_features():
    class Linear(nn.Module):
        @nn.compact
        def __call__(self, images, train=False):
            x = nn.Dense(3, name="dense")(images.reshape(images.shape[0], -1))
            return x, {"features": x}

    experiment = JointEmbedding(Linear(), method="no_negatives", projector=())
    shapes = jax.eval_shape(experiment.init, KEY, {"image": IMAGES[:, 0]})
    assert set(shapes) == {"params"} and set(shapes["params"]) == {"dense"}
    kernel = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    params = {"dense": {"kernel": kernel, "bias": np.zeros(3, np.float32)}}
    value, aux, _ = jax.jit(functools.partial(run, experiment))(params, {}, IMAGES)
    x = IMAGES.reshape(4, 2, -1) @ kernel
    expected = np.mean([2 - 2 * unit(a) @ unit(b) for a, b in np.asarray(x)])
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert aux.model_state == {}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"method": "simsam"}, "did you mean 'simsiam'"),
        ({"projector": (4, 0)}, r"projector=\(4, 0\)"),
        ({"predictor": (-1,)}, r"predictor=\(-1,\)"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"momentum": 1.5}, "momentum=1.5"),
        ({"momentum_steps": -1}, "momentum_steps=-1"),
        ({"chunk": -2}, "chunk=-2"),
        ({"method": "barlow", "weights": (1.0, 2.0)}, "'barlow' takes 1"),
        ({"weights": (1.0,)}, "'simsiam' takes none"),
    ],
)
def test_what_cannot_be_is_named(entries, message):
    with pytest.raises(UserError, match=message):
        JointEmbedding(Tiny(), **entries)
