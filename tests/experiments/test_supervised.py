"""Supervised learning: the loss is the likelihood it claims, its metrics count what they say."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import experiments
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError
from cnnlab.metrics.classification import Confusion
from cnnlab.training.evaluation import Evaluation
from experiments import supervised
from experiments.supervised import dense_target

LOGITS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


class Fixed(nn.Module):
    """A model whose output is the input."""

    num_classes: int = 4

    def __call__(self, images, train=False):
        del train
        return images, {"logits": images}


def experiment(**entries):
    return experiments.Supervised(model=Fixed(), **entries)


def loss(batch, train=False, **entries):
    batch = {"image": jnp.asarray(LOGITS), **{k: jnp.asarray(v) for k, v in batch.items()}}
    return experiment(**entries).loss({}, {}, batch, jax.random.key(0), train=train, axis_name=None)


LABELS = np.array([0, 1, 2, 3, 3, 1], np.int32)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_softmax_loss_is_the_multinomial_log_likelihood():
    value, _ = loss({"label": LABELS})
    one_hot = np.eye(4)[LABELS]
    p = softmax(LOGITS.astype(np.float64))
    expected = -np.mean(
        [stats.multinomial(1, q).logpmf(t) for q, t in zip(p, one_hot, strict=True)]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_sigmoid_loss_is_the_bernoulli_log_likelihood():
    presence = np.random.default_rng(1).integers(0, 2, (6, 4)).astype(np.float32)
    value, _ = loss({"presence": presence}, objective="sigmoid", target="presence")
    p = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    expected = -np.mean(stats.bernoulli(p).logpmf(presence).sum(axis=1))
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_linear_loss_is_the_gaussian_log_likelihood_up_to_a_constant():
    target = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    value, _ = loss({"box": target}, objective="linear", target="box")
    # With variance k / 2 the factor of the squared error is one; see losses/regression.py.
    gaussian = stats.norm(LOGITS.astype(np.float64), np.sqrt(2))
    constant = 4 * np.log(np.sqrt(2) * np.sqrt(2 * np.pi))
    expected = -np.mean(gaussian.logpdf(target).sum(axis=1)) - constant
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_metrics_count_only_what_the_mask_lets_through():
    mask = np.array([True, True, False, True, False, True])
    value, aux = loss({"label": LABELS, "valid": mask})
    p = softmax(LOGITS.astype(np.float64))[np.arange(6), LABELS]
    np.testing.assert_allclose(value, -np.log(p)[mask].mean(), rtol=1e-6)
    right = LOGITS.argmax(axis=1) == LABELS
    assert aux.metrics["accuracy"].compute() == pytest.approx(right[mask].mean())
    assert aux.metrics["confusion"].compute().sum() == mask.sum()
    outputs = experiment().predict(aux.output, {"label": LABELS})
    np.testing.assert_array_equal(outputs["label"], LABELS)
    np.testing.assert_array_equal(outputs["logits"], LOGITS)


def test_top5_is_left_out_where_it_says_nothing():
    _, aux = loss({"label": LABELS})
    assert "top5" not in aux.metrics


def test_sigmoid_metrics_tell_labels_from_examples():
    presence = (LOGITS > 0).astype(np.float32)
    presence[0, 0] = 1 - presence[0, 0]
    _, aux = loss({"presence": presence}, objective="sigmoid", target="presence")
    assert aux.metrics["accuracy"].compute() == pytest.approx(23 / 24)
    assert aux.metrics["exact_match"].compute() == pytest.approx(5 / 6)


def test_linear_metric_is_the_mean_absolute_error():
    target = LOGITS + np.array([1.0, -1.0, 2.0, 0.0], np.float32)
    _, aux = loss({"box": target}, objective="linear", target="box")
    assert aux.metrics["absolute_error"].compute() == pytest.approx(1.0, rel=1e-5)


def test_label_smoothing_acts_in_training_only():
    plain, _ = loss({"label": LABELS})
    evaluated, _ = loss({"label": LABELS}, label_smoothing=0.2)
    trained, _ = loss({"label": LABELS}, label_smoothing=0.2, train=True)
    log_p = np.log(softmax(LOGITS.astype(np.float64)))
    target = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
    assert float(evaluated) == float(plain)
    np.testing.assert_allclose(trained, -(target * log_p).sum(axis=1).mean(), rtol=1e-6)


def test_mixed_labels_are_their_weighted_sum():
    batch = {
        "label": jnp.array([0, 1]),
        "label_mixed": jnp.array([2, 1]),
        "label_weight": jnp.array([0.75, 0.5]),
    }
    expected = [[0.75, 0, 0.25], [0, 1, 0]]
    np.testing.assert_allclose(dense_target(batch, "label", 3), expected)


def test_label_that_is_no_class_does_not_train_in_silence():
    assert np.isnan(dense_target({"label": jnp.array([0, 5])}, "label", 3)).tolist() == [
        [False] * 3,
        [True] * 3,
    ]


def test_target_of_another_size_is_explained():
    with pytest.raises(UserError, match=r"gives 4 outputs, 'box' has 3 numbers"):
        loss({"box": np.zeros((6, 3), np.float32)}, objective="linear", target="box")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (dict(objective="hinge"), "unknown experiment.objective 'hinge'"),
        (dict(label_smoothing=1.0), "label_smoothing=1.0"),
        (dict(label_smoothing=0.1, objective="sigmoid"), "needs objective='softmax'"),
    ],
)
def test_hyperparameters_are_checked(entries, message):
    with pytest.raises(UserError, match=message):
        experiment(**entries)


def test_more_classes_than_outputs_are_refused_and_fewer_are_not():
    def info(classes):
        names = tuple(map(str, range(classes)))
        return Info("x", "train", names, {"label": ((), "int32")})

    with pytest.raises(UserError, match=r"has 5 classes, the model 4 outputs"):
        experiment().check(info(5))
    experiment().check(info(4))
    experiment().check(info(0))


def test_unknown_experiment_and_keyword_are_suggested():
    with pytest.raises(UserError, match="did you mean 'supervised'"):
        experiments.create({"name": "supervise"}, {"name": "mlp"})
    with pytest.raises(UserError, match="did you mean 'objective'"):
        experiments.create({"name": "supervised", "objectiv": "softmax"}, {"name": "mlp"})


class WithAuxiliary(Fixed):
    """A model with two auxiliary classifiers in training: twice and three times the input."""

    def __call__(self, images, train=False):
        more = {"auxiliary1": 2 * images, "auxiliary2": 3 * images} if train else {}
        return images, {**more, "logits": images}


def test_auxiliary_classifiers_add_their_weighted_losses_in_training_alone():
    batch = {"image": jnp.asarray(LOGITS), "label": jnp.asarray(LABELS)}
    objective = experiments.Supervised(model=WithAuxiliary(), auxiliary_weight=0.25)

    def nll(logits):
        return -np.mean(np.log(softmax(logits.astype(np.float64))[np.arange(6), LABELS]))

    def run(train):
        return objective.loss({}, {}, batch, jax.random.key(0), train=train, axis_name=None)

    value, aux = run(train=True)
    expected = nll(2 * LOGITS) + nll(3 * LOGITS)
    np.testing.assert_allclose(value, nll(LOGITS) + 0.25 * expected, rtol=1e-6)
    # The loss that is recorded can be compared with the validation's.
    np.testing.assert_allclose(aux.metrics["loss"].compute(), nll(LOGITS), rtol=1e-6)
    np.testing.assert_allclose(aux.metrics["auxiliary_loss"].compute(), expected, rtol=1e-6)
    value, aux = run(train=False)
    np.testing.assert_allclose(value, nll(LOGITS), rtol=1e-6)
    assert "auxiliary_loss" not in aux.metrics


def test_negative_auxiliary_weight_is_refused():
    with pytest.raises(UserError, match=r"auxiliary_weight=-1"):
        experiment(auxiliary_weight=-1.0)


class Heard:
    """Sounds, of which there is nothing to draw."""

    keys = ("waveform", "label")
    info = Info("sounds", "test", tuple("abcd"))


def test_a_report_on_sound_has_its_accuracies_and_draws_no_example(tmp_path):
    metrics = {"confusion": Confusion.of(jnp.asarray(LOGITS), jnp.asarray(LABELS))}
    outputs = {"logits": LOGITS, "label": LABELS, "index": np.arange(6)}
    right = LOGITS.argmax(axis=1) == LABELS
    evaluation = Evaluation(metrics, outputs)
    experiment().draw(evaluation, Heard, tmp_path)
    found = experiment().report(evaluation, Heard)
    assert found["per_class_accuracy"] == {
        c: right[np.isin(LABELS, i)].mean() for i, c in enumerate("abcd")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["confusion_matrix.png"]


def test_outputs_without_a_class_are_reported_by_their_number(tmp_path):
    class Two(Heard):
        info = dataclasses.replace(Heard.info, class_names=("cat", "dog"))

    labels = LABELS % 2
    metrics = {"confusion": Confusion.of(jnp.asarray(LOGITS), jnp.asarray(labels))}
    outputs = {"logits": LOGITS, "label": labels, "index": np.arange(6)}
    evaluation = Evaluation(metrics, outputs)
    experiment().draw(evaluation, Two, tmp_path)
    found = experiment().report(evaluation, Two)
    right = LOGITS.argmax(axis=1) == labels
    assert found["per_class_accuracy"] == {
        "cat": right[labels == 0].mean(),
        "dog": right[labels == 1].mean(),
        "2": None,
        "3": None,
    }
    assert (tmp_path / "confusion_matrix.png").exists()


MAPS = np.random.default_rng(3).integers(0, 4, (3, 2, 5)).astype(np.int32)
SCORES = np.random.default_rng(4).normal(size=(3, 2, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("valid", [None, np.array([True, False, True])])
@pytest.mark.parametrize("ignore", [-1, 255])
def test_label_maps_count_every_place_but_padding_and_what_is_ignored(valid, ignore):
    labels = np.where(np.arange(5) == 2, 255, MAPS) if ignore == 255 else MAPS
    batch = {"image": jnp.asarray(SCORES), "label": jnp.asarray(labels)}
    if valid is not None:
        batch["valid"] = jnp.asarray(valid)
    objective = experiment(ignore_label=ignore)

    def value(scores):
        given = {**batch, "image": scores}
        return objective.loss({}, {}, given, jax.random.key(0), train=False, axis_name=None)

    (found, aux), gradient = jax.value_and_grad(value, has_aux=True)(batch["image"])
    kept = labels != 255
    if valid is not None:
        kept &= valid[:, None, None]
    p = softmax(SCORES.astype(np.float64))
    own = np.take_along_axis(p, np.where(labels < 4, labels, 0)[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(found, -np.log(own)[kept].mean(), rtol=1e-6)
    right = SCORES.argmax(axis=-1) == labels
    assert aux.metrics["accuracy"].compute() == pytest.approx(right[kept].mean())
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (labels[kept], SCORES.argmax(axis=-1)[kept]), 1)
    np.testing.assert_array_equal(aux.metrics["confusion"].compute(), counts)
    assert np.all(np.isfinite(gradient)) and not np.any(np.asarray(gradient)[~kept])
    # Logits of every place are not gathered.
    assert objective.predict(aux.output, batch) == {}


def test_255_that_is_not_ignored_does_not_train_in_silence():
    labels = np.where(np.arange(5) == 2, 255, MAPS)
    batch = {"image": jnp.asarray(SCORES), "label": jnp.asarray(labels)}
    value, _ = experiment().loss({}, {}, batch, jax.random.key(0), train=True, axis_name=None)
    assert np.isnan(value)


def test_maps_of_real_numbers_are_compared_place_by_place():
    depth = SCORES[..., 0] + 1.5
    batch = {"image": jnp.asarray(SCORES[..., :1]), "depth": jnp.asarray(depth)}
    objective = experiment(objective="linear", target="depth")
    value, aux = objective.loss({}, {}, batch, jax.random.key(0), train=True, axis_name=None)
    np.testing.assert_allclose(value, 1.5**2, rtol=1e-5)
    assert aux.metrics["absolute_error"].compute() == pytest.approx(1.5, rel=1e-5)


def test_labels_of_another_shape_than_the_output_are_explained():
    with pytest.raises(UserError, match=r"'label' of shape \(2,\) does not fit"):
        loss({"label": np.zeros((6, 2), np.int32)})
    with pytest.raises(UserError, match=r"'label' of shape \(2, 5\) does not fit"):
        loss({"label": np.zeros((6, 2, 5), np.int32)})


class Tokens(nn.Module):
    """A model whose first place is a class token, and that says so."""

    def __call__(self, images, train=False):
        del train
        return images[:, 0], {"tokens": images, "broken": jnp.zeros((2, 3, 4, 5, 6), int)}

    def pool(self, x, name):
        """Return the class token."""
        return x[:, 0] if name == "tokens" else x


def test_a_model_says_how_its_endpoints_are_pooled_and_only_those_asked_for_are():
    tokens = jnp.asarray(np.random.default_rng(5).normal(size=(2, 7, 3)), jnp.float32)
    objective = experiments.Supervised(model=Tokens())
    found = objective.embed({}, {}, {"image": tokens}, ("tokens",))
    assert set(found) == {"tokens"}
    np.testing.assert_array_equal(found["tokens"], tokens[:, 0])
    plain = experiment().embed({}, {}, {"image": tokens}, ("logits",))
    np.testing.assert_allclose(plain["logits"], tokens.mean(axis=1), rtol=1e-6)
    with pytest.raises(UserError, match=r"no endpoint 'token'.*did you mean 'tokens'"):
        objective.embed({}, {}, {"image": tokens}, ("token",))


def test_what_the_model_reads_is_declared_and_no_clip_is_taken_for_a_group():
    clip, label = np.zeros((2, 4, 8, 8, 3)), np.zeros(2)
    assert experiment().inputs({"video": clip, "label": label}, train=True).shape == clip.shape
    assert experiment().inputs({"image": clip}, train=True).shape == clip.shape
    several = {"image": label, "text": clip, "waveform": label}
    both = experiment(input_keys=("image", "text")).inputs(several)
    assert set(both) == {"image", "text"}
    pairs = experiments.Siamese(model=Fixed()).inputs({"image": clip[:, :2]}, train=True)
    assert pairs.shape == (4, 8, 8, 3)
    with pytest.raises(UserError, match="the batch has image, waveform of"):
        experiment().inputs(several)
    with pytest.raises(UserError, match=r"has no 'txt'.*did you mean 'text'"):
        experiment(input_keys=("txt",)).inputs(several)


def test_many_classes_have_accuracies_and_no_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(supervised, "CONFUSION_CLASSES", 3)
    _, aux = loss({"label": LABELS})
    assert set(aux.metrics) == {"loss", "accuracy"}
    outputs = {"logits": LOGITS, "label": LABELS, "index": np.arange(6)}
    evaluation = Evaluation(aux.metrics, outputs)
    experiment().draw(evaluation, Heard, tmp_path)
    assert experiment().report(evaluation, Heard) == {}
    assert list(tmp_path.iterdir()) == []
