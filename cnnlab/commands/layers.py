"""List the layers with paper, formula and parameters; check or show them, or draw one at work.

usage: python launch.py layers [PATTERN] [--check] [--trace]
       python launch.py layers NAME [--picture=FILE.gif|FILE.png] [--pass=backward] [--flags]
       python launch.py layers --receptive_field=MODEL [--picture=FILE.png] [--image=FILE]
       python launch.py layers --effective=FILE.png
       python launch.py layers --box_losses=FILE.png

The check compares a layer with a case that was worked by hand: of one layer always unless
--nocheck, of a list with --check. The list is from a file, which the tests hold to the layers;
--trace counts parameters anew, and checks. A picture shows it at work, step by
step on one channel: a GIF moves, a PNG has all steps side by side. The numbers are the lecture's
unless sizes say otherwise. With --receptive_field the picture frames what the middle unit of each
endpoint of a model sees of an image of the size that the paper has, or of --size; --effective plots
how much each pixel of it matters; --box_losses where the gradients of IoU, GIoU, DIoU and CIoU move
a box.

examples:
  python launch.py layers
  python launch.py layers 'conv*' --check
  python launch.py layers conv
  python launch.py layers conv --picture=conv.gif --pass=backward
  python launch.py layers conv --picture=conv.png --size=5 --kernel=3 --stride=2 --padding=1
  python launch.py layers --receptive_field=lenet5 --picture=fields.png
  python launch.py layers --effective=effective.png
  python launch.py layers --box_losses=boxes.png
"""

import fnmatch
from pathlib import Path

from absl import flags

from cnnlab.analysis import listings
from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.utils.console import say
from cnnlab.utils.installation import COMMAND
from cnnlab.utils.registry import suggest, whole


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    flags.DEFINE_bool(
        "check", None, "compare with the worked example; one layer always", flag_values=values
    )
    flags.DEFINE_bool("trace", False, "count parameters anew, and check", flag_values=values)
    define_path("picture", "", "file to draw in: .gif or .png", values)
    flags.DEFINE_enum(
        "pass", "forward", ["forward", "backward"], "which pass to draw", flag_values=values
    )
    about = {"size": "height and width of the input", "kernel": "height and width of the window"}
    about |= {"stride": "steps between windows", "dilation": "distance of taps"}
    for name, text in about.items():
        flags.DEFINE_integer(
            name, None, f"{text}, of the picture", lower_bound=1, flag_values=values
        )
    flags.DEFINE_string(
        "padding", None, "of the picture: a number, SAME or VALID", flag_values=values
    )
    flags.DEFINE_string(
        "receptive_field", "", "model whose fields to list and draw", flag_values=values
    )
    flags.DEFINE_list(
        "endpoints", [], "of that model, separated by commas; all unless given", flag_values=values
    )
    define_path("image", "", "image to draw them on; one of `shapes` unless given", values)
    define_path("effective", "", "PNG to plot effective fields in", values)
    define_path("box_losses", "", "PNG to draw descents of boxes in", values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """List, show or draw."""
    if len(arguments) > 1:
        raise UserError(f"layers takes one name or pattern, not {', '.join(arguments)}")
    if values.receptive_field or values.effective or values.box_losses:
        if arguments:
            raise UserError(
                f"'{arguments[0]}' does not go with --receptive_field, --effective or "
                "--box_losses, which are of a model, of stacks of convolutions and of boxes"
            )
        if values.receptive_field:
            _fields(values)
        if values.effective:
            _effective(Path(values.effective))
        if values.box_losses:
            _box_losses(Path(values.box_losses))
        return 0
    pattern = arguments[0] if arguments else "*"
    entries = _entries(pattern, values.trace)
    if pattern in entries:
        return _show(pattern, values)
    if values.picture:
        raise UserError(f"a picture is of one layer, not of '{pattern}': {', '.join(entries)}")
    return _list(entries, values)


def _entries(pattern: str, trace: bool) -> dict[str, dict]:
    """Return what the list shows of the layers that match: from file, or counted anew."""
    stored = {} if trace else listings.layers()
    if names := fnmatch.filter(stored, pattern):
        return {name: stored[name] for name in names}
    from cnnlab.layers.catalog import LAYERS
    from cnnlab.layers.catalog.describe import entry

    if names := fnmatch.filter(LAYERS, pattern):
        return {name: entry(name, LAYERS[name]) for name in names}
    raise UserError(f"no layer '{pattern}'{suggest(pattern, LAYERS)}")


def _list(entries: dict[str, dict], values: flags.FlagValues) -> int:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from cnnlab.utils.console import output

    check = values.trace if values.check is None else values.check
    console = output()
    titles = ["layer", "parameters", *(["check"] if check else []), "paper, formula"]
    table = Table(*titles, box=box.SIMPLE, show_lines=True)
    table.columns[0].no_wrap = True
    table.columns[1].justify = "right"
    table.columns[-1].overflow = "fold"
    wrong = []
    with console.status("") as status:
        for name, entry in entries.items():
            status.update(name)
            cells = [name, f"{entry['parameters']:,}"]
            if check:
                from cnnlab.layers.catalog import LAYERS
                from cnnlab.layers.catalog.describe import compare

                right, words = compare(LAYERS[name])
                wrong += [] if right else [name]
                cells.append(words)
            # As Text: brackets of a formula would be taken for markup.
            formula = Text(f"{entry['paper']}\n{entry['formula']}")
            table.add_row(*map(Text, cells), formula)
    console.print(table)
    return _verdict(wrong)


def _verdict(wrong: list[str]) -> int:
    import sys

    if wrong:
        say(f"not as worked by hand: {', '.join(wrong)}", file=sys.stderr)
    return bool(wrong)


def _show(name: str, values: flags.FlagValues) -> int:
    from cnnlab.layers.catalog import LAYERS
    from cnnlab.layers.catalog.describe import compare, describe
    from cnnlab.plots.layers.pictures import PICTURES

    if values.picture:
        if name not in PICTURES:
            raise UserError(f"there is no picture of '{name}'; there is of: {', '.join(PICTURES)}")
        _draw(name, values)
    say(describe(name, LAYERS[name]))
    right = True
    if values.check is not False:
        right, words = compare(LAYERS[name])
        say(f"check       {words}")
    if values.picture:
        say(f"drawn in {values.picture}")
    elif name in PICTURES:
        say(f"picture     {' '.join(COMMAND)} layers {name} --picture={name}.gif [--pass=backward]")
    return _verdict([] if right else [name])


def _draw(name: str, values: flags.FlagValues) -> None:
    from cnnlab.plots.layers.pictures import picture
    from cnnlab.plots.layers.render import save

    padding = values.padding
    if padding is not None:
        number = whole(padding.removeprefix("-")) is not None
        padding = int(padding) if number else padding.upper()
    options = {key: values[key].value for key in ("size", "kernel", "stride", "dilation")}
    frames = picture(name, backward=values["pass"].value == "backward", padding=padding, **options)
    save(frames, Path(values.picture))


def _fields(values: flags.FlagValues) -> None:
    from rich.table import Table

    from cnnlab import models
    from cnnlab.analysis.summary import summarize
    from cnnlab.plots.layers.overlay import boxes_of, overlay
    from cnnlab.plots.layers.render import save_figure
    from cnnlab.utils import memory
    from cnnlab.utils.console import output

    name = values.receptive_field
    shape = models.architecture(name).input
    if len(shape) != 3:
        raise UserError(f"--receptive_field={name}: it takes no images; see: models {name}")
    height, width, channels = shape
    if values.size:
        height = width = values.size
    if values.picture:
        # Colors as floats, for matplotlib.
        memory.check(16 * height * width, f"a picture of {height}x{width} pixels")
    with models.tracing(name, {}):
        summary = summarize(models.create(name), (1, height, width, channels))
    rows = [summary.row(name) for name in values.endpoints] or list(summary.rows)
    table = Table("endpoint", "shape", "field", "stride", "start")
    for row in rows:
        if None in row.receptive_field:
            places = ["all", "-", "-"]
        else:
            places = [
                "×".join(map(str, row.receptive_field)),
                "×".join(f"{n:g}" for n in row.stride),
                ", ".join(f"{n:g}" for n in row.start),
            ]
        table.add_row(row.name, "×".join(map(str, row.shape[1:])), *places)
    output().print(table)
    if values.picture:
        image = _image(values.image, height, width, channels)
        boxes = boxes_of(rows, (height, width))
        figure = overlay(image, boxes, f"what {name} sees of {height}×{width} pixels")
        save_figure(figure, Path(values.picture))
        say(f"drawn in {values.picture}")


def _image(path: str, height: int, width: int, channels: int):
    """Return the middle of an image, or a picture of `shapes`, as a network takes it."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    if path:
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"--image={path} cannot be read as an image: {error}") from None
    else:
        from cnnlab.data.sources import source

        image = Image.fromarray(source.load("shapes", "test[:1]")[0]["image"])
    image = ImageOps.fit(image if channels == 3 else image.convert("L"), (width, height))
    return np.asarray(image).reshape(height, width, -1)


def _effective(path: Path) -> None:
    import jax

    from cnnlab.plots.layers.effective import effective_figure
    from cnnlab.plots.layers.render import check_path, save_figure

    check_path(path, (".png",))
    save_figure(effective_figure(jax.random.key(0)), path)
    say(f"effective receptive fields drawn in {path}")


def _box_losses(path: Path) -> None:
    from cnnlab.plots.layers.box_losses import box_losses_figure
    from cnnlab.plots.layers.render import check_path, save_figure

    check_path(path, (".png",))
    save_figure(box_losses_figure(), path)
    say(f"descents of boxes drawn in {path}")
