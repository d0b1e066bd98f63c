"""Top-k and confusion against numpy, over ties, NaN, padding and shards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from cnnlab.errors import UserError
from cnnlab.metrics import classification

top_k = jax.jit(classification.top_k, static_argnums=2)
confusion_of = jax.jit(classification.Confusion.of)

RNG = np.random.default_rng(0)
# Rounded, so that many logits are equal; + 0.0 because lax.top_k puts -0.0 after 0.0.
LOGITS = jnp.asarray(RNG.normal(size=(50, 6)).round() + 0.0, jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 6, size=50))


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_top_k_is_what_a_stable_sort_says(k):
    ranking = np.argsort(-np.asarray(LOGITS), axis=-1, kind="stable")[:, :k]
    expected = (ranking == np.asarray(LABELS)[:, None]).any(axis=-1).mean()
    assert top_k(LOGITS, LABELS, k).compute() == expected
    _, ours = jax.lax.top_k(LOGITS, k)
    assert top_k(LOGITS, LABELS, k).compute() == np.mean(
        np.asarray((ours == LABELS[:, None]).any(axis=-1))
    )


def test_a_collapsed_network_scores_as_chance():
    labels = jnp.arange(6)
    assert top_k(jnp.zeros((6, 6)), labels, 1).compute() == 1 / 6
    assert top_k(jnp.zeros((6, 6)), labels, 5).compute() == 5 / 6


def test_a_nan_among_the_logits_is_never_right():
    logits = jnp.array([[jnp.nan, 0.0], [jnp.nan, 0.0], [jnp.nan, jnp.nan], [1.0, 0.0]])
    labels = jnp.array([0, 1, 0, 0])
    assert top_k(logits, labels, 1).compute() == 0.25
    assert top_k(logits, labels, 2).compute() == 0.25
    confusion = confusion_of(logits, labels)
    np.testing.assert_array_equal(confusion.compute(), [[1, 0], [0, 0]])
    assert confusion.accuracy() == 0.25
    np.testing.assert_allclose(confusion.per_class_accuracy(), [1 / 3, 0])


def test_infinite_logits_have_their_rank():
    logits = jnp.array([[jnp.inf, 0.0, -jnp.inf]] * 3)
    assert top_k(logits, jnp.arange(3), 1).compute() == pytest.approx(1 / 3)
    assert top_k(logits, jnp.arange(3), 2).compute() == pytest.approx(2 / 3)


def test_labels_that_are_no_class_are_wrong_and_have_no_row():
    labels = jnp.array([-1, 6, 0])
    logits = jnp.zeros((3, 6))
    assert top_k(logits, labels, 6).compute() == pytest.approx(1 / 3)
    assert confusion_of(logits, labels).compute().sum() == 1


def test_confusion_has_true_classes_in_rows():
    confusion = confusion_of(LOGITS, LABELS)
    expected = confusion_matrix(LABELS, LOGITS.argmax(axis=-1), labels=range(6))
    np.testing.assert_array_equal(confusion.compute(), expected)
    assert confusion.counts.dtype == jnp.int32
    assert confusion.accuracy() == top_k(LOGITS, LABELS, 1).compute()
    np.testing.assert_allclose(
        confusion.per_class_accuracy(), np.diag(expected) / expected.sum(axis=1)
    )


def test_a_class_without_examples_has_no_accuracy():
    per_class = confusion_of(jnp.eye(3)[:2], jnp.array([0, 2])).per_class_accuracy()
    np.testing.assert_array_equal(per_class, [1, np.nan, 0])
    nothing = confusion_of(jnp.eye(3), jnp.arange(3), jnp.zeros(3, bool))
    assert np.isnan(nothing.accuracy())


def compute_all(logits, labels, mask):
    return {
        "top1": top_k(logits, labels, 1, mask),
        "top5": top_k(logits, labels, 5, mask),
        "confusion": confusion_of(logits, labels, mask),
    }


def test_padded_batches_on_eight_devices_give_the_whole_sets_numbers():
    whole = jax.tree.map(np.asarray, compute_all(LOGITS, LABELS, None))
    logits = np.concatenate([LOGITS, np.full((14, 6), np.nan, np.float32)])
    labels, mask = np.append(LABELS, np.zeros(14, int)), np.arange(64) < 50
    step = jax.pmap(
        lambda *batch: jax.lax.psum(compute_all(*batch), "batch"), "batch", out_axes=None
    )
    total = None
    for rows in (slice(0, 32), slice(32, 64)):
        part = step(*(x[rows].reshape(8, 4, *x.shape[1:]) for x in (logits, labels, mask)))
        total = part if total is None else jax.tree.map(jnp.add, total, part)
    for name, metric in whole.items():
        np.testing.assert_array_equal(total[name].compute(), metric.compute())
    assert total["confusion"].compute().sum() == 50


def test_k_below_one_is_named():
    with pytest.raises(UserError, match="k=0"):
        top_k(LOGITS, LABELS, 0)
