"""Contrastive predictive coding against plain loops over places, steps and candidates."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from experiments.cpc import CPC, NEGATIVES, predict

KEY = jax.random.key(0)
BATCH, ROWS, COLS, LATENT, CONTEXT = 8, 4, 3, 5, 6


class Linear(nn.Module):
    """Latents and contexts of a grid that is the image itself."""

    directions: tuple[str, ...] = ("down",)

    @nn.compact
    def __call__(self, x, train=False):
        latents = nn.Dense(LATENT, name="latents")(x)
        context = nn.Dense(CONTEXT * len(self.directions), name="context")(x)
        features = latents.mean(axis=(1, 2))
        return features, {"latents": latents, "context": context, "features": features}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def parameters():
    batch = {"image": normal(BATCH, ROWS, COLS, 4)}
    params = CPC(Linear(), steps=3).init(jax.random.key(0), batch)["params"]
    # Larger, so that the scores say something.
    params["prediction"]["down"]["kernel"] *= 5
    return params, batch


def run(parameters, axis_name=None, train=True, **fields):
    """Return the loss, the metrics and the gradient; over 8 devices with an `axis_name`."""
    params, batch = parameters
    experiment = CPC(Linear(), **fields)

    def loss(params, batch):
        value, aux = experiment.loss(params, {}, batch, KEY, train=train, axis_name=axis_name)
        return value, aux.metrics

    def both(params, batch):
        (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(params, batch)
        if axis_name:
            value, gradient = jax.lax.pmean((value, gradient), axis_name)
            metrics = jax.lax.psum(metrics, axis_name)
        return value, metrics, gradient

    if axis_name is None:
        result = jax.jit(both)(params, batch)
    else:
        parts = jax.tree.map(lambda x: x.reshape(8, -1, *x.shape[1:]), batch)
        result = jax.pmap(both, axis_name, in_axes=(None, 0))(params, parts)
        result = jax.tree.map(lambda x: x[0], result)
    value, metrics, gradient = jax.device_get(result)
    return value, {name: metric.compute() for name, metric in metrics.items()}, gradient


def loops(parameters, *, steps, skip, negatives, valid):
    """Return the mean loss and the share of right choices, one place and candidate at a time."""
    params, batch = parameters
    _, endpoints = Linear().apply({"params": params}, batch["image"])
    z, c = np.float64(endpoints["latents"]), np.float64(endpoints["context"])
    kernel = np.float64(params["prediction"]["down"]["kernel"])
    examples = [b for b in range(BATCH) if valid[b]]
    losses, right = [], []
    for k in range(skip + 1, steps + 1):
        of_step, right_of_step = [], []
        for b in examples:
            for i in range(ROWS - k):
                for j in range(COLS):
                    own = (b, i + k, j)
                    others = {
                        "all": [(n, p, q) for n in examples for p, q in np.ndindex(ROWS, COLS)],
                        "image": [(b, p, q) for p, q in np.ndindex(ROWS, COLS)],
                        "batch": [(n, i + k, j) for n in examples],
                    }[negatives]
                    score = {at: z[at] @ kernel[k - skip - 1] @ c[b, i, j] for at in others}
                    total = math.log(sum(math.exp(s) for s in score.values()))
                    of_step.append(total - score[own])
                    right_of_step.append(max(score, key=score.get) == own)
        losses.append(np.mean(of_step))
        right.append(np.mean(right_of_step))
    return np.mean(losses), np.mean(right), len(others)


MASKS = {"whole": np.ones(BATCH, bool), "padded": np.arange(BATCH) < 5}


@pytest.mark.parametrize("padding", MASKS)
@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.sample(3)
def test_loss_accuracy_and_bound_are_those_of_plain_loops(parameters, negatives, padding):
    mask = MASKS[padding]
    fields = dict(steps=3, skip=0, negatives=negatives)
    loss, right, candidates = loops(parameters, valid=mask, **fields)
    params, batch = parameters
    if padding == "padded":
        # What is in the padding must not matter.
        images = batch["image"].copy()
        images[~mask] = 1e3
        batch = {"image": images, "valid": mask}
    value, metrics, _ = run((params, batch), train=False, **fields)
    np.testing.assert_allclose(value, loss, rtol=1e-5)
    assert metrics == pytest.approx(
        {"loss": loss, "accuracy": right, "bound": math.log(candidates) - loss}, rel=1e-4
    )
    assert 0 < right < 1 and metrics["bound"] < math.log(candidates)


def test_skipped_rows_are_not_predicted(parameters):
    params, batch = parameters
    kernel = params["prediction"]["down"]["kernel"]
    fewer = {**params, "prediction": {"down": {"kernel": kernel[1:]}}}
    fields = dict(steps=3, skip=1, negatives="all")
    expected, _, _ = loops((fewer, batch), valid=MASKS["whole"], **fields)
    value, _, _ = run((fewer, batch), **fields)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_eight_devices_are_one(parameters, negatives):
    value, metrics, gradient = run(parameters, negatives=negatives, steps=3)
    spread = run(parameters, "batch", negatives=negatives, steps=3)
    np.testing.assert_allclose(spread[0], value, rtol=1e-6)
    assert spread[1] == pytest.approx(metrics, rel=1e-5)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(gradient), jax.tree.leaves(spread[2]), strict=True
    ):
        assert np.any(a != 0), path
        np.testing.assert_allclose(b, a, atol=1e-6, err_msg=jax.tree_util.keystr(path))


def test_padding_counts_nowhere_on_eight_devices(parameters):
    params, batch = parameters
    padded = (params, {**batch, "valid": MASKS["padded"]})
    value, metrics, _ = run(padded, steps=3, train=False)
    spread, others, _ = run(padded, "batch", steps=3, train=False)
    np.testing.assert_allclose(spread, value, rtol=1e-6)
    assert others == pytest.approx(metrics, rel=1e-5)


def test_chunks_change_nothing(parameters):
    value, metrics, gradient = run(parameters, steps=3)
    chunked = run(parameters, steps=3, chunk=50)
    np.testing.assert_allclose(chunked[0], value, rtol=1e-6)
    assert chunked[1] == pytest.approx(metrics, rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *((chunked[2], gradient))
    )


def test_directions_are_predictions_of_the_turned_grid(parameters):
    params, batch = parameters
    images = batch["image"]
    experiment = CPC(Linear(directions=("up", "left")), steps=2)
    kernel = {"kernel": params["prediction"]["down"]["kernel"][:2]}
    both = {
        **params,
        "context": jax.tree.map(lambda x: jnp.concatenate([x, x], -1), params["context"]),
        "prediction": {"up": kernel, "left": kernel},
    }

    @jax.jit
    def loss(image):
        return experiment.loss(both, {}, {"image": image}, KEY, train=False, axis_name=None)[0]

    # What goes up is what goes down in images that stand on their heads; what goes to the left,
    # in images of which the last column has become the first row.
    down = {**params, "prediction": {"down": kernel}}
    up, _, _ = run((down, {"image": images[:, ::-1].copy()}), steps=2, train=False)
    left, _, _ = run(
        (down, {"image": images[:, :, ::-1].swapaxes(1, 2).copy()}), steps=2, train=False
    )
    np.testing.assert_allclose(loss(images), (up + left) / 2, rtol=1e-5)
    assert abs(up - left) > 1e-3


def test_a_context_that_knows_what_comes_reaches_log_n():
    # Every latent is a direction of its own, and each context that of the place below, times 50.
    grid = 4 * 3
    latents = np.broadcast_to(np.eye(grid, dtype=np.float32), (1, grid, grid))
    latents = latents.reshape(1, 4, 3, grid)
    context = jnp.asarray(50 * np.roll(latents, -1, axis=1))
    queries, at, weights = predict(context, jnp.eye(grid)[None])
    score = NEGATIVES["image"]
    losses, right = score(
        queries, jnp.asarray(latents.reshape(1, grid, grid)), at, axis_name=None, chunk=0
    )
    assert right.all()
    np.testing.assert_allclose(losses @ weights, 0.0, atol=1e-6)
    np.testing.assert_array_equal(at, np.arange(3, 12))


def test_weights_are_alike_for_steps_and_within_a_step_for_places():
    context = jnp.zeros((1, ROWS, COLS, CONTEXT))
    _, at, weights = predict(context, jnp.zeros((2, LATENT, CONTEXT)), skip=1)
    # Two rows ahead there are 2 rows of 3, three rows ahead one.
    np.testing.assert_array_equal(at, [*range(6, 12), *range(9, 12)])
    np.testing.assert_allclose(weights, [1 / 12] * 6 + [1 / 6] * 3, rtol=1e-6)


def test_the_matrices_start_so_that_scores_have_the_size_of_one_latent_times_one_context():
    batch = {"image": normal(2, 6, 6, 4)}
    experiment = CPC(Linear(directions=("down", "right")), steps=5, skip=2)
    params = experiment.init(jax.random.key(0), batch)["params"]
    assert set(params) == {"latents", "context", "prediction"}
    kernels = params["prediction"]
    assert {name: p["kernel"].shape for name, p in kernels.items()} == {
        "down": (3, LATENT, CONTEXT),
        "right": (3, LATENT, CONTEXT),
    }
    values = np.concatenate([p["kernel"].ravel() for p in kernels.values()])
    assert abs(np.std(values) * (LATENT * CONTEXT) ** 0.5 - 1) < 5 / (2 * values.size) ** 0.5
    assert np.any(kernels["down"]["kernel"] != kernels["right"]["kernel"])


def test_training_logs_the_spread_of_the_features(parameters):
    _, metrics, _ = run(parameters, steps=3)
    assert 0 < metrics["embedding_std"] < 1.5
    params, batch = parameters
    same = {"image": np.repeat(batch["image"][:1], BATCH, axis=0)}
    _, metrics, _ = run((params, same), steps=3)
    assert metrics["embedding_std"] < 1e-5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 3, "skip": 3}, "skip needs to be"),
        ({"negatives": "none"}, "unknown experiment.negatives 'none'"),
        ({"chunk": -1}, "experiment.chunk=-1"),
        ({"steps": 4}, "in a grid of 4 rows 3 can be predicted at most"),
    ],
)
def test_numbers_that_cannot_be_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        CPC(Linear(), **fields).init(jax.random.key(0), {"image": normal(1, ROWS, 6, 4)})
