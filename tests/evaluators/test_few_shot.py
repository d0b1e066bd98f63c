"""Few-shot accuracy: closed forms, plain loops, and chance for a collapsed embedding."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators.episodes import independent
from cnnlab.evaluators.features import Features
from cnnlab.evaluators.few_shot import few_shot


def glyphs(noise, seed=0, alphabets=3, characters=8, drawers=4, d=10):
    rng = np.random.default_rng(seed)
    rows = np.array(
        [
            (a, a * characters + c, r)
            for a in range(alphabets)
            for c in range(characters)
            for r in range(drawers)
        ]
    )
    centers = rng.normal(size=(alphabets * characters, d))
    features = (centers[rows[:, 1]] + noise * rng.normal(size=(len(rows), d))).astype(np.float32)
    return Features(features, dict(zip(("alphabet", "label", "drawer"), rows.T, strict=True)))


def run(query, **keywords):
    given = {"seed": 0, "similarity": None, "ways": 5, "episodes": 60, **keywords}
    return few_shot(query, train=query, val=query, **given)


@pytest.mark.parametrize("protocol", ["episodes", "koch"])
def test_well_separated_classes_are_all_recognized(protocol):
    got = run(glyphs(0.01), within="alphabet", protocol=protocol)
    assert got.values == {"accuracy": 1.0, "ci95": 0.0}
    assert got.setting.startswith("5-way 1-shot, cosine, 60 episodes, within alphabet")
    assert ("koch" in got.setting) == (protocol == "koch")


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("shots", [1, 3])
def test_the_nearest_class_mean_is_that_of_a_loop(distance, shots):
    split = glyphs(1.0)
    got = run(split, shots=shots, distance=distance)
    rng = np.random.default_rng(0)
    draw = independent(split.label, 0 * split.label, split.keys["drawer"], 5, shots, 1)
    episodes = [draw(rng, number) for number in range(60)]
    shares = []
    for support, query in episodes:
        hits = 0
        for way, (asked,) in enumerate(query):
            x = split.features[asked].astype(float)
            scores = []
            for rows in support:
                given = split.features[rows].astype(float)
                if distance == "cosine":
                    given /= np.linalg.norm(given, axis=1, keepdims=True)
                mean = given.mean(axis=0)
                if distance == "cosine":
                    scores.append(x @ mean / np.linalg.norm(mean))
                else:
                    scores.append(-((x - mean) ** 2).sum())
            hits += int(np.argmax(scores)) == way
        shares.append(hits / 5)
    assert 0.3 < np.mean(shares) < 0.98
    assert got.values["accuracy"] == pytest.approx(np.mean(shares), abs=1e-12)
    deviation = (sum((s - np.mean(shares)) ** 2 for s in shares) / 59) ** 0.5
    assert got.values["ci95"] == pytest.approx(1.96 * deviation / 60**0.5, abs=1e-12)


def test_a_learned_similarity_is_averaged_over_the_shots():
    calls = []

    def product(a, b):
        calls.append((a.shape, b.shape))
        return np.round(a @ b.T, 3)

    split = glyphs(0.5)
    got = run(split, shots=3, similarity=product, episodes=20)
    # Always one shape, which a compiled similarity is compiled for once.
    assert set(calls) == {((15, 10), (15, 10))}
    # The mean of products with the shots is the product with their mean.
    assert got.values["accuracy"] > 0.8
    opposite = run(split, shots=3, similarity=lambda a, b: -(a @ b.T), episodes=20)
    assert opposite.values["accuracy"] < 0.05


def test_a_collapsed_embedding_gets_exactly_one_in_n():
    split = glyphs(0)
    split = Features(np.full_like(split.features, 0.7), split.keys)
    for keywords in ({}, {"shots": 3}, {"distance": "euclidean"}, {"protocol": "koch"}):
        values = run(split, within="alphabet", **keywords).values
        assert values["accuracy"] == pytest.approx(0.2, abs=1e-12)
        assert values["ci95"] < 1e-12
    learned = run(split, similarity=lambda a, b: np.zeros((len(a), len(b)))).values
    assert learned["accuracy"] == pytest.approx(0.2, abs=1e-12)


def test_the_drawers_are_kept_apart_unless_ignored():
    # Two drawings by each of two drawers, and what is embedded is the drawer alone.
    rows = np.array([(c, d) for c in range(6) for d in (0, 0, 1, 1)])
    keys = dict(zip(("label", "drawer"), rows.T, strict=True))
    split = Features(np.eye(2, dtype=np.float32)[keys["drawer"]], keys)
    # The own support is never by the query's drawer, that of the other class every second time:
    # wrong, else a tie. Ignored, the own one is by the same drawer in one of three cases.
    for drawer, want in (("drawer", 1 / 4), ("", 1 / 3 / 2 + 1 / 2 / 2)):
        score = run(split, ways=2, episodes=500, drawer=drawer)
        got, setting = score.values, score.setting
        assert abs(got["accuracy"] - want) < 2.5 * got["ci95"]
        assert got["ci95"] < 0.04
        assert ("by different drawers" in setting) == (drawer == "drawer")
    alone = Features(split.features, {**keys, "drawer": split.label})
    with pytest.raises(UserError, match="2 examples by different drawers"):
        run(alone)


def test_the_seed_decides():
    split = glyphs(1.0)
    assert run(split).values == run(split).values
    assert run(split).values != run(split, seed=1).values


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ways": 1}, "2 ways or more: ways=1"),
        ({"shots": 0}, "1 shots or more: shots=0"),
        ({"queries": 0}, "1 queries or more"),
        ({"episodes": 1}, "2 episodes or more"),
        ({"ways": 9, "within": "alphabet"}, "cannot draw 9 ways: at most 8 classes"),
        ({"shots": 4}, "at most 0 classes of one group have 5 examples"),
        ({"within": "alphabets"}, "did you mean 'alphabet'"),
        ({"protocol": "koch", "drawer": "writer"}, "needs a key for the drawer"),
    ],
)
def test_what_cannot_be_is_refused(keywords, message):
    with pytest.raises(UserError, match=message):
        run(glyphs(1.0), **keywords)
