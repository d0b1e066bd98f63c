"""Entries of `config.representation` that cannot be meant are refused by name."""

import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import representation_entries


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
