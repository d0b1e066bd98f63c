"""Evaluators in a run: what they are given, when they run, and what they refuse."""

import jax
import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.classical.baselines import nearest_neighbor
from cnnlab.errors import UserError
from cnnlab.evaluators import EVALUATORS
from cnnlab.training import representation_eval

ENTRIES = dict(
    knn={"every": 8, "k": 1, "endpoint": ("features", "embedding")},
    linear_probe={"splits": ("test",), "max_iterations": 20},
    collapse={"every": 4},
)


@pytest.fixture(scope="module")
def built():
    return small.build(small.config(representation__evaluators=cfg.evaluators(**ENTRIES)))


@pytest.fixture(scope="module")
def rows(built):
    return built.protocols.rows("trained", (built.state.params, built.state.model_state))


def test_a_row_for_every_evaluator_split_and_endpoint(rows):
    found = {(row.protocol, row.split, row.endpoint) for row in rows}
    assert found == {
        *(("knn", s, e) for s in ("test", "validation") for e in ("features", "embedding")),
        *(("collapse", s, "features") for s in ("test", "validation")),
        ("linear_probe", "test", "features"),
    }
    assert all(row.encoder == "trained" and row.setting for row in rows)


def test_each_row_is_printed_with_its_seconds_but_not_during_training(built, monkeypatch):
    said = []
    monkeypatch.setattr(representation_eval, "say_result", lambda what, *_: said.append(what))
    variables = (built.state.params, built.state.model_state)
    built.protocols.rows("trained", variables, splits=("validation",))
    assert sorted(said) == [
        "collapse on 'validation' of trained, features",
        "knn on 'validation' of trained, embedding",
        "knn on 'validation' of trained, features",
    ]
    assert built.protocols.scalars(variables, 8)
    assert len(said) == 3


def test_raw_inputs_have_the_accuracy_of_the_baseline_on_pixels(built):
    entries = {"knn": {**built.config.representation.evaluators.knn.to_dict(), "k": 1}}
    variables = (built.state.params, built.state.model_state)
    (row,) = built.protocols.rows("pixels", variables, entries, ("test",), raw=True)
    sources = [built.train.source, built.evaluations["test"].source]
    train, test = (
        [np.array([s[i][key].reshape(-1) for i in range(len(s))]) for key in ("image", "label")]
        for s in sources
    )
    expected = nearest_neighbor(train[0] / 255, train[1][:, 0], test[0] / 255) == test[1][:, 0]
    assert row.values["accuracy_1"] == pytest.approx(expected.mean())


def test_embeddings_are_those_of_the_model_in_the_order_of_the_split(built):
    variables = (built.state.params, built.state.model_state)
    embedded = built.protocols.embed(variables, "test", "embedding")
    source = built.evaluations["test"].source
    images = np.stack([source[i]["image"] for i in range(len(source))]) / np.float32(255)
    output, _ = built.experiment.model.apply({"params": built.state.params}, images)
    np.testing.assert_allclose(embedded.features, output, atol=1e-5)
    np.testing.assert_array_equal(
        embedded.label, [int(source[i]["label"]) for i in range(len(source))]
    )


def test_only_what_is_due_is_evaluated_and_only_on_the_splits_of_training(built):
    variables = (built.state.params, built.state.model_state)
    names = {step: set(built.protocols.scalars(variables, step)) for step in (3, 4, 8)}
    assert names[3] == set()
    assert names[4] == {
        f"validation/collapse_{n}" for n in ("embedding_std", "effective_rank", "collapsed")
    }
    several = {f"validation/knn_accuracy@{e}" for e in ("features", "embedding")}
    assert several <= names[8] - names[4]
    assert built.protocols.scalars(variables, 8, stop=lambda: True) is None


def test_learned_similarity_serves_the_embedding_alone(built, monkeypatch):
    seen = []
    score = EVALUATORS["collapse"]
    monkeypatch.setitem(
        EVALUATORS,
        "knn",
        lambda query, *, train, val, seed, similarity, **_: (
            seen.append(similarity)
            or score(query, train=train, val=val, seed=seed, similarity=None)
        ),
    )
    learned = object()
    monkeypatch.setattr(type(built.experiment), "similarity", lambda self, params: learned)
    entries = {"knn": built.config.representation.evaluators.knn.to_dict()}
    variables = (built.state.params, built.state.model_state)
    built.protocols.rows("", variables, entries, ("test",))
    assert seen == [None, learned]  # features, embedding
    built.protocols.rows("", variables, entries, ("test",), learned=False)
    assert seen[2:] == [None, None]


def test_unknown_endpoint_is_refused_with_the_nearest_before_training():
    with pytest.raises(UserError, match="did you mean 'features'"):
        small.build(
            small.config(representation__evaluators=cfg.evaluators(knn={"endpoint": "feature"}))
        )


def test_a_wrong_endpoint_names_its_evaluator_and_what_to_set():
    entries = cfg.evaluators(knn={}, few_shot={"endpoint": ("features", "c9")})
    with pytest.raises(
        UserError,
        match=r"few_shot: no endpoint 'c9'; there are: .*embedding.*; set "
        r"--config.representation.evaluators.few_shot.endpoint=, or --endpoint= behind",
    ):
        small.build(small.config(representation__evaluators=entries))
    with pytest.raises(UserError, match=r"embedding_view.endpoint: no endpoint 'c9'"):
        small.build(
            small.config(
                representation__embedding_view__split="test",
                representation__embedding_view__endpoint="c9",
            )
        )


def test_a_model_without_the_default_endpoint_is_evaluated_at_the_embedding(caplog):
    model = cfg.model("own_parts:Plain")
    entries = cfg.evaluators(knn={"k": 1}, collapse={"endpoint": "logits"})
    with caplog.at_level("INFO", logger="cnnlab"):
        built = small.build(small.config(model=model, representation__evaluators=entries))
    assert "knn: no endpoint 'features'; there are: embedding, logits; it evaluates" in caplog.text
    rows = built.protocols.rows("", (built.state.params, built.state.model_state), splits=("test",))
    assert {(row.protocol, row.endpoint) for row in rows} == {
        ("knn", "embedding"),
        ("collapse", "logits"),
    }


def test_random_variables_are_those_that_the_run_began_with(built):
    drawn = built.random_variables()
    same = jax.tree.map(np.array_equal, drawn["params"], built.state.params)
    assert all(jax.tree.leaves(same))


def test_a_split_that_overlaps_the_training_split_does_not_find_itself():
    """Splits of all kinds: a part, the whole, one beside it, and a part under another name."""
    entries = cfg.evaluators(knn={"k": 1}, linear_probe={"max_iterations": 5})
    splits = {"validation": "test", "part": "train[80%:]", "whole": "train", "other": "train[:50]"}
    run = small.build(
        small.config(
            representation__evaluators=entries,
            data__train__split="train[:90%]",
            data__eval__splits=splits,
            data__eval__sources={"other": "digits"},
        )
    )
    variables = (run.state.params, run.state.model_state)
    found = {
        (row.split, row.protocol): row for row in run.protocols.rows("pixels", variables, raw=True)
    }
    inside = {
        split: found[split, "knn"].setting.partition(", leave one out")[1:] for split in splits
    }
    assert inside == {
        "validation": ("", ""),
        "part": (", leave one out", ": 120 of 240 rows are in the bank"),
        "whole": (", leave one out", ": 1080 of 1200 rows are in the bank"),
        "other": (", leave one out", ""),
    }
    assert "120 rows of this split left out" in found["part", "linear_probe"].setting
    assert "NOT held out" in found["whole", "linear_probe"].setting
    source = run.evaluations["whole"].source
    images, labels = (
        np.array([source[i][key].reshape(-1) for i in range(1200)]) for key in ("image", "label")
    )
    right = []
    for row in range(1200):
        bank = np.delete(np.arange(1080), [row] if row < 1080 else [])
        near = ((images[bank].astype(int) - images[row]) ** 2).sum(axis=1).argmin()
        right.append(labels[bank[near], 0] == labels[row, 0])
    for split, rows in (("part", slice(960, None)), ("whole", slice(None))):
        assert found[split, "knn"].values["accuracy_1"] == pytest.approx(
            np.mean(right[rows]), abs=2e-3
        )


def test_examples_keep_their_identity_through_classes_and_skipped_files():
    run = small.build(
        small.config(
            representation__evaluators=cfg.evaluators(knn={"k": 1}),
            data__classes=(3, 5, 8),
            data__on_corrupt="skip",
            data__eval__splits={"validation": "train[:30%]"},
        )
    )
    variables = (run.state.params, run.state.model_state)
    (row,) = run.protocols.rows("", variables)
    assert row.setting.endswith("leave one out")
    assert row.values["accuracy_1"] < 1
