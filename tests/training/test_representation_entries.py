"""Entries of `config.representation` that cannot be meant are refused by name."""

import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import representation_entries

# Refused without the data, and before it is opened.
OUT_OF_RANGE = {
    "knn.k = 0 is not a whole number of 1 or more": {"knn": {"k": 0}},
    "knn.k = 'many' is not a whole number": {"knn": {"k": "many"}},
    "knn.temperature = -1.0 is not": {"knn": {"temperature": -1.0}},
    r"knn.distance 'cosin'; did you mean 'cosine'": {"knn": {"distance": "cosin"}},
    r"linear_probe.grid = \(\) is not a tuple of numbers above 0": {"linear_probe": {"grid": ()}},
    r"linear_probe.grid = \(-1.0,\) is not": {"linear_probe": {"grid": (-1.0,)}},
    "linear_probe.max_iterations = -1 is not": {"linear_probe": {"max_iterations": -1}},
    r"retrieval.ks = \(0,\) is not a tuple of whole numbers": {"retrieval": {"ks": (0,)}},
    "verification.pairs = 1 is not a whole number of 2": {"verification": {"pairs": 1}},
    r"verification.fars = \(2.0,\) is not": {"verification": {"fars": (2.0,)}},
    "few_shot.ways = 1 is not": {"few_shot": {"ways": 1}},
    "few_shot.shots = 0 is not": {"few_shot": {"shots": 0}},
    "few_shot.episodes = 1 is not": {"few_shot": {"episodes": 1}},
    "few_shot.protocol 'kock'; did you mean 'koch'": {"few_shot": {"protocol": "kock"}},
    "one_shot_runs.runs = 0 is not": {"one_shot_runs": {"runs": 0}},
}


@pytest.mark.parametrize("message", OUT_OF_RANGE)
def test_keyword_out_of_range_is_refused_before_anything_is_opened(message):
    settings = small.config(
        representation__evaluators=cfg.evaluators(**OUT_OF_RANGE[message]), data__source="nowhere"
    )
    with pytest.raises(UserError, match=message):
        small.build(settings)


def test_keyword_of_an_evaluator_of_ones_own_may_have_a_limit():
    own = cfg.evaluators(mine={"name": "broken_parts:limited", "share": 2})
    with pytest.raises(UserError, match=r"evaluators.mine.share = 2 is not a number from 0 to 1"):
        small.build(small.config(representation__evaluators=own, data__source="nowhere"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(representation__evaluators=cfg.evaluators(knn={"every": 6})),
            "multiple of evaluate.every=4",
        ),
        (
            dict(representation__evaluators=cfg.evaluators(knn={"splits": ("tset",)})),
            "did you mean 'test'",
        ),
        (dict(representation__evaluators=cfg.evaluators(knn={"kk": 3})), "no argument 'kk'"),
        (dict(representation__evaluators={"knnn": {}}), "did you mean 'knn'"),
        (dict(representation__embedding_view__split="tset"), "did you mean 'test'"),
        (dict(representation__embedding_view__view="pac"), "did you mean 'pca'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_compiled(changes, message):
    settings = small.config(**changes)
    with pytest.raises(UserError, match=message):
        representation_entries.check(
            settings.representation, list(settings.data.eval.splits), settings.evaluate.every
        )
