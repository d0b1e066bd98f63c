"""Whether more or less of a metric is better is read off its name, or asked for."""

import pytest

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction, implied

NAMES = {
    "max": (
        *("validation/accuracy", "validation/top5", "validation/ema/accuracy"),
        *("validation/exact_match", "validation/knn_accuracy_1", "validation/bound"),
        *("validation/verification_auc@features", "validation/retrieval_map@r"),
        *("validation/retrieval_recall@1", "validation/verification_tar@far=0.001"),
        *("validation/linear_probe_tune_accuracy", "validation/f1", "validation/mean_iou"),
        *("validation/AP", "validation/mask_AP50", "validation/AR100", "validation/AP_small"),
        *("validation/mAP_2007", "validation/mabo", "validation/best_overlap"),
    ),
    "min": (
        *("validation/loss", "validation/ema/loss", "train/auxiliary_loss"),
        *("validation/absolute_error", "validation/top5_error", "validation/error_rate"),
        *("validation/verification_eer", "validation/perplexity", "validation/rmse"),
        *("validation/collapse_collapsed@embedding", "validation/cross_entropy"),
    ),
    None: (
        *("validation/embedding_std", "validation/same_distance", "validation/active"),
        *("validation/negative_log_likelihoods", "validation/collapse_effective_rank", ""),
    ),
}


@pytest.mark.parametrize("mode", NAMES)
def test_direction_is_read_off_the_name(mode):
    assert {name: implied(name) for name in NAMES[mode]} == dict.fromkeys(NAMES[mode], mode)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_the_name_implies_may_be_repeated_and_what_it_leaves_open_is_as_asked(mode):
    assert direction(NAMES[mode][0], mode) == mode
    assert direction("validation/embedding_std", mode) == mode


@pytest.mark.parametrize(
    "name, mode, message",
    [
        ("v/loss", "max", "checkpoint.mode=max contradicts checkpoint.best=v/loss, of which less"),
        ("v/auc", "min", "of which more is better: set checkpoint.mode=max"),
        ("v/embedding_std", "auto", "set checkpoint.mode=max or checkpoint.mode=min"),
        ("v/acuracy", "auto", r"\(did you mean 'accuracy'\?\)"),
        ("v/loss", "mni", "checkpoint.mode=mni; did you mean 'min'"),
    ],
)
def test_contradiction_and_unknown_direction_are_refused(name, mode, message):
    with pytest.raises(UserError, match=message):
        direction(name, mode)
