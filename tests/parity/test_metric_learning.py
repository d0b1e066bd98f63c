"""Losses for representations against pytorch-metric-learning and lightly: values and gradients.

pytorch-metric-learning's semi-hard miner keeps every violating negative beyond the positive; ours
takes the nearest, which is what its `BatchEasyHardMiner` does for the hardest positive.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from peers import declare

from cnnlab.losses.contrastive import contrastive
from cnnlab.losses.distances import paired_euclidean
from cnnlab.losses.info_nce import info_nce
from cnnlab.losses.nt_xent import nt_xent
from cnnlab.losses.triplet import triplet
from cnnlab.losses.vicreg_barlow import barlow_twins, negative_cosine, vicreg

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(0)
X, Y = (RNG.normal(size=(24, 8)).astype(np.float32) for _ in range(2))
LABELS = RNG.permutation(np.repeat(np.arange(6), 4))
PAIRS = RNG.permutation(np.repeat(np.arange(12), 2))


def compare(ours, theirs, *arrays, rtol=1e-5):
    """Compare scalars of arrays, and their gradients by each array."""
    import torch

    value, gradients = jax.value_and_grad(ours, tuple(range(len(arrays))))(
        *map(jnp.asarray, arrays)
    )
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = theirs(*tensors)
    expected.backward()
    assert float(value) == pytest.approx(expected.item(), rel=rtol)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-4, atol=1e-6)


def distances(name):
    from pytorch_metric_learning.distances import LpDistance

    return LpDistance(normalize_embeddings=False, power=2 if name == "squared" else 1)


@pytest.mark.parametrize("average", ["active", "all"])
@pytest.mark.parametrize("distance", ["squared", "euclidean"])
@pytest.mark.parametrize("mining", ["batch_all", "batch_hard", "hardest_negative", "semi_hard"])
def test_triplet_losses(mining, distance, average):
    import torch
    from pytorch_metric_learning import losses, miners, reducers

    # With one positive each, the hardest one is every one.
    semi_hard, margin = mining == "semi_hard", 0.5
    labels = PAIRS if semi_hard else LABELS
    options = {"distance": distances(distance)}
    miner = {
        "batch_all": lambda: None,
        "batch_hard": lambda: miners.BatchHardMiner(**options),
        "hardest_negative": lambda: miners.BatchEasyHardMiner("all", "hard", **options),
        "semi_hard": lambda: miners.BatchEasyHardMiner("hard", "semihard", **options),
    }[mining]()
    reducer = reducers.AvgNonZeroReducer() if average == "active" else reducers.MeanReducer()
    loss = losses.TripletMarginLoss(margin=margin, reducer=reducer, **options)
    tensor = torch.tensor(labels)
    # Every anchor must have a negative beyond its positive: they leave out those that have none.
    x = X + 3 * np.eye(12, 8, dtype=np.float32)[labels] if semi_hard else X

    def theirs(x):
        return loss(x, tensor, miner(x, tensor) if miner else None)

    def ours(x):
        options = {"distance": distance, "margin": margin, "average": average}
        return triplet(x, jnp.asarray(labels), mining=mining, **options)[0]

    if semi_hard:
        anchors, *_ = miner(torch.tensor(x), tensor)
        assert len(anchors) == 24
    compare(ours, theirs, x)


def test_soft_triplet_losses():
    import torch
    from pytorch_metric_learning import losses, reducers

    loss = losses.TripletMarginLoss(
        margin=0, smooth_loss=True, distance=distances("euclidean"), reducer=reducers.MeanReducer()
    )

    def ours(x):
        labels = jnp.asarray(LABELS)
        return triplet(x, labels, distance="euclidean", mining="batch_all", soft=True)[0]

    compare(ours, lambda x: loss(x, torch.tensor(LABELS)), X)


def test_contrastive_loss():
    import torch
    from pytorch_metric_learning import losses, reducers

    # Theirs is linear in the distance; ours is half its square, so compare its root.
    loss = losses.ContrastiveLoss(
        0, 5.0, distance=distances("euclidean"), reducer=reducers.DoNothingReducer()
    )
    theirs = loss(torch.tensor(X), torch.tensor(LABELS))
    for name, same in (("pos_loss", True), ("neg_loss", False)):
        first, second = (i.numpy() for i in theirs[name]["indices"])
        distance = paired_euclidean(jnp.asarray(X[first]), jnp.asarray(X[second]))
        ours = contrastive(distance, jnp.full(len(first), same), 5.0)
        expected = theirs[name]["losses"].numpy()
        assert np.any(expected > 0)
        np.testing.assert_allclose(jnp.sqrt(2 * ours), expected, rtol=1e-5, atol=1e-5)


def test_nt_xent_against_both():
    import torch
    from pytorch_metric_learning import losses

    declare()
    from lightly.loss import NTXentLoss

    def ours(x, y):
        return jnp.mean(nt_xent(x, y, temperature=0.2)[0])

    compare(ours, NTXentLoss(temperature=0.2), X, Y)
    images = torch.arange(24).repeat(2)
    theirs = losses.NTXentLoss(temperature=0.2)
    compare(ours, lambda x, y: theirs(torch.cat([x, y]), images), X, Y)


def test_info_nce_with_one_positive_among_given_keys():
    import torch
    from pytorch_metric_learning import losses
    from pytorch_metric_learning.distances import DotProductSimilarity

    positive = RNG.permutation(24)
    loss = losses.NTXentLoss(0.7, distance=DotProductSimilarity(normalize_embeddings=False))

    def theirs(queries, keys):
        return loss(queries, torch.tensor(positive), ref_emb=keys, ref_labels=torch.arange(24))

    def ours(queries, keys):
        return jnp.mean(info_nce(queries, keys, jnp.asarray(positive), temperature=0.7)[0])

    compare(ours, theirs, X, Y)


def test_losses_without_negatives():
    declare()
    from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, VICRegLoss

    # lightly and the authors' code halve the variance term.
    compare(lambda x, y: vicreg(x / 2, y / 2, variance=12.5)[0], halved(VICRegLoss()), X, Y)
    compare(lambda x, y: barlow_twins(x, y)[0], BarlowTwinsLoss(), X, Y)
    compare(lambda x, y: jnp.mean(negative_cosine(x, y)), NegativeCosineSimilarity(), X, Y)


def halved(loss):
    """Return the loss of half the embeddings, whose standard deviations lack something to 1."""
    return lambda x, y: loss(x / 2, y / 2)
