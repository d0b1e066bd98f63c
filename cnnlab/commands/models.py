"""List the models, with their number of parameters.

usage: python launch.py models [PATTERN]

examples:
  python launch.py models
  python launch.py models 'lenet*'
"""

from absl import flags

from cnnlab.errors import UserError


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    flags.DEFINE_integer("size", 32, "height and width of the input image", flag_values=values)
    flags.DEFINE_integer("channels", 1, "channels of the input image", flag_values=values)
    flags.DEFINE_integer("num_classes", 10, "classes of the output", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Print a table of the models whose names match."""
    from rich.console import Console
    from rich.table import Table

    from cnnlab import models
    from cnnlab.analysis.parameters import count_parameters

    pattern = arguments[0] if arguments else "*"
    names = models.available(pattern)
    if not names:
        raise UserError(f"no model matches '{pattern}'; there are: {', '.join(models.available())}")
    shape = (values.size, values.size, values.channels)
    table = Table("model", "parameters", "endpoints", title=f"input {shape}")
    table.columns[1].justify = "right"
    for name in names:
        model = models.create(name, num_classes=values.num_classes)
        count, endpoints = count_parameters(model, shape)
        table.add_row(name, f"{count:,}", " ".join(endpoints))
    Console(highlight=False).print(table)
    return 0
