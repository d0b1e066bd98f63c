"""What TensorBoard shows of a finished run: hyperparameters, final numbers and table, figures.

Hyperparameters and final metrics are those of the HPARAMS tab, where the runs of a sweep compare.
They lie in a file of their own, as TensorBoard goes on to a newer file of a folder for good.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cnnlab.metrics.formatting import format_value, natural
from cnnlab.training import run_folder
from cnnlab.training.event_file import EventFile
from cnnlab.utils.files import read_file

SUFFIX = ".summary"
# Of a table: two columns of text, and numbers by name.
Line = tuple[str, str, Mapping[str, float]]
# Entries that change no number of a run, or that are compared otherwise.
LEFT_OUT = (
    *("checkpoint", "evaluate", "eval_every", "log_every", "representation"),
    *("data.data_dir", "data.eval", "data.grain", "data.keys", "data.on_corrupt"),
    *("data.placement", "deterministic", "parallel", "steps_per_dispatch"),
)


def write(workdir: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Write or replace the summary of a run in `tensorboard/`.

    Args:
        workdir: of the run, with its figures.
        config: of the run.
        result: what `result.json` has: `steps`, `results`, `floors`, `representation`.
    """
    from tensorboardX import summary

    folder, step = workdir / "tensorboard", result["steps"]
    for earlier in folder.glob(f"*{SUFFIX}"):
        earlier.unlink()
    events = EventFile(folder, suffix=SUFFIX)
    metrics = {}
    best = bool(config["checkpoint"]["best"])
    for name, value in final_metrics(result, best).items():
        made = summary.scalar(name, value)
        # As TensorBoard spells it.
        metrics[made.value[0].tag] = value
        events.add(made, step)
    for part in summary.hparams(hyperparameters(config), metrics):
        events.add(part, step)
    events.add(summary.text("results", table(result)), step)
    for path in sorted((workdir / "figures").rglob("*.png")):
        name = path.relative_to(workdir).with_suffix("").as_posix()
        events.add(_image(name, path), step)
    events.close()


def hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a config that a run was trained by, under dotted names.

    Of what is chosen by name (optimizer, schedule) only the entries of the choice count.
    """
    flat = run_folder.flatten(_chosen(config))
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in flat.items()
        if not any(name == part or name.startswith(f"{part}.") for part in LEFT_OUT)
    }


def _chosen(entry: Mapping[str, Any]) -> dict[str, Any]:
    name, kept = entry.get("name"), {}
    for key, value in entry.items():
        if not isinstance(value, Mapping):
            kept[key] = value
        elif name is None or key == name or "name" in value:
            kept[key] = _chosen(value)
    return kept


def final_metrics(result: Mapping[str, Any], best: bool) -> dict[str, float]:
    """Return the numbers of the last state, and with `best` of the best, by name.

    A run whose last state is its best has both too, so that it compares with others.
    """
    found: dict[str, float] = {}
    last = run_folder.last_results(result)
    other = next((v for k, v in result["results"].items() if k.startswith("best")), last)
    for place, values in (("final", last), ("best", other if best else {})):
        found |= {f"{place}/{name}": value for name, value in values.items()}
    for row in result.get("representation", []):
        if " (step" in row["encoder"]:
            where = f"final/{row['split']}/{row['protocol']}"
            found |= {f"{where}_{k}/{row['endpoint']}": v for k, v in row["values"].items()}
    return found


def table(result: Mapping[str, Any]) -> str:
    """Return the closing tables of a run in Markdown: results and baselines, representation."""
    lines = {**result["results"], **{f"baseline: {k}": v for k, v in result["floors"].items()}}
    rows: list[Line] = []
    for protocol, values in lines.items():
        for split in sorted({name.partition("/")[0] for name in values}):
            own = {n.partition("/")[2]: v for n, v in values.items() if n.startswith(f"{split}/")}
            rows.append((protocol, split, own))
    blocks = [_markdown(("protocol", "split"), rows)]
    protocols: dict[str, list[Line]] = {}
    for row in result.get("representation", []):
        place = f"{row['protocol']} on {row['split']}"
        protocols.setdefault(place, []).append((row["encoder"], row["endpoint"], row["values"]))
    for place, rows in protocols.items():
        blocks.append(f"**{place}**\n\n{_markdown(('encoder', 'endpoint'), rows)}")
    return "\n\n".join(blocks)


def _markdown(head: tuple[str, str], rows: Sequence[Line]) -> str:
    names = sorted({name for _, _, values in rows for name in values}, key=natural)
    cells = [
        [first, second, *(format_value(name, values.get(name)) for name in names)]
        for first, second, values in rows
    ]
    lines = [[*head, *names], ["---", "---", *("---:" for _ in names)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _image(name: str, path: Path) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary

    data = read_file(path)
    with Image.open(io.BytesIO(data)) as opened:
        (width, height), channels = opened.size, len(opened.getbands())
    image = Summary.Image(
        encoded_image_string=data, height=height, width=width, colorspace=channels
    )
    return Summary(value=[Summary.Value(tag=name, image=image)])
