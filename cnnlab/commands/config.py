"""Show a config, every entry with its value, check it as `train` does, draw its learning rate.

usage: python launch.py config --config=FILE[:VARIANT] [--config.KEY=VALUE ...]
           [--explain[=PART]] [--plot=PNG]

--explain says of each entry what it is, what it can be, and its default where the value is another;
--explain=optimizer says it of that part. What `train` would refuse is an error here too; where the
data that the config file names is not on this machine, what depends on it is not checked.

examples:
  python launch.py config --config=configs/digits_lenet5.py
  python launch.py config --config=configs/digits_lenet5.py --explain=data.train
  python launch.py config --config=configs/digits_lenet5.py --plot=rate.png \\
      --config.schedule.name=one_cycle --config.steps=1000
"""

import shlex
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.parsing import define_path, shorten
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.console import say
from cnnlab.utils.registry import suggest_entry

# Of a line of documentation.
WIDEST = 100


class _Part(flags.Flag):
    """Takes a value after `=`, or none: then it is "", all parts."""

    def __init__(self, name: str, help_: str):
        serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
        super().__init__(flags.ArgumentParser(), serializer, name, None, help_)
        # No value is needed.
        self.boolean = True

    def _parse(self, argument: Any) -> Any:
        # What absl gives for a flag without a value, and for --noexplain.
        return {"true": "", "false": None}.get(argument, argument)


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    config_flags.DEFINE_config_file(
        "config", None, "config file, with a variant after a colon", flag_values=values
    )
    explain = _Part("explain", "document the entries; --explain=PART, those of a part")
    flags.DEFINE_flag(explain, flag_values=values)
    define_path("plot", "", "PNG to draw the learning rate in", values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Print the config in the form of command-line overrides."""
    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': flags begin with --")
    if not values["config"].present:
        raise UserError("--config is missing, as in --config=configs/digits_lenet5.py")
    from cnnlab.plots import run_figures, style
    from cnnlab.runs import train
    from cnnlab.training import optimization, run_folder

    shorten(values)
    config, flag = values.config, cast(Any, values["config"])
    if values.plot:
        from cnnlab.plots.layers.render import check_path

        check_path(Path(values.plot), (".png",))
    if values.explain is None:
        for name, value in run_folder.flatten(config.to_dict()).items():
            say(_setting(name, tuple(value) if isinstance(value, list) else value))
    else:
        _explain(config, values.explain)
    try:
        train.check(config)
    except MissingData as error:
        if _is_given(str(error), flag.override_values):
            raise
        say(f"not checked against the data: {error}", flush=True)
    if values.plot:
        if not config.steps:
            raise UserError("--plot needs a length in steps: set --config.steps")
        rate = config.optimizer.learning_rate
        schedule = optimization.make_schedule(config.schedule, rate, config.steps)
        style.save(run_figures.schedule(schedule, config.steps), Path(values.plot))
        say(f"learning rate drawn in {values.plot}")
    return 0


def _is_given(missing: str, given: Mapping[str, Any]) -> bool:
    """Return whether the command line names the data that is missing, not the config file."""
    return "data.data_dir" in given or any(missing.startswith(f"{x}: ") for x in given.values())


def _setting(name: str, value: Any) -> str:
    from cnnlab.sweeps.values import arguments as arguments_of

    return shlex.join(arguments_of({name: value}))


def _explain(config: Any, part: str) -> None:
    from cnnlab import config_docs
    from cnnlab.utils.console import output

    entries = list(config_docs.explain(config))
    chosen = [e for e in entries if not part or f"{e.path}.".startswith(f"{part}.")]
    if not chosen:
        hint = suggest_entry(part, config)
        raise UserError(f"--explain={part}: the config has no entry '{part}'{hint}")
    width = min(output().width, WIDEST)
    for entry in chosen:
        say(_setting(entry.path, entry.value) if entry.kind else f"\n{entry.path}")
        some = "any" if entry.kind in ("", "a tuple", "a dictionary") else "one"
        default = f"; default {entry.default!r}" if entry.default is not None else ""
        kind = f" ({entry.kind}{default})" if entry.kind else ""
        choices = f"{some} of: {', '.join(entry.choices)}" if entry.choices else ""
        for line in filter(None, (f"{entry.text}{kind}", choices)):
            say(textwrap.fill(line, width, initial_indent="    ", subsequent_indent="    "))
