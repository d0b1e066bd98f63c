"""Cross-entropies: hand numbers, the likelihoods they claim to be, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from cnnlab.errors import UserError
from cnnlab.losses import classification

softmax_cross_entropy = jax.jit(
    classification.softmax_cross_entropy, static_argnames="label_smoothing"
)
sigmoid_cross_entropy = jax.jit(classification.sigmoid_cross_entropy)
map_criterion = jax.jit(classification.map_criterion, static_argnames="rubbish")

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(RNG.normal(size=(6, 4)) * 3, jnp.float32)
LABELS = jnp.array([0, 3, 2, 1, 3, 3])
ONE_HOT = jnp.eye(4)[LABELS]
MULTI_HOT = jnp.asarray(RNG.integers(0, 2, size=(6, 4)))


def test_softmax_hand_number_and_gradient():
    loss, gradient = jax.value_and_grad(lambda z: softmax_cross_entropy(z, jnp.array(0)))(
        jnp.array([2.0, 1.0, 0.0])
    )
    assert loss == pytest.approx(0.407606, abs=1e-6)
    np.testing.assert_allclose(gradient, [-0.334759, 0.244728, 0.090031], atol=1e-6)


def test_sigmoid_hand_number_and_gradient():
    loss, gradient = jax.value_and_grad(lambda z: sigmoid_cross_entropy(z, jnp.array([1])))(
        jnp.array([0.5])
    )
    assert loss == pytest.approx(0.474077, abs=1e-6)
    assert gradient[0] == pytest.approx(1 / (1 + np.exp(-0.5)) - 1, abs=1e-6)


def test_softmax_cross_entropy_is_the_multinomial_negative_log_likelihood():
    p = special.softmax(np.asarray(LOGITS, np.float64), axis=-1)
    p /= p.sum(axis=-1, keepdims=True)
    nll = -stats.multinomial.logpmf(ONE_HOT, n=1, p=p)
    np.testing.assert_allclose(softmax_cross_entropy(LOGITS, LABELS), nll, rtol=1e-5, atol=1e-6)


def test_sigmoid_cross_entropy_is_the_bernoulli_negative_log_likelihood():
    p = special.expit(np.asarray(LOGITS, np.float64))
    nll = -stats.bernoulli.logpmf(MULTI_HOT, p).sum(axis=-1)
    np.testing.assert_allclose(sigmoid_cross_entropy(LOGITS, MULTI_HOT), nll, rtol=1e-5)


def test_gradients_are_probability_minus_target():
    softmax_gradient = jax.grad(lambda z: softmax_cross_entropy(z, ONE_HOT).sum())
    np.testing.assert_allclose(
        softmax_gradient(LOGITS), special.softmax(LOGITS, axis=-1) - ONE_HOT, atol=1e-6
    )
    sigmoid_gradient = jax.grad(lambda z: sigmoid_cross_entropy(z, MULTI_HOT).sum())
    np.testing.assert_allclose(
        sigmoid_gradient(LOGITS), special.expit(LOGITS) - MULTI_HOT, atol=1e-6
    )


def test_labels_and_one_hot_targets_agree_in_value_and_gradient():
    for smoothing in (0.0, 0.1):
        (a, da), (b, db) = (
            jax.value_and_grad(
                lambda z, t=target, e=smoothing: softmax_cross_entropy(
                    z, t, label_smoothing=e
                ).sum()
            )(LOGITS)
            for target in (LABELS, ONE_HOT)
        )
        np.testing.assert_allclose(a, b, rtol=1e-6)
        np.testing.assert_allclose(da, db, atol=1e-6)


def test_label_smoothing_is_cross_entropy_with_a_smoothed_target():
    smoothed = 0.9 * ONE_HOT + 0.1 / 4
    log_p = special.log_softmax(np.asarray(LOGITS, np.float64), axis=-1)
    loss = softmax_cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    np.testing.assert_allclose(loss, -(smoothed * log_p).sum(axis=-1), rtol=1e-5)


def test_mixed_targets_give_the_mixed_loss():
    first, second = softmax_cross_entropy(LOGITS, LABELS), softmax_cross_entropy(LOGITS, 3 - LABELS)
    mixed = softmax_cross_entropy(LOGITS, 0.3 * ONE_HOT + 0.7 * ONE_HOT[:, ::-1])
    np.testing.assert_allclose(mixed, 0.3 * first + 0.7 * second, rtol=1e-5)


def test_extreme_logits_keep_value_and_gradient_finite():
    z = jnp.array([[1e4, -1e4, 0.0]])
    for loss, target in (
        (softmax_cross_entropy, jnp.array([1])),
        (sigmoid_cross_entropy, jnp.array([[0, 1, 1]])),
    ):
        value, gradient = jax.value_and_grad(lambda z, f=loss, t=target: f(z, t).sum())(z)
        assert value == pytest.approx(2e4, rel=1e-4)
        assert np.all(np.isfinite(gradient))


def test_a_sure_and_right_answer_keeps_its_small_loss():
    loss = sigmoid_cross_entropy(jnp.array([30.0]), jnp.array([1]))
    assert loss == pytest.approx(np.exp(-30), rel=1e-5)


def test_a_class_ruled_out_by_minus_infinity_is_no_part_of_the_loss():
    z = jnp.array([[0.0, 0.0, -jnp.inf]])
    for target in (jnp.array([0]), jnp.array([[1.0, 0.0, 0.0]])):
        value, gradient = jax.value_and_grad(lambda z, t=target: softmax_cross_entropy(z, t).sum())(
            z
        )
        assert value == pytest.approx(np.log(2))
        np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_gives_nan(label):
    loss = softmax_cross_entropy(LOGITS[:2], jnp.array([label, 1]))
    assert np.isnan(loss[0]) and np.isfinite(loss[1])


def test_bfloat16_logits_are_computed_in_float32():
    z = jnp.asarray(LOGITS, jnp.bfloat16)
    loss = softmax_cross_entropy(z, LABELS)
    assert loss.dtype == jnp.float32
    np.testing.assert_array_equal(loss, softmax_cross_entropy(z.astype(jnp.float32), LABELS))
    assert sigmoid_cross_entropy(z, MULTI_HOT).dtype == jnp.float32


def test_further_axes_are_examples_too():
    z = LOGITS.reshape(2, 3, 4)
    loss = softmax_cross_entropy(z, LABELS.reshape(2, 3))
    # Two programs: a few roundings apart, where one has vectors and the other their remainder.
    expected = softmax_cross_entropy(LOGITS, LABELS)
    np.testing.assert_allclose(loss.reshape(-1), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_out_of_range_is_named(smoothing):
    with pytest.raises(UserError, match=f"label_smoothing={smoothing}"):
        softmax_cross_entropy(LOGITS, LABELS, label_smoothing=smoothing)


def test_map_criterion_is_equation_9():
    penalties = -np.asarray(LOGITS, np.float64)
    for j in (0.0, 1.0, 5.0):
        competition = np.log(np.exp(-j) + np.exp(-penalties).sum(axis=-1))
        expected = penalties[np.arange(6), LABELS] + competition
        for target in (LABELS, ONE_HOT):
            loss = map_criterion(LOGITS, target, rubbish=j)
            np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)


def test_map_criterion_without_rubbish_is_the_softmax_cross_entropy():
    far = map_criterion(LOGITS, LABELS, rubbish=1e4)
    np.testing.assert_allclose(far, softmax_cross_entropy(LOGITS, LABELS), rtol=1e-6)


def test_rubbish_leaves_penalties_that_are_large_already_alone():
    # As far as the lengths of codes go: the right class at 40, a wrong one at 20.
    z = jnp.array([-40.0, -20.0])
    with_rubbish, without = (
        jax.grad(lambda z, j=j: map_criterion(z, jnp.array(0), rubbish=j))(z) for j in (1.0, 1e4)
    )
    np.testing.assert_allclose(with_rubbish, [-1, 0], atol=1e-6)
    np.testing.assert_allclose(without, [-1, 1], atol=1e-6)


def test_rubbish_softmax_leaves_to_rubbish_what_is_missing_to_one():
    p = classification.rubbish_softmax(jnp.array([-1.0, -2.0]), rubbish=0.5)
    weights = np.exp([-1, -2])
    np.testing.assert_allclose(p, weights / (weights.sum() + np.exp(-0.5)), rtol=1e-6)


@pytest.mark.parametrize("label", [-1, 4, 5])
def test_a_label_that_is_no_class_gives_nan_by_the_map_criterion_too(label):
    loss = map_criterion(LOGITS[:2], jnp.array([label, 1]))
    assert np.isnan(loss[0]) and np.isfinite(loss[1])
