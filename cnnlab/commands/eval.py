"""Evaluate a checkpoint of a run, or weights, on splits, every example exactly once.

usage: python launch.py eval --workdir=FOLDER [--checkpoint=latest|best|STEP] [--splits=NAMES]
           [--evaluator=NAMES [--KEYWORD=VALUE ...] ...]
       python launch.py eval --config=FILE[:VARIANT] --config.init_from.path=WEIGHTS
           [--splits=NAMES] [--config.KEY=VALUE ...] [--evaluator=NAMES ...]

Of a run the config is the one that the folder was made with. Numbers are printed as a table, or as
JSON, and added to evaluations.jsonl of the run; figures (confusion matrix, mistakes, ROC) go to
figures/step_STEP/<split>/. Of weights, which are a file or the folder of a run, the config says
model, preprocessing and splits; nothing is written.

--evaluator rates the representation by evaluators of your choice, and does nothing else; without it
those of the config do. Flags behind an --evaluator are its keywords, and endpoint (several with
commas) and key; the page docs/representations.md has them. One of your own is
--evaluator=package.module:function.

examples:
  python launch.py eval --workdir=runs/digits
  python launch.py eval --workdir=runs/digits --checkpoint=best --splits=test
  python launch.py eval --workdir=runs/digits --checkpoint=1000 --format=json
  python launch.py eval --workdir=runs/digits --evaluator=knn --endpoint=f6 --k=20 \\
      --evaluator=linear_probe,retrieval --endpoint=f6,features
  python launch.py eval --workdir=runs/flowers --data_dir=/new/place/flowers
  python launch.py eval --config=configs/cifar10_pretrained.py --config.data.source=cifar:/path \\
      --config.init_from.path=resnet20-12fca82f.th
"""

import json
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.evaluator_flags import chosen, rewrite
from cnnlab.commands.parsing import announce, define_path
from cnnlab.errors import UserError

__all__ = ["define", "rewrite", "run"]


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    define_path("workdir", "", "folder of the run", values)
    config_flags.DEFINE_config_file(
        "config", None, "config file for weights, with a variant after a colon", flag_values=values
    )
    flags.DEFINE_string("checkpoint", "latest", "latest, best or a step", flag_values=values)
    flags.DEFINE_list("splits", [], "splits to evaluate; empty: all", flag_values=values)
    flags.DEFINE_multi_string(
        "evaluator",
        [],
        "evaluators of the representation, in place of the config's; their keywords are flags",
        flag_values=values,
    )
    define_path(
        "data_dir",
        "",
        "where the data lies now: the folder of prepared sets, or of a source with a path, such as "
        "folder: or idx:, what stands in place of the path",
        values,
    )
    flags.DEFINE_enum("format", "table", ["table", "json"], "how to print", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Evaluate."""
    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': flags begin with --")
    if values["config"].present:
        return _weights(values)
    if not values.workdir:
        raise UserError("--workdir is missing: the folder of the run to evaluate")
    announce(f"loading {values.workdir}")
    from cnnlab.runs import closing_table, representation_report
    from cnnlab.runs.evaluate import evaluate

    workdir = Path(values.workdir)
    found = evaluate(
        workdir, values.checkpoint, values.splits, values.data_dir, chosen(values.evaluator)
    )
    rows = representation_report.plain(found.representation)
    if values.format == "json":
        best = {"best": found.best} if found.best else {}
        more = {"representation": rows} if rows else {}
        print(json.dumps({"step": found.step, **best, **found.results, **more}, indent=2))
        return 0
    step = f"step {found.step}"
    by = ", best {metric} ({value:.4g})".format(**found.best) if found.best else ""
    closing_table.print_results(f"{workdir}, {step}{by}", {step: found.results})
    if rows:
        representation_report.show(rows)
    return 0


def _weights(values: flags.FlagValues) -> int:
    for flag in ("workdir", "checkpoint"):
        if values[flag].present:
            raise UserError(
                f"--{flag} is of a run, --config of weights in none: leave one of them out"
            )
    from cnnlab.runs import closing_table, representation_report
    from cnnlab.runs.evaluate import evaluate_weights

    results, found = evaluate_weights(
        values.config, values.splits, values.data_dir, chosen(values.evaluator)
    )
    rows, path = representation_report.plain(found), values.config.init_from.path
    if values.format == "json":
        more = {"representation": rows} if rows else {}
        print(json.dumps({"weights": path, **results, **more}, indent=2))
        return 0
    closing_table.print_results(path, {"weights": results})
    if rows:
        representation_report.show(rows)
    return 0
