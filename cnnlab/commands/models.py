"""List the models, or show the stages of one: shapes, parameters, MACs, receptive fields.

usage: python launch.py models [PATTERN | NAME]

Numbers are read off the traced program; nothing is computed. MACs are multiplications with their
addition in convolutions and matrix products; activations are what those put out. The (receptive)
field is how many input pixels, padding included, the central element of an endpoint depends on;
"all" where that is every pixel at any size of the input. The stride is how far the fields of
neighbors lie apart.

examples:
  python launch.py models
  python launch.py models 'lenet*'
  python launch.py models lenet5 --size=32 --channels=1
"""

from absl import flags

from cnnlab.errors import UserError


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    flags.DEFINE_integer("size", 32, "height and width of the input image", flag_values=values)
    flags.DEFINE_integer("channels", 1, "channels of the input image", flag_values=values)
    flags.DEFINE_integer("num_classes", 10, "classes of the output", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Print a table of the models whose names match, or of the stages of one."""
    from cnnlab import models

    pattern = arguments[0] if arguments else "*"
    names = models.available(pattern)
    if not names:
        raise UserError(f"no model matches '{pattern}'; there are: {', '.join(models.available())}")
    shape = (1, values.size, values.size, values.channels)
    summaries = {name: _summary(name, values.num_classes, shape) for name in names}
    if names == [pattern]:
        _show_one(pattern, summaries[pattern], shape)
    else:
        _show_all(summaries, shape)
    return 0


def _summary(name: str, num_classes: int, shape: tuple[int, ...]):
    from cnnlab import models
    from cnnlab.analysis.summary import summarize

    return summarize(models.create(name, num_classes=num_classes), shape)


def _show_all(summaries: dict, shape: tuple[int, ...]) -> None:
    table = _table(f"input {shape}", "model", "parameters", "MACs", "endpoints")
    for name, summary in summaries.items():
        total = summary.total
        endpoints = " ".join(row.name for row in summary.rows)
        table.add_row(name, f"{total.parameters:,}", f"{total.macs:,}", endpoints)
    _print(table)


def _show_one(name: str, summary, shape: tuple[int, ...]) -> None:
    columns = ("endpoint", "parameters", "MACs", "activations", "field", "stride")
    table = _table(f"{name}, input {shape}", *columns, "shape")
    for row in (*summary.rows, summary.total):
        if row is summary.total:
            table.add_section()
        counts = (f"{n:,}" for n in (row.parameters, row.macs, row.activations))
        table.add_row(row.name, *counts, *_field(row), "x".join(map(str, row.shape[1:])))
    _print(table)


def _field(row) -> tuple[str, str]:
    if None in row.receptive_field:
        return "all", ""
    return _per_axis(row.receptive_field), _per_axis(row.stride)


def _per_axis(numbers) -> str:
    """Write one number for each axis, or a single one if they are the same."""
    return "x".join(f"{n:g}" for n in (numbers[:1] if len({*numbers}) == 1 else numbers))


def _table(title: str, *columns: str):
    from rich.table import Table

    table = Table(*columns, title=title)
    for column in table.columns[1:-1]:
        column.justify = "right"
    return table


def _print(table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)
