"""The fixed trials of Omniglot: what is given, what is asked, and what is right."""

import numpy as np
import pytest
from published import omniglot, real

from cnnlab.data.sources.omniglot import OmniglotSource
from cnnlab.data.sources.source import SkipCorrupt
from cnnlab.data.sources.subset import Subset
from cnnlab.errors import UserError
from cnnlab.evaluators import Features
from cnnlab.evaluators.one_shot_runs import one_shot_runs


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return OmniglotSource(str(omniglot(tmp_path_factory.mktemp("omniglot"), runs=2)), "runs")


def judge(features, source, labels=None, index=None, similarity=None, **own):
    labels = source.labels() if labels is None else labels
    query = Features(np.float32(features), {"label": labels}, source, index)
    return one_shot_runs(query, train=query, val=query, seed=0, similarity=similarity, **own)


def test_a_drawing_goes_to_the_most_similar_example_of_its_run(source):
    # The same three directions in both runs: only the run keeps them apart.
    features = np.eye(3)[source.labels() % 3]
    assert judge(features, source).values == {"accuracy": 1, "error": 0, "ci95": 0}
    wrong = features.copy()
    first = next(i for i, place in enumerate(source.files()) if "/test/" in place)
    wrong[first] = np.roll(wrong[first], 1)
    found = judge(wrong, source)
    assert found.values["accuracy"] == pytest.approx(5 / 6)
    # Half the 95 % interval over runs of 2/3 and 1.
    assert found.values["ci95"] == pytest.approx(1.96 / 6)


def test_equal_examples_share_the_point(source):
    assert judge(np.ones((12, 2)), source).values["accuracy"] == pytest.approx(1 / 3)


def test_a_learned_similarity_is_asked(source):
    labels = source.labels()

    def alike(a, b):
        return (a[:, None, 0] == b[None, :, 0]).astype(float)

    found = judge(labels[:, None], source, similarity=alike)
    assert found.values["accuracy"] == 1
    assert "learned similarity" in found.setting


def test_the_modified_hausdorff_distance_needs_no_features(source):
    found = judge(np.ones((12, 1)), source, distance="modified_hausdorff")
    assert found.values["accuracy"] == 1
    assert found.setting == "2 runs, modified Hausdorff distance, no network"


def test_trials_of_corrupt_images_are_left_out(source):
    features, kept = np.eye(3)[source.labels() % 3], np.arange(1, 12)
    found = judge(features[kept], SkipCorrupt(source), source.labels()[kept], kept)
    assert found.values["accuracy"] == 1


def test_rows_of_a_subset_are_found(source):
    subset = Subset(source, classes=("run02/class0", "run02/class2"))
    found = judge(np.eye(2)[subset.labels()], subset, subset.labels())
    assert (found.setting, found.values["accuracy"]) == ("1 runs, cosine", 1)


def test_a_split_without_runs_is_refused(source):
    other = OmniglotSource(str(source._root), "train")
    with pytest.raises(UserError, match=r"0001_01.png is part of none"):
        judge(np.ones((6, 2)), other)
    with pytest.raises(UserError, match="needs a split of runs"):
        judge(np.ones((1, 2)), None, labels=np.array([0]))


def test_the_modified_hausdorff_distance_has_its_published_error_on_the_real_runs():
    runs = OmniglotSource(str(real("omniglot")), "runs")
    found = judge(np.ones((len(runs), 1)), runs, distance="modified_hausdorff")
    # 155 of 400, published as 38.8 %.
    assert found.values["error"] == pytest.approx(0.3875)
