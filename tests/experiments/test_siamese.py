"""Siamese networks: loss, accuracy and distances by loops; the similarity is the loss's logit."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.koch import Koch
from cnnlab.models.mlp import MLP
from experiments import siamese
from experiments.siamese import Siamese

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(5, 2, 2, 2, 1)).astype(np.float32)
LABELS = np.array([[0, 0], [0, 1], [3, 3], [2, 1], [1, 1]], np.int32)
BATCH = {"image": jnp.asarray(IMAGES), "label": jnp.asarray(LABELS)}
SINGLE = {name: x[:, 0] for name, x in BATCH.items()}
KEY = jax.random.key(0)
OBJECTIVES = ["verification", "contrastive"]


class Flat(nn.Module):
    """A model whose output are the pixels."""

    def __call__(self, images, train=False):
        del train
        output = images.reshape(len(images), -1)
        return output, {"logits": output}


@functools.cache
def compiled(**fields):
    """Return (params, batch) -> ((loss, auxiliaries), gradient by the images), of the pixels."""
    experiment = Siamese(model=Flat(), **fields)

    def loss(image, params, batch):
        batch = {**batch, "image": image}
        return experiment.loss(params, {}, batch, KEY, train=True, axis_name=None)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def by_hand(params, batch=BATCH, **fields):
    """Return loss and auxiliaries of the pixels themselves."""
    return compiled(**fields)(batch["image"], params, batch)[0]


def head(units, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "kernel": jnp.asarray(rng.normal(size=(units, 1)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=(1,)), jnp.float32),
    }


def logit(a, b, head):
    total = float(head["bias"][0])
    for j in range(len(a)):
        total += float(head["kernel"][j, 0]) * abs(float(a[j]) - float(b[j]))
    return total


def test_verification_is_the_cross_entropy_of_a_weighted_l1_distance():
    own = head(4)
    value, aux = by_hand({"verification": own}, objective="verification")
    losses, right = [], []
    for (a, b), (first, second) in zip(IMAGES.reshape(5, 2, 4), LABELS, strict=True):
        p = 1 / (1 + np.exp(-logit(a, b, own)))
        losses.append(-np.log(p if first == second else 1 - p))
        right.append((p > 0.5) == (first == second))
    np.testing.assert_allclose(value, np.mean(losses), rtol=1e-5)
    assert aux.metrics["loss"].compute() == pytest.approx(np.mean(losses), rel=1e-5)
    assert aux.metrics["accuracy"].compute() == pytest.approx(np.mean(right))


def test_contrastive_pulls_pairs_together_and_pushes_others_out_to_the_margin():
    margin = 4.0
    params = {"verification": head(4)}
    value, aux = by_hand(params, objective="contrastive", margin=margin)
    losses, right = [], []
    for (a, b), (first, second) in zip(IMAGES.reshape(5, 2, 4), LABELS, strict=True):
        distance = np.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
        same = first == second
        losses.append(0.5 * (distance if same else max(margin - distance, 0)) ** 2)
        right.append((distance < margin / 2) == same)
    np.testing.assert_allclose(value, np.mean(losses), rtol=1e-5)
    assert aux.metrics["accuracy"].compute() == pytest.approx(np.mean(right))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_distances_are_averaged_over_pairs_of_one_class_and_of_two(objective):
    _, aux = by_hand({"verification": head(4)}, objective=objective)
    apart = IMAGES.reshape(5, 2, 4)
    distances = np.linalg.norm(apart[:, 0] - apart[:, 1], axis=1)
    same = LABELS[:, 0] == LABELS[:, 1]
    assert aux.metrics["same_distance"].compute() == pytest.approx(distances[same].mean())
    assert aux.metrics["different_distance"].compute() == pytest.approx(distances[~same].mean())


def test_masked_pairs_count_nowhere():
    mask = np.array([True, True, True, False, False])
    broken = np.where(mask[:, None, None, None, None], IMAGES, 7.0)
    params, fields = {"verification": head(4)}, {"objective": "contrastive", "margin": 4.0}
    value, aux = by_hand(params, {**BATCH, "image": broken, "valid": mask}, **fields)
    changed, _ = by_hand(params, {**BATCH, "image": broken}, **fields)
    distances = np.linalg.norm(
        IMAGES.reshape(5, 2, 4)[:3, 0] - IMAGES.reshape(5, 2, 4)[:3, 1], axis=1
    )
    losses = 0.5 * np.array([distances[0], max(4 - distances[1], 0), distances[2]]) ** 2
    np.testing.assert_allclose(value, losses.mean(), rtol=1e-5)
    assert abs(float(changed) - losses.mean()) > 0.01
    assert aux.metrics["loss"].compute() == pytest.approx(losses.mean())
    assert aux.metrics["same_distance"].compute() == pytest.approx(distances[[0, 2]].mean())
    assert aux.metrics["different_distance"].compute() == pytest.approx(distances[1])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("block", [1, 40])
def test_similarity_is_the_logit_or_minus_the_distance_of_every_pair(objective, block, monkeypatch):
    monkeypatch.setattr(siamese, "BLOCK", block)
    own = head(4)
    a, b = RNG.normal(size=(7, 4)).astype(np.float32), RNG.normal(size=(3, 4)).astype(np.float32)
    expected = [
        [logit(x, y, own) if objective == "verification" else -np.linalg.norm(x - y) for y in b]
        for x in a
    ]
    similarity = Siamese(model=Flat(), objective=objective).similarity({"verification": own})
    np.testing.assert_allclose(similarity(a, b), expected, rtol=1e-5, atol=1e-5)


@functools.cache
def trained(objective):
    """Return the variables of a small network with BatchNorm, its loss, gradients, new state."""
    model = MLP(hidden=(4,), num_classes=3, activation="tanh", norm="batch")
    experiment = Siamese(model=model, objective=objective, margin=5.0)

    def run(key):
        variables = experiment.init(key, SINGLE)
        state = {"batch_stats": variables["batch_stats"]}

        def loss(params):
            return experiment.loss(params, state, BATCH, key, train=True, axis_name=None)

        (value, aux), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        (output, _), new_state = model.apply(
            {"params": variables["params"], **state},
            BATCH["image"].reshape(10, 2, 2, 1),
            train=True,
            mutable=["batch_stats"],
        )
        return variables, value, aux, gradients, (output, new_state)

    return jax.jit(run)(KEY)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_parameter_receives_a_gradient(objective):
    variables, _, _, gradients, _ = trained(objective)
    assert ("verification" in variables["params"]) == (objective == "verification")
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        name = jax.tree_util.keystr(path)
        assert np.all(np.isfinite(gradient)), name
        # What is added to both outputs of a pair changes no difference between them.
        if name != "['logits']['bias']":
            assert np.any(gradient != 0), name
        else:
            np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_both_towers_are_one_network_normalized_by_all_images(objective):
    variables, value, aux, _, (output, state) = trained(objective)
    # One call on the 10 images, pairs next to each other, gives the same towers and statistics.
    batch = {**BATCH, "image": output.reshape(5, 2, 1, 1, 3)}
    own = {"verification": variables["params"].get("verification", head(3))}
    expected, _ = by_hand(own, batch, objective=objective, margin=5.0)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        aux.model_state,
        dict(state),
    )


def test_which_image_comes_first_does_not_matter():
    params = {"verification": head(4)}
    swapped = {"image": BATCH["image"][:, ::-1], "label": BATCH["label"][:, ::-1]}
    for objective in OBJECTIVES:
        value, _ = by_hand(params, objective=objective)
        other, _ = by_hand(params, swapped, objective=objective)
        np.testing.assert_allclose(value, other, rtol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_point_for_all_has_a_finite_gradient_and_no_spread(objective):
    params, image = {"verification": head(4)}, jnp.ones((5, 2, 2, 2, 1))
    (value, aux), gradient = compiled(objective=objective)(image, params, BATCH)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))
    assert aux.metrics["embedding_std"].compute() == pytest.approx(0, abs=1e-6)
    if objective == "contrastive":  # three pairs of one class at distance 0, two short of 1
        assert float(value) == pytest.approx(0.5 * 2 / 5)


@pytest.mark.parametrize("labels", [[[1, 1]] * 5, [[0, 1]] * 5])
def test_pairs_all_of_one_kind_leave_the_other_without_a_distance(labels):
    batch = {**BATCH, "label": jnp.array(labels)}
    value, aux = by_hand({"verification": head(4)}, batch, objective="verification")
    same = labels[0][0] == labels[0][1]
    assert np.isfinite(value)
    assert np.isnan(aux.metrics["different_distance" if same else "same_distance"].compute())
    assert aux.metrics["same_distance" if same else "different_distance"].compute() > 0


def test_single_images_are_left_to_the_evaluators():
    experiment = Siamese(model=Flat())
    value, aux = experiment.loss({}, {"a": 1}, SINGLE, KEY, train=False, axis_name=None)
    assert float(value) == 0 and aux == ({"a": 1}, {}, None)


def test_the_papers_network_has_38951745_parameters():
    batch = {"image": np.zeros((1, 105, 105, 1), np.float32)}
    init = functools.partial(Siamese(model=Koch()).init, batch=batch)
    shapes = jax.eval_shape(init, KEY)["params"]
    assert sum(x.size for x in jax.tree.leaves(shapes["verification"])) == 4097
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 38_951_745


def test_the_head_starts_as_the_papers_dense_layers():
    experiment = Siamese(model=MLP(hidden=(), num_classes=2000))
    own = jax.jit(experiment.init)(KEY, SINGLE)["params"]["verification"]
    assert own["kernel"].shape == (2000, 1)
    assert float(jnp.std(own["kernel"])) == pytest.approx(0.2, rel=0.05)
    assert float(own["bias"][0]) == pytest.approx(0.5, abs=0.05)


def test_a_negative_head_takes_what_is_farther_apart_for_less_alike():
    experiment = Siamese(model=MLP(hidden=(), num_classes=2000), head="negative")
    params = jax.jit(experiment.init)(KEY, SINGLE)["params"]
    own = params["verification"]
    assert np.all(own["kernel"] <= 0)
    assert float(jnp.sqrt(jnp.mean(own["kernel"] ** 2))) == pytest.approx(0.1, rel=0.05)
    assert float(own["bias"][0]) == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": "verify"}, "verification"),
        ({"margin": 0.0}, "needs to be above 0"),
        ({"head": "kock"}, "did you mean 'koch'"),
    ],
)
def test_what_cannot_work_is_named(fields, message):
    with pytest.raises(UserError, match=message):
        Siamese(model=Flat(), **fields)
