"""Show a config, every entry with its value, and draw its learning rate.

usage: python launch.py config --config=FILE[:VARIANT] [--config.KEY=VALUE ...] [--plot=PNG]

examples:
  python launch.py config --config=configs/digits_lenet5.py
  python launch.py config --config=configs/digits_lenet5.py --plot=rate.png \\
      --config.schedule.name=one_cycle --config.steps=1000
"""

import shlex
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    config_flags.DEFINE_config_file(
        "config", None, "config file, with a variant after a colon", flag_values=values
    )
    define_path("plot", "", "PNG to draw the learning rate in", values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Print the config in the form of command-line overrides."""
    del arguments
    if not values["config"].present:
        raise UserError("--config is missing, as in --config=configs/digits_lenet5.py")
    from cnnlab import objectives
    from cnnlab.plots import run_figures
    from cnnlab.runs import controls
    from cnnlab.sweeps.values import arguments as arguments_of
    from cnnlab.training import config_check, optimization, run_folder

    config = values.config
    if values.plot:
        from cnnlab.plots.layers.render import check_path

        check_path(Path(values.plot), (".png",))
    controls.check(config)
    config_check.check(config)
    objectives.create(config.experiment.to_dict(), config.model.to_dict())
    for name, value in run_folder.flatten(config.to_dict()).items():
        shown = tuple(value) if isinstance(value, list) else value
        print(shlex.join(arguments_of({name: shown})))
    if values.plot:
        if not config.steps:
            raise UserError("--plot needs a length in steps: set --config.steps")
        rate = config.optimizer.learning_rate
        schedule = optimization.make_schedule(config.schedule, rate, config.steps)
        run_figures.schedule(schedule, config.steps, Path(values.plot))
        print(f"learning rate drawn in {values.plot}")
    return 0
