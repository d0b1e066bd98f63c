"""Triplets: what the experiment hands to the loss, and what it makes of its answer."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.mlp import MLP
from experiments.triplet import Triplet

IMAGES = np.random.default_rng(0).normal(size=(8, 1, 1, 3)).astype(np.float32)
LABELS = np.array([0, 0, 1, 1, 2, 2, 2, 0], np.int32)
BATCH = {"image": jnp.asarray(IMAGES), "label": jnp.asarray(LABELS)}
KEY = jax.random.key(0)
MINING = ["semi_hard", "batch_hard", "batch_all", "hardest_negative"]


class Flat(nn.Module):
    """A model whose output are the pixels."""

    def __call__(self, images, train=False):
        del train
        output = images.reshape(len(images), -1)
        return output, {"logits": output}


@functools.cache
def compiled(train, **fields):
    """Return batch -> ((loss, auxiliaries), gradient by the images), of the pixels."""
    experiment = Triplet(model=Flat(), **fields)

    def loss(image, batch):
        batch = {**batch, "image": image}
        return experiment.loss({}, {}, batch, KEY, train=train, axis_name=None)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def loss(batch=BATCH, train=True, **fields):
    """Return loss and auxiliaries of the pixels themselves."""
    return compiled(train, **fields)(jnp.asarray(batch["image"]), batch)[0]


def triplets(rows, labels, distance, margin):
    """Return the hinge of every triplet, a list for each anchor, by three loops."""
    return [
        [
            max(distance(rows[a], rows[p]) - distance(rows[a], rows[n]) + margin, 0)
            for p in range(len(rows))
            for n in range(len(rows))
            if a != p and labels[a] == labels[p] and labels[a] != labels[n]
        ]
        for a in range(len(rows))
    ]


def squared(a, b):
    return float(((a - b) ** 2).sum())


def euclidean(a, b):
    return float(np.sqrt(((a - b) ** 2).sum()))


def cosine(a, b):
    return 1 - float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize(
    ("distance", "average", "normalize"),
    [(squared, "active", True), (euclidean, "all", False), (cosine, "active", False)],
)
def test_batch_all_is_the_mean_over_three_loops(distance, average, normalize):
    value, aux = loss(
        mining="batch_all",
        distance=distance.__name__,
        margin=0.3,
        average=average,
        normalize=normalize,
    )
    rows = IMAGES.reshape(8, 3).astype(np.float64)
    if normalize:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    by_anchor = triplets(rows, LABELS, distance, 0.3)
    values = np.concatenate(by_anchor)
    active = values > 0
    assert 0 < active.sum() < len(values)
    expected = values[active].mean() if average == "active" else values.mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert aux.metrics["loss"].compute() == pytest.approx(expected, rel=1e-5)
    shares = [np.mean(np.array(own) > 0) for own in by_anchor]
    assert aux.metrics["active"].compute() == pytest.approx(np.mean(shares))


def test_defaults_are_facenets():
    fields = vars(Triplet(model=Flat()))
    facenet = {"distance": "squared", "mining": "semi_hard", "margin": 0.2, "normalize": True}
    assert {name: fields[name] for name in facenet} == facenet and not fields["soft"]


@pytest.mark.parametrize("mining", MINING)
def test_length_is_nothing_to_a_normalized_embedding(mining):
    longer = {**BATCH, "image": 7 * BATCH["image"]}
    np.testing.assert_allclose(loss(mining=mining)[0], loss(longer, mining=mining)[0], rtol=1e-5)


def test_soft_batch_hard_is_a_softplus_of_the_hardest_without_a_margin():
    rows, expected = IMAGES.reshape(8, 3).astype(np.float64), []
    for a, label in enumerate(LABELS):
        apart = np.array([euclidean(rows[a], row) for row in rows])
        expected.append(
            np.log1p(np.exp(apart[label == LABELS].max() - apart[label != LABELS].min()))
        )
    fields = {"mining": "batch_hard", "soft": True, "distance": "euclidean", "normalize": False}
    np.testing.assert_allclose(loss(**fields, margin=5.0)[0], np.mean(expected), rtol=1e-5)


def test_rows_at_a_time_change_nothing():
    np.testing.assert_allclose(
        loss(mining="semi_hard")[0], loss(mining="semi_hard", chunk=3)[0], rtol=1e-6
    )


def test_pairs_and_views_are_embedded_one_by_one():
    value, _ = loss(mining="semi_hard")
    pairs = {"image": IMAGES.reshape(4, 2, 1, 1, 3), "label": LABELS.reshape(4, 2)}
    assert float(loss(pairs, mining="semi_hard", group=2)[0]) == float(value)
    views = {"image": IMAGES.reshape(4, 2, 1, 1, 3), "label": np.array([0, 1, 2, 0], np.int32)}
    flat = {**BATCH, "label": np.array([0, 0, 1, 1, 2, 2, 0, 0], np.int32)}
    found, _ = loss(views, mining="semi_hard", group=2)
    assert float(found) == float(loss(flat, mining="semi_hard")[0])


def test_padding_counts_nowhere():
    mask = np.array([True] * 6 + [False] * 2)
    padded = {"image": np.where(mask[:, None, None, None], IMAGES, 9.0), "label": LABELS}
    value, aux = loss({**padded, "valid": mask}, train=False)
    expected, other = loss({k: v[:6] for k, v in BATCH.items()}, train=False)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for name, metric in other.metrics.items():
        assert aux.metrics[name].compute() == pytest.approx(metric.compute()), name
    assert aux.output is None


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize(
    ("image", "label"),
    [
        (IMAGES, np.zeros(8, np.int32)),  # one class: no negative
        (IMAGES, np.arange(8, dtype=np.int32)),  # no positive
        (np.ones_like(IMAGES), LABELS),  # one point
        (np.zeros_like(IMAGES), LABELS),  # nothing to normalize
    ],
    ids=["one class", "no positive", "one point", "zeros"],
)
def test_degenerate_batches_have_a_finite_loss_and_gradient(image, label, mining):
    batch = {"image": jnp.asarray(image), "label": jnp.asarray(label)}
    (found, _), gradient = compiled(True, mining=mining)(batch["image"], batch)
    assert np.isfinite(found) and np.all(np.isfinite(gradient))
    if len(set(label)) in (1, 8):
        assert float(found) == 0 and not np.any(gradient)


@functools.cache
def trained():
    model = MLP(hidden=(5,), num_classes=4, activation="tanh", norm="batch")
    experiment = Triplet(model=model, mining="batch_all")

    def run(key):
        variables = experiment.init(key, BATCH)
        state = {"batch_stats": variables["batch_stats"]}

        def value(params):
            return experiment.loss(params, state, BATCH, key, train=True, axis_name=None)

        (_, aux), gradients = jax.value_and_grad(value, has_aux=True)(variables["params"])
        vectors = experiment.embed(variables["params"], state, BATCH, ("embedding", "logits"))
        return aux, gradients, vectors

    return jax.jit(run)(KEY)


def test_every_parameter_receives_a_gradient():
    _, gradients, _ = trained()
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), jax.tree_util.keystr(path)


def test_what_is_logged_and_what_is_embedded():
    aux, _, vectors = trained()
    names = {"loss", "active", "positive_distance", "negative_distance", "embedding_std"}
    assert set(aux.metrics) == names
    assert 0 < aux.metrics["embedding_std"].compute() <= 1.01
    np.testing.assert_allclose(np.linalg.norm(vectors["embedding"], axis=1), 1, rtol=1e-6)
    lengths = np.linalg.norm(vectors["logits"], axis=1, keepdims=True)
    np.testing.assert_allclose(vectors["embedding"], vectors["logits"] / lengths, rtol=1e-5)
    assert set(jax.tree.leaves(jax.tree.map(jnp.shape, aux.model_state))) == {5}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mining": "semihard"}, "did you mean 'semi_hard'"),
        ({"distance": "cosin"}, "did you mean 'cosine'"),
        ({"average": "al"}, "did you mean 'all'"),
        ({"margin": -0.1}, "margin=-0.1"),
    ],
)
def test_what_cannot_work_is_named(fields, message):
    with pytest.raises(UserError, match=message):
        Triplet(model=Flat(), **fields)
