"""Ways to the plane: principal components are scikit-learn's, groups stay groups."""

import sys
import types

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from cnnlab.errors import UserError
from cnnlab.plots.projections import VIEWS, pca, tsne, umap


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other take longer than the few points do."""
    with threadpool_limits(1):
        yield


RNG = np.random.default_rng(0)


def test_principal_components_are_scikit_learns():
    x = (RNG.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1] + 7).astype(np.float32)
    points, how = pca(x, 0)
    peer = PCA(2)
    want = peer.fit_transform(x.astype(float))
    np.testing.assert_allclose(np.abs(points), np.abs(want), atol=1e-9)
    shares = peer.explained_variance_ratio_
    assert f"{shares[0]:.0%} and {shares[1]:.0%}" in how
    # The sign is fixed: the largest entry of each is positive.
    assert (points.max(axis=0) == np.abs(points).max(axis=0)).all()


def test_features_of_one_dimension_or_of_none_lie_on_a_line_or_a_point():
    line, how = pca(np.array([[1], [3], [8]], np.float32), 0)
    np.testing.assert_allclose(line, [[-3, 0], [-1, 0], [4, 0]], atol=1e-12)
    assert "100% and 0%" in how
    point, _ = pca(np.full((5, 4), 0.5, np.float32), 0)
    assert (point == 0).all()


@pytest.mark.parametrize("d", [1, 8])
def test_tsne_keeps_groups_together_and_follows_the_seed(d):
    labels = np.repeat([0, 1], 20)
    x = (RNG.normal(size=(40, d)) + 30 * labels[:, None]).astype(np.float32)
    points, how = tsne(x, 0)
    assert points.shape == (40, 2) and "perplexity 13" in how
    assert silhouette_score(points, labels) > 0.5
    assert (tsne(x, 0)[0] == points).all()


def test_tsne_of_equal_points_is_finite_and_of_three_is_refused():
    assert np.isfinite(tsne(np.ones((8, 3), np.float32), 0)[0]).all()
    with pytest.raises(UserError, match="four points or more: 3"):
        tsne(np.ones((3, 3), np.float32), 0)


def test_umap_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match="pip install umap-learn"):
        VIEWS["umap"](np.ones((8, 3), np.float32), 0)


def test_umap_is_asked_with_fewer_neighbors_than_points(monkeypatch):
    class UMAP:
        def __init__(self, n_neighbors, random_state, n_jobs):
            self.given = n_neighbors, random_state

        def fit_transform(self, x):
            assert self.given == (7, 3)
            return x[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    points, how = umap(np.ones((8, 3), np.float32), 3)
    assert points.shape == (8, 2) and how == "UMAP, 7 neighbors"
