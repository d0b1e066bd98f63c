"""What the end of a run cannot compute is refused before its first step; what it can is not."""

import importlib.util

import numpy as np
import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import dry_evaluation
from cnnlab.training.loop import Loop


@pytest.fixture
def one_each(tmp_path):
    """Return a data set whose test split has one image of each class."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, labels in {
        "train": np.arange(32) % 4,
        "validation": np.arange(16) % 4,
        "test": np.arange(4),
    }.items():
        arrays[f"{split}_image"] = rng.integers(0, 255, (len(labels), 8, 8, 1)).astype(np.uint8)
        arrays[f"{split}_label"] = labels
    np.savez(tmp_path / "one.npz", **arrays)
    return f"npz:{tmp_path / 'one.npz'}"


def evaluated(**entries):
    return dict(representation__evaluators=cfg.evaluators(**entries))


# An objective that reads images alone.
WITHOUT_LABELS = dict(
    experiment=cfg.experiment("cpc", steps=2),
    model=cfg.model("cpc_small", patch=4, stride=2, width=0.03125, jitter_crop=0),
    data__keys=("image",),
    checkpoint__best="",
)
REFUSED = {
    "few_shot cannot draw 20 ways: at most 10 classes": evaluated(few_shot={}),
    "few_shot cannot draw 11 ways": evaluated(few_shot={"ways": 11}),
    "400 examples": evaluated(few_shot={"ways": 5, "shots": 399}),
    "no key 'alphabet'": evaluated(few_shot={"ways": 5, "within": "alphabet"}),
    "no key 'writer'": evaluated(knn={"key": "writer"}),
    "did you mean 'cosine'": evaluated(knn={"distance": "cosin"}),
    "did you mean 'euclidean'": evaluated(retrieval={"distance": "euclidian"}),
    "name the list": evaluated(listed_pairs={}),
    "endpoint names none": evaluated(knn={"endpoint": ()}),
    "representation.baselines=None: needs names": dict(representation__baselines=None),
    "unknown baseline ''; there are: majority": dict(representation__baselines=("",)),
    "unknown baseline None": dict(representation__baselines=(None,)),
    "did you mean 'majority'": dict(representation__baselines=("majorty",)),
    "baselines predict one class an image, and 'label'": dict(
        representation__baselines=("majority",), **WITHOUT_LABELS
    ),
    "evaluate.batch_size=0": dict(evaluate__batch_size=0),
    "data.grain.threads=0": dict(data__grain__threads=0),
    "t-SNE needs four points": dict(
        representation__embedding_view={
            **cfg.base().representation.embedding_view,
            "split": "test",
            "view": "tsne",
            "limit": 3,
        }
    ),
    "embedding_view.limit=0": dict(
        representation__embedding_view__split="test", representation__embedding_view__limit=0
    ),
    "colors points by class": dict(representation__embedding_view__split="test", **WITHOUT_LABELS),
    "did you mean 'validation/accuracy'": dict(checkpoint__best="validation/acc"),
    "'validation/ema/accuracy' is not evaluated": dict(checkpoint__best="validation/ema/accuracy"),
    "'validation/knn_accuracy' is not evaluated": dict(
        checkpoint__best="validation/knn_accuracy", **evaluated(knn={})
    ),
    "never evaluated: it comes every 16 steps, and the run has 12": dict(
        checkpoint__best="validation/knn_accuracy_1", **evaluated(knn={"every": 16})
    ),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.sample(12)
def test_what_the_end_cannot_compute_is_refused_at_the_start(message):
    with pytest.raises(UserError, match=message):
        small.build(small.config(**REFUSED[message]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (evaluated(retrieval={}), "class with two examples or more"),
        (evaluated(verification={"splits": ("test",)}), "two examples of one class"),
        (evaluated(few_shot={"ways": 4, "splits": ("test",)}), "2 examples"),
    ],
)
def test_split_with_one_image_a_class_is_refused_where_pairs_are_needed(one_each, changes, message):
    settings = dict(data__source=one_each, evaluate__batch_size=4, **changes)
    with pytest.raises(UserError, match=message):
        small.build(small.config(**settings))


def test_an_evaluator_under_a_name_of_its_own_is_given_as_many_rows():
    # 25 examples of a class, where evaluators that look at few rows get 20.
    own = evaluated(mine={"name": "few_shot", "ways": 4, "shots": 24})
    small.build(small.config(**own))


def test_probe_of_one_class_is_refused(tmp_path, one_each):
    changes = dict(data__source=one_each, data__classes=("0",), model__num_classes=1)
    with pytest.raises(UserError, match="two classes or more in the training split"):
        small.build(
            small.config(
                **changes, batch_size=8, evaluate__batch_size=4, **evaluated(linear_probe={})
            )
        )


def test_umap_without_its_package_is_refused(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "umap" else find(n))
    with pytest.raises(UserError, match="umap-learn"):
        small.build(
            small.config(
                representation__embedding_view__split="test",
                representation__embedding_view__view="umap",
            )
        )
    small.build(small.config(representation__embedding_view__view="umap"))  # not drawn


def test_baselines_on_sound_are_refused():
    settings = small.config(
        data__source="tones",
        data__keys=("waveform", "label"),
        representation__baselines=("majority",),
    )
    with pytest.raises(
        UserError, match="baselines compare images, and 'tones' gives waveform, label"
    ):
        dry_evaluation_of(settings)


def dry_evaluation_of(settings):
    from cnnlab.data.loading import pipeline
    from cnnlab.training import baselines

    data = settings.data.to_dict()
    evaluations = {
        name: pipeline.eval_data(data, split, batch_size=8)
        for name, split in data["eval"]["splits"].items()
    }
    chosen, choosing = settings.representation.baselines, settings.evaluate.splits
    baselines.check_data(chosen, data, choosing, evaluations, "label")


ALLOWED = {
    "validation/knn_accuracy": evaluated(knn={"every": 4}),
    "validation/knn_accuracy_1@embedding": evaluated(
        knn={"every": 4, "endpoint": ("features", "embedding")}
    ),
    "validation/verification_tar@far=0.01": evaluated(verification={"every": 8, "pairs": 500}),
    "validation/retrieval_recall@7": evaluated(retrieval={"every": 12, "ks": (7,)}),
    "validation/linear_probe_tune_accuracy": evaluated(linear_probe={"every": 4}),
    "validation/ema/accuracy": dict(ema_decay=0.5),
    "validation/loss": dict(
        representation__embedding_view__split="test", representation__embedding_view__view="tsne"
    ),
}


@pytest.mark.parametrize("best", ALLOWED)
@pytest.mark.sample(3)
def test_what_is_evaluated_may_choose_the_checkpoint(best):
    small.build(small.config(checkpoint__best=best, **ALLOWED[best]))


def test_rare_classes_and_few_examples_are_not_refused_for_being_left_out():
    labels = np.concatenate([np.arange(1000), np.full(3, 500)])
    kept = dry_evaluation._few(labels)
    assert len(kept) <= dry_evaluation.CLASSES * dry_evaluation.EACH
    # The one class with more than one example is among them.
    assert (labels[kept] == 500).sum() == 4


def test_metric_of_an_evaluator_that_is_not_due_is_judged_when_it_is(tmp_path):
    settings = small.config(
        checkpoint__best="validation/knn_accuracy", **evaluated(knn={"every": 8})
    )
    loop = Loop(small.build(settings), tmp_path)
    state, _, reason = loop.run()
    loop.checkpoints.wait()
    assert (int(state.step), reason) == (12, "finished")
    assert loop.checkpoints.best_step() == 8
    loop.checkpoints.close()
