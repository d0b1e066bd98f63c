"""Whether more or less of a metric is better, by its name: the one table for all who compare."""

import difflib
import re

from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest

MODES = ("auto", "max", "min")
MORE = """
    accuracy acc top match correct precision recall sensitivity specificity f1 fscore dice jaccard
    iou miou overlap ap map ar mabo mrr ndcg auc auroc auprc tar tpr tnr kappa mcc r2 bleu psnr
    ssim bound elbo examples_per_second
"""
LESS = """
    loss error err nll bce cross_entropy perplexity ppl bpd mse mae rmse mape eer far frr fpr fnr
    wer cer brier ece fid lpips kl divergence regret cost collapsed
"""
WORDS = {**dict.fromkeys(MORE.split(), "max"), **dict.fromkeys(LESS.split(), "min")}


def implied(name: str) -> str | None:
    """Return "max" or "min" as the name of a metric implies, None where it implies neither.

    The last word that is in the table counts: `validation/verification_tar@far=0.01` is a `tar`.
    """
    for word in reversed(words(name)):
        # top5 is a top, f1 stands in the table as it is.
        found = WORDS.get(word) or WORDS.get(word.rstrip("0123456789"))
        if found:
            return found
    return WORDS.get(name.partition("@")[0].rpartition("/")[2].lower())


def words(name: str) -> list[str]:
    """Return the words of a metric's own name: of `test/knn_tar@far=0.01`, `knn` and `tar`."""
    last = name.partition("@")[0].rpartition("/")[2].lower()
    return re.split(r"[^a-z0-9]+", last)


def direction(
    name: str,
    mode: str = "auto",
    *,
    metric_entry: str = "checkpoint.best",
    mode_entry: str = "checkpoint.mode",
) -> str:
    """Return "max" or "min": whether more or less of a metric is better.

    Args:
        name: of the metric, as in metrics.jsonl.
        mode: as asked for; "auto": as the name implies.
        metric_entry, mode_entry: where name and mode were set, for messages.

    Raises:
        UserError: for another mode; one that contradicts the name; "auto" with a name that
            implies none.
    """
    if mode not in MODES:
        raise UserError(f"{mode_entry}={mode}{suggest(mode, MODES)}")
    known = implied(name)
    if mode == "auto" and known is None:
        words = re.split(r"[^a-z0-9]+", name.rpartition("/")[2].lower())
        near = (difflib.get_close_matches(word, WORDS, n=1, cutoff=0.8) for word in words)
        hint = "".join(f" (did you mean '{found[0]}'?)" for found in near if found)
        raise UserError(
            f"{metric_entry}={name}: the name does not imply whether more or less is better"
            f"{hint}: set {mode_entry}=max or {mode_entry}=min"
        )
    if mode != "auto" and known not in (None, mode):
        less = "less" if known == "min" else "more"
        raise UserError(
            f"{mode_entry}={mode} contradicts {metric_entry}={name}, of which {less} is better: "
            f"set {mode_entry}={known}, or leave it out"
        )
    return known or mode
