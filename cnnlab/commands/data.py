"""List the data sets, show one, or prepare a standard one.

usage: python launch.py data [NAME] [--split=SPLIT] [--sheet=PNG]
       python launch.py data NAME --anchors=SIZES [--ratios=RATIOS] [--stride=PIXELS]
       python launch.py data prepare NAME [--data_dir=FOLDER]

NAME is an embedded set (digits, shapes, scenes, glyphs, tones), a TFDS set (mnist, cifar10,
imagenette, imagenet2012, ...), folder:/path with a folder of images per class, wav:/path with one
of sounds, npz:/path, or a published set in its own files: idx:/path (MNIST), cifar:/path,
omniglot:/path, voc:/path, coco:/path, flow:/path or stereo:/path. SPLIT is any TFDS split
expression. Embedded sets are built on first use; a standard one is prepared once, which needs
TensorFlow (requirements-data.txt) and the network, and is read afterwards with neither. --anchors
says how many objects no anchor of these sizes reaches.

examples:
  python launch.py data
  python launch.py data shapes --split='train[:10%]' --sheet=runs/shapes.png
  python launch.py data folder:/data/flowers
  python launch.py data shapes --anchors=12,18,26,36 --stride=4
  python launch.py data prepare cifar10
"""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.utils.console import one_line, say

STANDARD = "TFDS sets such as mnist, cifar10, imagenette, imagenet2012 (data prepare NAME first)"


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    flags.DEFINE_string("split", "train", "split expression", flag_values=values)
    define_path("sheet", "", "PNG to draw samples in", values)
    flags.DEFINE_integer(
        "samples",
        40,
        "images on the sheet",
        lower_bound=1,
        # A PNG of matplotlib's has at most 65,536 pixels a side.
        upper_bound=2000,
        flag_values=values,
    )
    flags.DEFINE_list("anchors", [], "sizes of anchors in pixels", flag_values=values)
    flags.DEFINE_list("ratios", ["0.5", "1", "2"], "their heights by widths", flag_values=values)
    flags.DEFINE_integer(
        "stride", 16, "pixels between places of anchors", lower_bound=1, flag_values=values
    )
    flags.DEFINE_enum(
        "exif", "apply", ["apply", "ignore"], "EXIF orientation of image files", flag_values=values
    )
    define_path(
        "data_dir", "", "where prepared sets lie (default: CNNLAB_DATA or TFDS's folder)", values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """List, show or prepare."""
    if not arguments:
        return _list()
    if arguments[0] == "prepare":
        if len(arguments) != 2:
            raise UserError("data prepare needs one name, as in: data prepare mnist")
        from cnnlab.data.sources.tfds_prepare import prepare

        say(f"prepared in {prepare(arguments[1], values.data_dir)}")
        return 0
    if len(arguments) != 1:
        raise UserError(f"data shows one set at a time, not {', '.join(arguments)}")
    return _show(arguments[0], values)


def _list() -> int:
    from cnnlab.data.builders import EMBEDDED, builder_class

    for name in EMBEDDED:
        module = sys.modules[builder_class(name).__module__]
        # "`digits`: what it is."
        say(f"{name:10} {(module.__doc__ or '').partition(': ')[2].splitlines()[0]}")
    say(f"{'NAME':10} {STANDARD}")
    say(f"{'folder:P':10} a folder of images per class, in P or in P/train, P/val, P/test")
    say(f"{'wav:P':10} a folder of wav files per class, such as a speaker, likewise")
    say(f"{'sound:P':10} with flac, ogg and mp3 beside wav (needs soundfile)")
    say(f"{'':10} P may be a pattern, as wav:/path/{{label}}_{{speaker}}_{{take}}.wav")
    say(f"{'npz:P':10} arrays image and label, or train_image, train_label, test_image, ...")
    say(f"{'idx:P':10} MNIST's four idx files; likewise Fashion-MNIST and KMNIST")
    say(f"{'cifar:P':10} batches of CIFAR-10 or CIFAR-100, binary or Python's")
    say(f"{'omniglot:P':10} Omniglot's folders, with Vinyals' split and the one-shot runs")
    say(f"{'voc:P':10} images with boxes, in the layout of PASCAL VOC")
    say(f"{'coco:P':10} the same in COCO's, or P/FILE.json; coco_masks:P, coco_keypoints:P")
    say(f"{'flow:P':10} two frames and their optical flow; likewise stereo:P and depth:P")
    say(f"{'cityscapes:P':10} label maps; likewise voc_segmentation:P and camvid:P")
    return 0


def _show(name: str, values: flags.FlagValues) -> int:
    import numpy as np

    from cnnlab.data.sources import source as sources

    if values.sheet:
        from cnnlab.plots.layers.render import check_path

        check_path(Path(values.sheet), (".png",))
    source = sources.load(name, values.split, data_dir=values.data_dir, exif=values.exif)
    if hasattr(source, "check"):
        source.check()
    info = source.info
    say(f"{info.name}, split {info.split}: {len(source):,} examples")
    for key, (shape, dtype) in sorted(info.spec.items()):
        sides = f"({', '.join('?' if n is None else str(n) for n in shape)})"
        say(f"  {key:12} {dtype:8} {sides:12} {info.kinds.get(key, '')}".rstrip())
    if info.class_names:
        shown = ", ".join(map(one_line, info.class_names[:20])) + (
            " ..." if len(info.class_names) > 20 else ""
        )
        say(f"  {len(info.class_names)} classes: {shown}")
    if values.anchors:
        _reach(source, values)
    # At random: a stride through labels that go round would show some of the classes alone.
    drawn = np.random.default_rng(0).choice(
        len(source), min(values.samples, len(source)), replace=False
    )
    if "image" not in info.spec or len(source) == 0:
        if values.sheet:
            raise UserError(f"--sheet draws images, and '{name}' has none: leave it out")
        for index in drawn:
            source[int(index)]  # What cannot be read is an error here too.
        return 0
    from cnnlab.plots import run_figures, style, targets

    images, captions = [], []
    for index in np.sort(drawn):
        example = source[int(index)]
        marked = info.kinds.keys() & example.keys()
        images.append(
            targets.draw(example, info.kinds, run_figures.THUMBNAIL)
            if any(info.kinds[key] in targets.DRAWN for key in marked)
            else run_figures.thumbnail(example["image"])
        )
        captions.append(_caption(example, info.class_names))
    path = Path(values.sheet or f"runs/{_file_name(name, values.split)}.png")
    sheet = run_figures.image_sheet(
        images,
        captions,
        title=f"{info.name}, {info.split}: {len(images)} of {len(source):,} at random",
    )
    style.save(sheet, path)
    say(f"samples drawn in {path}")
    return 0


def _reach(source: Any, values: flags.FlagValues) -> None:
    """Say how many objects no anchor overlaps by the thresholds of Faster R-CNN."""
    import numpy as np

    from cnnlab.data.anchor_coverage import coverage
    from cnnlab.metrics.formatting import format_value

    sizes, ratios = _numbers("anchors", values.anchors), _numbers("ratios", values.ratios)
    found = coverage(source, sizes, ratios, values.stride)
    say(f"  anchors against {len(found.boxes):,} objects of {found.images:,} images at random:")
    for threshold in (0.5, 0.7):
        missed = found.missed(threshold)
        share = format_value("accuracy", len(missed) / max(1, len(found.boxes)))
        line = f"    no anchor of IoU {threshold}: {len(missed):,} ({share})"
        if len(missed):
            sides = np.median(missed[:, 2:] - missed[:, :2], axis=0)
            line += ", median height and width {:.0f} and {:.0f} pixels".format(*sides)
        say(line)


def _numbers(name: str, texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise UserError(f"--{name}={','.join(texts)}: write numbers, as 16,32,64") from None


def _file_name(name: str, split: str) -> str:
    """Return what to call the sheet of a set: the last folder of its path, without odd letters."""
    _, colon, place = name.partition(":")
    stem = Path(place).resolve().name if colon else name
    return re.sub(r"[^\w.-]+", "_", f"{stem}_{split}").lstrip(".")[:100]


def _caption(example: dict, names: tuple[str, ...]) -> str:
    def name(label: int) -> str:
        return names[label] if 0 <= label < len(names) else str(label)

    if "label" in example:
        return name(int(example["label"]))
    counts = Counter(int(label) for label in example.get("classes", ()))
    return ", ".join(f"{count} {name(label)}" for label, count in sorted(counts.items()))
