"""List the models, or show the stages of one: shapes, parameters, MACs, receptive fields.

usage: python launch.py models [PATTERN] [--sort=COLUMN] [--format=csv|json|markdown] [--flags]
       python launch.py models NAME [--picture=FILE.png] [--format=csv|json|markdown] [--flags]

Numbers are read off the traced program, for one image of the size that the paper has; nothing is
computed. Those of the models as they are come from a file, which the tests hold to the program;
--trace, and flags that change a model or its image, trace anew. Parameters are all that are
trained, auxiliary classifiers too. MACs are multiplications with their addition in convolutions
and matrix products; activations are what those put out. The (receptive) field is how many input
pixels, padding included, the central element of an endpoint depends on; "all" where that is every
pixel at any size of the input. The stride is how far the fields of neighbors lie apart. In the
list both are those of the last endpoint that is a map: after global pooling or a dense layer it
would be all.

Top-1 and top-5 are the paper's own accuracies in percent, not measurements of this code; what they
were measured on is the column `protocol` of csv, json and markdown. A model that the flags change
has none.

Columns to sort by: name, parameters, macs, activations, receptive_field, stride, input, paper,
paper_top1, paper_top5, protocol. The largest comes first, text goes from A to Z; --sort=-macs is
the other way round. Unless sorted, models come in the order of their history.

csv, json and markdown print nothing but the rows on stdout; models that cannot take the images are
left out, and named on stderr. json of one model has its row, and its endpoints as `stages`.

examples:
  python launch.py models
  python launch.py models 'resnet*' --sort=macs
  python launch.py models --format=json > models.json
  python launch.py models resnet50 --picture=resnet50.png
  python launch.py models mobilenet_v1 --size=128 --set=width=0.5
  python launch.py models 'vgg*' --size=32 --num_classes=10 --format=csv
"""

import ast
import fnmatch
import sys
from pathlib import Path
from typing import Any

from absl import flags

from cnnlab.analysis import listings, tables
from cnnlab.commands import model_tables
from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.utils.console import console, say
from cnnlab.utils.registry import suggest


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    about = {
        "size": "height and width of the image; the paper's unless given",
        "channels": "channels of the image; the paper's unless given",
    }
    for name, text in about.items():
        flags.DEFINE_integer(name, None, text, lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "num_classes",
        None,
        "classes of the output, 0: features only; the paper's unless given",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "set", [], "argument of the models, key=value; can be repeated", flag_values=values
    )
    flags.DEFINE_string("sort", "", "column to sort models by", flag_values=values)
    flags.DEFINE_enum(
        "format",
        "table",
        ["table", "csv", "json", "markdown"],
        "how to print: for eyes, or for programs",
        flag_values=values,
    )
    flags.DEFINE_bool("trace", False, "trace the models anew", flag_values=values)
    define_path("picture", "", "PNG to draw the stages of one in", values)


def meant(flag: str, arguments: list[str]) -> str:
    """Return the question whether a field of a model was meant by an unknown flag, or ""."""
    from cnnlab import models

    names = {name for given in arguments for name in fnmatch.filter(models.MODELS, given)}
    if not any(flag in models.fields(name) for name in names):
        return ""
    values = [a.partition("=")[2] for a in arguments if a.lstrip("-").startswith(f"{flag}=")]
    return f"; did you mean --set={flag}={values[-1] if values else '...'}?"


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Print a table of the models whose names match, or of the stages of one."""
    if len(arguments) > 1:
        raise UserError(f"models takes one name or pattern, not {', '.join(arguments)}")
    pattern = arguments[0] if arguments else "*"
    entries = _entries(pattern, values)
    names = list(entries)
    if names == [pattern]:
        if values.sort:
            raise UserError(f"--sort is for lists: the stages of {pattern} have their own order")
        _one(pattern, entries[pattern], values)
    elif values.picture:
        raise UserError(f"a picture is of one model, not of '{pattern}': {', '.join(names)}")
    else:
        _list(entries, values)
    return 0


def _entries(pattern: str, values: flags.FlagValues) -> dict[str, dict | None]:
    """Return the models that match, with what is on file of them; None where that is not asked."""
    changed = (values.size, values.channels, values.num_classes) != (None, None, None)
    if not (values.trace or changed or values.set or values.picture):
        stored = listings.models()
        if names := fnmatch.filter(stored, pattern):
            return {name: stored[name] for name in names}
    from cnnlab import models
    from cnnlab.utils import import_path

    if import_path.is_place(pattern):
        return {pattern: None}
    names = fnmatch.filter(models.MODELS, pattern)
    if not names:
        if "." in pattern:
            # Raises: no module has this name, or an object of it is missing.
            models.architecture(pattern)
        raise UserError(
            f"no model matches '{pattern}'{suggest(pattern.strip('*?'), models.MODELS)}"
        )
    return dict.fromkeys(names)


def _list(entries: dict[str, dict | None], values: flags.FlagValues) -> None:
    # An unknown column is refused before the work.
    tables.ordered([], values.sort or "name")
    rows, failures = [], {}
    with console.status("") as status:
        for name, entry in entries.items():
            status.update(name)
            try:
                rows.append(entry or _traced(name, values)[0])
            except UserError as error:
                failures[name] = str(error)
    if not rows:
        raise UserError(next(iter(failures.values())))
    # What is on file has more than the row.
    rows = [{key: row[key] for key in tables.COLUMNS} for row in rows]
    if values.sort:
        rows = tables.ordered(rows, values.sort)
    if values.format == "table":
        model_tables.print_list(rows)
    else:
        model_tables.print_plain(rows, tables.COLUMNS, values.format)
    for name, message in failures.items():
        place = "" if message.startswith(f"{name}:") else f"{name}: "
        say(f"left out: {place}{message}", file=sys.stderr)


def _one(name: str, entry: dict | None, values: flags.FlagValues) -> None:
    if values.picture:
        from cnnlab.plots.layers.render import check_path, save_figure

        check_path(Path(values.picture), (".png",))
    if entry is None:
        entry, summary = _traced(name, values)
    model = {key: entry[key] for key in tables.COLUMNS}
    if values.picture:
        from cnnlab.plots.layers.stages import stages_figure

        save_figure(stages_figure(model, summary), Path(values.picture))
    if values.format == "json":
        say(tables.json_text({**model, "stages": entry["stages"]}), flush=True)
    elif values.format != "table":
        model_tables.print_plain(entry["stages"], tables.STAGE_COLUMNS, values.format)
    else:
        model_tables.print_one(model, entry["stages"])
    if values.picture:
        out = sys.stdout if values.format == "table" else sys.stderr
        say(f"drawn in {values.picture}", file=out)


def _traced(name: str, values: flags.FlagValues) -> tuple[dict[str, Any], Any]:
    """Return the row of a model with its stages, and its summary, with what the flags change."""
    from cnnlab import models
    from cnnlab.analysis.model_table import model_row, stage_rows
    from cnnlab.analysis.summary import summarize

    architecture = models.architecture(name)
    shape = architecture.input
    if len(shape) == 1:
        # Samples of sound.
        shape = (values.size or shape[0],)
    else:
        height, width, channels = shape
        shape = values.size or height, values.size or width, values.channels or channels
    given = _arguments(name, values.set)
    if values.num_classes is not None:
        given["num_classes"] = values.num_classes
    model = models.create(name, **given)
    with models.tracing(name, given):
        summary = summarize(model, (1, *shape))
    row = model_row(name, architecture, summary, shape)
    usual = models.fields(name)
    if shape != tuple(architecture.input) or any(usual[key] != given[key] for key in given):
        # The paper's accuracy is that of the paper's network.
        row |= dict.fromkeys(("paper_top1", "paper_top5")) | {"protocol": ""}
    return {**row, "stages": stage_rows(summary)}, summary


def _arguments(name: str, texts: list[str]) -> dict[str, Any]:
    """Return `key=value` texts as values of the types that the fields of a model have.

    `backbone.width=0.5` is of the model in it that is the field `backbone`.
    """
    from cnnlab import models

    usual, found = models.fields(name), {}
    inner: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set={text} must be --set=key=value, such as --set=width=0.5")
        field, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(field, []).append(f"{rest}={value}")
        else:
            if key == "name":
                raise UserError(f"--set={text}: give another model in place of this one: {value}")
            # A model that has no such argument says so itself.
            found[key] = _read(key, value, usual.get(key, ""))
    for field, given in inner.items():
        names = [text.removeprefix("name=") for text in given if text.startswith("name=")]
        nested = names[-1] if names else (usual.get(field) or {}).get("name")
        if not nested:
            raise UserError(f"--set={field}.{given[0]}: which model? --set={field}.name=resnet18")
        others = [text for text in given if not text.startswith("name=")]
        kept = {} if names else usual[field]
        found[field] = {**kept, "name": nested, **_arguments(nested, others)}
    return found


def _read(key: str, text: str, default: Any) -> Any:
    kind = type(default)
    if kind is str:
        return text
    try:
        value = ast.literal_eval(text.title() if kind is bool else text)
    except (ValueError, SyntaxError):
        value = None
    if kind is float and type(value) is int:
        value = float(value)
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if type(value) is not kind:
        raise UserError(f"--set={key}={text} must be of type {kind.__name__}, such as {default}")
    return value
