"""Evaluate a checkpoint of a run on its splits, every example exactly once.

usage: python launch.py eval --workdir=FOLDER [--checkpoint=latest|best|STEP] [--splits=NAMES]

The config is the one that the folder was made with. Numbers are printed as a table, or as JSON;
figures (confusion matrix, mistakes) go to figures/<split>/ of the run.

examples:
  python launch.py eval --workdir=runs/digits
  python launch.py eval --workdir=runs/digits --checkpoint=best --splits=test
  python launch.py eval --workdir=runs/digits --checkpoint=1000 --format=json
  python launch.py eval --workdir=runs/flowers --data_dir=/new/place/flowers
"""

import json
from pathlib import Path

from absl import flags

from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    define_path("workdir", "", "folder of the run", values)
    flags.DEFINE_string("checkpoint", "latest", "latest, best or a step", flag_values=values)
    flags.DEFINE_list("splits", [], "splits to evaluate; empty: all", flag_values=values)
    define_path(
        "data_dir",
        "",
        "where the data lies now: the folder of prepared sets, or of a source folder:, wav: or "
        "npz: what stands in place of its path",
        values,
    )
    flags.DEFINE_enum("format", "table", ["table", "json"], "how to print", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Evaluate."""
    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': flags begin with --")
    if not values.workdir:
        raise UserError("--workdir is missing: the folder of the run to evaluate")
    from cnnlab import config_file, objectives
    from cnnlab.data.sources import source as sources
    from cnnlab.runs import final_report, representation_report
    from cnnlab.training import class_names, run_folder, setup
    from cnnlab.training.checkpoint import Checkpoints, Damaged, pick_step

    workdir = Path(values.workdir)
    config = config_file.complete(run_folder.load_config(workdir))
    if values.data_dir:
        config.data.update(sources.moved(config.data.to_dict(), values.data_dir))
    for split in values.splits:
        if split not in config.data.eval.splits:
            raise UserError(
                f"the run has no split '{split}'{suggest(split, config.data.eval.splits)}"
            )
    options = config.checkpoint
    checkpoints = Checkpoints(
        workdir / "checkpoints", metric=options.best, mode=options.mode, read_only=True
    )
    step = pick_step(checkpoints, values.checkpoint)
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    names = class_names.saved(checkpoints)
    parts = setup.make(config, experiment, resume=True, try_out=False, class_names=names)
    try:
        state, _ = checkpoints.restore(step, parts.state)
    except Damaged as error:
        others = ", ".join(str(s) for s in checkpoints.steps() if s != step)
        raise UserError(f"{error}; other steps: {others or 'none'}") from None
    best = {}
    if values.checkpoint == "best":
        best = {"best": {"metric": options.best, "value": checkpoints.values.of(step)}}
    splits = values.splits or list(parts.evaluations)
    evaluations = final_report.evaluate_splits(parts, state, splits)
    results = final_report.scalars(evaluations)
    final_report.report(parts, evaluations, workdir)
    variables = (state.params, state.model_state)
    rows = parts.protocols.rows(f"step {step}", variables, splits=tuple(splits)) or []
    if values.format == "json":
        more = {"representation": representation_report.plain(rows)} if rows else {}
        print(json.dumps({"step": step, **best, **results, **more}, indent=2))
    else:
        chosen = f", best {options.best} ({checkpoints.values.of(step):.4g})" if best else ""
        final_report.print_results(f"{workdir}, step {step}{chosen}", {f"step {step}": results})
        if rows:
            representation_report.show(representation_report.plain(rows))
    return 0
