"""Every model through the same matrix: what the contract of `cnnlab.models` promises.

Narrow networks on small images, compiled once each. What depends on the true size is in the
golden summaries and in the tests of each architecture.
"""

import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from short_googlenet import short_googlenet  # noqa: F401 (a fixture)

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.layers.initializers import fans

pytestmark = pytest.mark.usefixtures("short_googlenet")

# By the beginning of the name, the first that fits: pixels, channels, arguments.
SMALL = {
    "mlp": (8, 1, {"hidden": (16, 8)}),
    "lenet": (32, 1, {}),
    "locally": (32, 1, {}),
    "alexnet": (67, 3, {"width": 0.125}),
    "vgg": (32, 3, {"width": 0.125}),
    "googlenet": (48, 3, {"width": 0.25}),
    "inception": (48, 3, {"width": 0.25}),
    "koch": (65, 1, {"width": 0.125}),
    "mobilenet": (48, 3, {"width": 0.125, "shallow": True}),
    "resnext": (48, 3, {"width": 0.25}),
    "": (48, 3, {"width": 0.125}),
}
# Deep networks whose families stand in the quick suite by another; `make test-slow` runs these.
DEEP = {
    # GoogLeNet's parts are in test_googlenet.py.
    *("googlenet", "googlenet_torchvision"),
    *("mobilenet_v1", "xresnet101", "resnext50_32x4d"),
    *("resnet101_v2", "resnet101", "resnet110_v2", "vgg16c"),
}
BATCH, CLASSES = 4, 10
# Not compiled, for each of their parts is in others: the windows of googlenet and the norm of
# torchvision's; the stride of resnext50; the units of resnet101_v2; plain18 and resnet20.
COVERED = {
    *("inception_v1_bn", "resnet50_v15", "resnet101_v15", "resnet152_v15"),
    # Of these only a part serves the output; they have tests of their own.
    *("cpc_resnet101", "cpc_small", "cpc_audio"),
    *("panns_cnn6", "panns_cnn10", "panns_cnn14"),
    *("resnet164_v2", "resnet1001_v2", "plain20", "plain32", "plain44", "plain56"),
}


def small(name, **arguments):
    """Return a narrow and shallow version of a model and the shape of its images.

    Units that repeat the one before are left out, but for one: then ResNets of all depths are the
    same network, looked at once. GoogLeNet has five modules. The true depths are in the golden
    summaries.
    """
    size, channels, narrow = next(v for k, v in SMALL.items() if name.startswith(k))
    architecture = models.MODELS[name]
    if architecture.input == (32, 32, 3):
        size = 16
    fields = architecture.fields()
    chosen = {"num_classes": CLASSES, **narrow, **arguments}
    if "depths" in fields:
        chosen["depths"] = (2, *(1 for _ in fields["depths"][1:]))
    if "layers" in fields and not fields["pointwise"]:
        chosen["layers"] = (1, 1, 2, 1, 1)
    model = models.create(name, **{k: v for k, v in chosen.items() if k in fields})
    return model, (BATCH, size, size, channels)


def kinds():
    """Return a name for each network that is another when made small, but for `COVERED`."""
    names = [name for name in reversed(models.available()) if name not in COVERED]
    return list({small(name)[0]: name for name in names}.values())[::-1]


def marked(names):
    """Return names as parameters, deep networks marked as slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=[slow] * (name in DEEP)) for name in names]


@functools.cache
def smallest_of(module):
    """Return of the networks of a class the name of the one with the fewest parameters."""
    names = [name for name in kinds() if models.MODELS[name].module is module]
    return min(names, key=lambda name: len(jax.tree.leaves(shapes_of(*small(name)))))


def shapes_of(model, shape):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return jax.eval_shape(model.init, keys, jnp.zeros(shape))


def random_variables(shapes):
    """Return variables that keep the size of the signal, with statistics that are not 0 and 1.

    Drawing them here spares a compilation of every initializer.
    """
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype)
        std = (2 / fans(leaf.shape)[0]) ** 0.5 if len(leaf.shape) > 1 else 0.1
        return (std * rng.normal(size=leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(jnp.asarray, jax.tree_util.tree_map_with_path(draw, dict(shapes)))


@pytest.fixture(scope="module", params=marked(kinds()))
def case(request):
    """One model: variables and a compiled function that gives all that is looked at."""
    name = request.param
    model, shape = small(name)
    variables = random_variables(shapes_of(model, shape))
    key = jax.random.key(2)

    def both(variables, images):
        params, others = variables["params"], {k: v for k, v in variables.items() if k != "params"}

        def loss(params):
            (output, endpoints), state = model.apply(
                {"params": params, **others},
                images,
                train=True,
                rngs={"dropout": key},
                mutable=list(others),
            )
            auxiliary = [x for n, x in endpoints.items() if n.startswith("auxiliary")]
            total = sum(jnp.sum(jnp.sin(x) ** 2) for x in (output, *auxiliary))
            return total, (output, endpoints, state)

        gradients, trained = jax.grad(loss, has_aux=True)(params)
        half, endpoints = model.clone(dtype="bfloat16").apply(variables, images)
        return model.apply(variables, images), trained, gradients, (half, endpoints["features"])

    images = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    run = jax.jit(both)
    evaluated, trained, gradients, half = run(variables, images)
    return SimpleNamespace(
        name=name,
        model=model,
        variables=variables,
        images=images,
        run=run,
        evaluated=evaluated,
        trained=trained,
        gradients=gradients,
        half=half,
    )


@pytest.mark.sample(4)
def test_endpoints_end_with_what_the_classifier_sees(case):
    output, endpoints = case.evaluated
    shown = jax.eval_shape(case.model.apply, case.variables, case.images)[1]
    assert list(shown)[-2:] == ["features", "logits"]
    np.testing.assert_array_equal(output, endpoints["logits"])
    assert output.dtype == jnp.float32 and np.all(np.isfinite(output))
    if "logits" in case.variables["params"]:
        kernel, bias = (case.variables["params"]["logits"][part] for part in ("kernel", "bias"))
        np.testing.assert_allclose(output, endpoints["features"] @ kernel + bias, atol=1e-4)


@pytest.mark.sample(5)
def test_no_classes_means_features_alone(case):
    headless, shape = small(case.name, num_classes=None)
    variables = shapes_of(headless, shape)
    output, endpoints = jax.eval_shape(headless.apply, variables, jnp.zeros(shape))
    assert list(endpoints)[-1] == "features" and "logits" not in variables["params"]
    assert output.shape == endpoints["features"].shape
    # The rest is as it was.
    whole = {k: v for k, v in shapes_of(case.model, shape)["params"].items() if k != "logits"}
    trunk = dict(variables["params"])
    for auxiliary in ("auxiliary1", "auxiliary2"):
        whole.pop(auxiliary, None)
        trunk.pop(auxiliary, None)
    assert trunk == whole


@pytest.mark.sample(5)
def test_every_parameter_receives_a_gradient(case):
    for path, gradient in jax.tree_util.tree_leaves_with_path(case.gradients):
        name = jax.tree_util.keystr(path)
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), name


def test_in_evaluation_an_image_does_not_depend_on_its_batch(case):
    others = np.array(case.images)
    others[1:] = np.random.default_rng(3).normal(size=others[1:].shape)
    (output, _), trained, *_ = case.run(case.variables, jnp.asarray(others))
    np.testing.assert_array_equal(output[0], case.evaluated[0][0])
    assert np.any(output[1] != case.evaluated[0][1])
    if "batch_stats" in case.variables:
        assert np.any(trained[0][0] != case.trained[0][0])


def test_training_moves_statistics_and_evaluation_does_not(case):
    before, after = case.variables.get("batch_stats", {}), case.trained[2].get("batch_stats", {})
    assert jax.tree.structure(before) == jax.tree.structure(dict(after))
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert np.any(old != new)
    if before or getattr(case.model, "dropout", 0):
        assert np.any(case.trained[0] != case.evaluated[0])
    else:
        np.testing.assert_allclose(case.trained[0], case.evaluated[0], rtol=1e-4, atol=1e-5)


@pytest.mark.sample(3)
def test_compiled_and_plain_runs_agree(case):
    # Plain runs compile each operation on its own, which costs more than all else here: those of a
    # class with other arguments are left out.
    if case.name != smallest_of(models.MODELS[case.name].module):
        pytest.skip("another of its class is compared")
    plain, _ = case.model.apply(case.variables, case.images)
    size = np.abs(plain).max()
    np.testing.assert_allclose(case.evaluated[0], plain, atol=1e-4 * size)


def test_bfloat16_computes_near_float32_with_float32_parameters_and_logits(case):
    stored = shapes_of(case.model.clone(dtype="bfloat16"), case.images.shape)
    assert {x.dtype for x in jax.tree.leaves(stored)} == {jnp.dtype("float32")}
    output, features = case.half
    assert output.dtype == jnp.float32 and features.dtype == jnp.bfloat16
    expected = case.evaluated[0]
    error = np.sqrt(np.mean((output - expected) ** 2) / np.mean(expected**2))
    # Eight bits of mantissa, through all layers.
    assert error < 0.1, error


@pytest.mark.parametrize("name", marked(kinds()))
@pytest.mark.sample(5)
def test_images_of_odd_sizes_will_do(name):
    model, (batch, size, _, channels) = small(name)
    shape = (batch, size + 7, size + 14, channels)
    output, endpoints = jax.eval_shape(model.apply, shapes_of(model, shape), jnp.zeros(shape))
    assert output.shape == (batch, CLASSES)
    maps = [x.shape[1:3] for x in endpoints.values() if x.ndim == 4]
    for (h, w), (smaller_h, smaller_w) in itertools.pairwise(maps):
        assert smaller_h <= h and smaller_w <= w and smaller_w >= smaller_h


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18_v2", "vgg11"])
def test_rematerialization_changes_neither_results_nor_gradients_nor_names(name):
    # In float64, where another order of summation does not show.
    with jax.enable_x64(True):
        model, shape = small(name, dtype="float64")
        variables = jax.tree.map(
            lambda x: x.astype(jnp.float64), random_variables(shapes_of(model, shape))
        )
        images = jnp.asarray(np.random.default_rng(1).normal(size=shape))

        def gradients(model):
            def loss(params):
                output, _ = model.apply(
                    {**variables, "params": params},
                    images,
                    train=True,
                    rngs={"dropout": jax.random.key(0)},
                    mutable=["batch_stats"],
                )[0]
                return jnp.sum(jnp.sin(output) ** 2)

            return jax.jit(jax.value_and_grad(loss))(variables["params"])

        expected, result = gradients(model), gradients(model.clone(remat=True))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), *((result, expected))
    )


# A network without the field has no stages that repeat.
REPEATING = {m.module: None for m in map(models.MODELS.get, kinds()) if "remat" in m.fields()}


@pytest.mark.parametrize("module", REPEATING)
@pytest.mark.sample(2)
def test_rematerialization_is_there_and_keeps_the_names_of_parameters(module):
    model, shape = small(smallest_of(module))
    variables = shapes_of(model, shape)
    remat = model.clone(remat=True)
    assert shapes_of(remat, shape) == variables
    apply = jax.make_jaxpr(lambda model, v: model.apply(v, jnp.zeros(shape)), static_argnums=0)
    assert "remat" in str(apply(remat, variables)) and "remat" not in str(apply(model, variables))


def he(fan_in, fan_out):
    return (2 / fan_in) ** 0.5


def glorot(fan_in, fan_out):
    return (2 / (fan_in + fan_out)) ** 0.5


# What the papers, or where they say nothing the docstrings, have: standard deviations of kernels
# given their fans. Biases and other classifiers are in the tests of each architecture.
INITIAL = {
    "resnet18": he,
    "resnet101_v2": he,
    "xresnet18": he,
    "mobilenet_v1": he,
    "vgg11": glorot,
    "googlenet": glorot,
    "alexnet": lambda *_: 0.01,
    # Uniform within 2.4 / fan_in.
    "lenet5_1998": lambda fan_in, _: 2.4 / fan_in / 3**0.5,
}


@pytest.mark.parametrize("name", marked(INITIAL))
@pytest.mark.sample(2)
def test_initial_weights_have_the_papers_variance(name):
    model, shape = small(name, zero_scale=False)
    variables = jax.jit(model.init)(jax.random.key(5), jnp.zeros(shape))
    for path, kernel in jax.tree_util.tree_leaves_with_path(variables["params"]):
        names = [part.key for part in path]
        # A table of connections has kernels of its own kind.
        if names[-1] != "kernel" or names[0] in ("logits", "c3") or kernel.size < 100:
            continue
        expected = INITIAL[name](*fans(kernel.shape))
        # Five standard errors of a normal sample's standard deviation.
        assert abs(np.std(kernel) / expected - 1) < 5 / (2 * kernel.size) ** 0.5, names
    for path, value in jax.tree_util.tree_leaves_with_path(variables):
        if path[-1].key in ("scale", "var"):
            assert np.all(value == 1), path
        if path[-1].key == "mean":
            assert np.all(value == 0), path


def applied(model, variables, images, **call):
    return jax.jit(lambda v, x: model.apply(v, x, **call))(variables, images)


@pytest.mark.parametrize("name", ["mlp", "lenet5"])
def test_dropout_acts_in_training_alone_and_follows_its_key(name):
    # With tanh no feature is 0 but for dropout.
    model, shape = small(name, dropout=0.5, activation="tanh")
    variables = random_variables(shapes_of(model, shape))
    images = jax.random.normal(jax.random.key(0), shape)

    def features(train, seed=None):
        rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
        return applied(model, variables, images, train=train, rngs=rngs)[1]["features"]

    plain = features(False)
    np.testing.assert_array_equal(plain, features(False, seed=0))
    dropped = features(True, seed=0)
    np.testing.assert_array_equal(dropped, features(True, seed=0))
    assert np.any(dropped != features(True, seed=1))
    assert np.all(plain != 0) and 0.3 < np.mean(dropped == 0) < 0.7


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet18"])
@pytest.mark.sample(1)
def test_synchronized_batch_norm_on_four_devices_equals_one(name):
    model, shape = small(name, norm="batch")
    variables = random_variables(shapes_of(model, shape))
    images = jax.random.normal(jax.random.key(0), shape)
    synced = model.clone(norm_axis_name="batch")

    def forward(model, images):
        (output, _), state = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return output, state["batch_stats"]

    output, stats = jax.pmap(
        lambda images: forward(synced, images), "batch", devices=jax.devices()[:4]
    )(images.reshape(4, 1, *shape[1:]))
    expected, expected_stats = jax.jit(forward, static_argnums=0)(model, images)
    np.testing.assert_allclose(output.reshape(expected.shape), expected, atol=1e-3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-4), stats, expected_stats)


@pytest.mark.parametrize("norm", ["group", ""])
def test_other_norms_keep_no_statistics(norm):
    model, shape = small("resnet18", norm=norm)
    variables = shapes_of(model, shape)
    assert set(variables) == {"params"}
    stem = variables["params"]["stem"]
    assert ("bias" in stem["conv1"]) == (norm == "")
    assert ("norm1" in stem) == (norm == "group")


def test_available_matches_shell_patterns():
    assert models.available("lenet*") == ["lenet5", "lenet5_1998"]
    assert models.available("nothing*") == []
    assert models.available() == sorted(models.MODELS)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("lenet", {}, "unknown model 'lenet'; did you mean 'lenet5'"),
        ("lenet5", {"num_clases": 3}, "'num_clases'; did you mean 'num_classes'"),
        ("lenet5", {"parent": 3}, "no argument 'parent'"),
        ("lenet5", {"num_classes": -1}, "num_classes=-1"),
        ("mlp", {"dropout": 1.0}, "dropout=1.0"),
        ("mlp", {"dtype": "bfloat"}, "did you mean 'bfloat16'"),
        ("mlp", {"norm": "instance"}, "norm='instance'"),
        ("resnet18", {"width": 0.0}, "width=0.0"),
        ("resnet18", {"width": float("inf")}, "width=inf"),
        ("mlp", {"hidden": (0,)}, r"model.hidden=\(0,\) must be whole numbers of 1 or more"),
        ("mlp", {"hidden": (8, -3)}, "model.hidden="),
        ("mlp", {"hidden": ("a",)}, "model.hidden="),
        ("mlp", {"hidden": 8}, "model.hidden=8"),
        ("lenet5", {"padding": -1}, "model.padding=-1 must be a whole number of 0 or more"),
        ("resnet18", {"groups": 0}, "model.groups=0 must be a whole number of 1 or more"),
    ],
)
def test_bad_arguments_are_named_when_the_model_is_made(name, kwargs, message):
    with pytest.raises(UserError, match=message):
        models.create(name, **kwargs)


def test_whatever_tracing_raises_names_the_model_and_its_arguments():
    given = {"name": "mlp", "hidden": (7,), "dropout": 0.0}
    message = r"'mlp' with hidden=\(7,\) .*: ZeroDivisionError: by 0$"
    with pytest.raises(UserError, match=message), models.tracing("mlp", given):
        raise ZeroDivisionError("by 0\nand more")
