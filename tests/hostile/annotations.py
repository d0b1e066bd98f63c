"""Boxes, masks, keypoints and label maps whose annotations are damaged, or of something else."""

import contextlib
import io
import json
import logging
from pathlib import Path

import numpy as np
from hostile.row import SMALL, Row, Table, change, place, remove
from PIL import Image

from cnnlab.data.sources import source

SIZE = (20, 30)
SQUARE = [[2.0, 3.0, 12.0, 3.0, 12.0, 9.0, 2.0, 9.0]]
FILE = "coco/annotations/instances_train.json"
PEOPLE = "coco/annotations/person_keypoints_train.json"
AT = "image 7, annotation 1"


def opened(name, split="train"):
    """Make what opens a set, checks it and reads all of it; returns its warnings and lengths."""

    def read(folder):
        text = io.StringIO()
        log, handler = logging.getLogger("cnnlab"), logging.StreamHandler(text)
        log.addHandler(handler)
        kind, _, rest = name.partition(":")
        with contextlib.ExitStack() as after:
            after.callback(log.removeHandler, handler)
            found = source.load(f"{kind}:{folder}/{rest}", split)
            found.check()
            examples = [found[index] for index in range(len(found))]
        counts = [len(example.get("boxes", ())) for example in examples]
        return f"{text.getvalue()} objects of the images: {counts}"

    return read


def pixels(*shape, kind=np.uint8):
    """A PNG of zeros."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros(shape, kind)).save(buffer, "PNG")
    return buffer.getvalue()


def annotated(number=1, bbox=(2, 3, 10, 6), **more):
    """An annotation of image 7."""
    row = {"id": number, "image_id": 7, "category_id": 9, "bbox": list(bbox), "area": 60}
    return {**row, "segmentation": SQUARE, "keypoints": [5, 6, 2], "iscrowd": 0, **more}


def text(*rows, **changes):
    """A file of annotations."""
    images = [
        {"id": n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in (7, 8)
    ]
    content = {"images": images, "annotations": list(rows)}
    categories = [{"id": 9, "name": "dog", "keypoints": ["nose"]}]
    return json.dumps({**content, "categories": categories, **changes})


def coco(name, words, *rows, kind="coco", works=False, **changes):
    """A row of another file of COCO's."""
    file = PEOPLE if kind == "coco_keypoints" else FILE
    made = place(file, text(*rows, **changes))
    return Row(f"{kind}: {name}", words, made, opened(f"{kind}:coco"), works)


def raw(name, words, content, kind="coco"):
    """A row of a file that is none of COCO's."""
    return Row(f"{kind}: {name}", words, place(FILE, content), opened(f"{kind}:coco"))


def runs(counts, size=SIZE):
    """An annotation whose mask is run lengths."""
    return annotated(segmentation={"counts": counts, "size": list(size)})


IMAGE = {"id": 7, "file_name": "7.png", "height": 20, "width": 30}
ROWS = [
    coco(
        "width below 0", f"{AT}: [x, y, width, height]", annotated(bbox=(9, 9, -5, 4)), works=True
    ),
    coco("outside the image", f"{AT}: [x, y, width", annotated(bbox=(99, 9, 5, 4)), works=True),
    coco("a box that is NaN", f"{AT}: bbox is [1, 2, nan, 3]", annotated(bbox=(1, 2, np.nan, 3))),
    coco("an infinite box", f"{AT}: bbox is", annotated(bbox=(1, 2, np.inf, 3))),
    coco("a box of 400 digits", f"{AT}: bbox is", annotated(bbox=(1, 2, 10**400, 3))),
    coco("a box of text", f"{AT}: bbox is 1234", annotated() | {"bbox": "1234"}),
    coco("no box", f"{AT}: bbox is missing", annotated() | {"bbox": None}),
    coco("corners", "may be of another format", annotated(bbox=(14, 12, 28, 18)), works=True),
    coco("shares", "may be shares of it", annotated(bbox=(0.1, 0.2, 0.5, 0.5)), works=True),
    coco("no such category", f"{AT}: category 5 is not declared", annotated(category_id=5)),
    coco("a list of categories", f"{AT}: category None is", annotated(category_id=[9])),
    coco("no such image", "image 3, annotation 1: there is no", annotated(image_id=3)),
    coco("a list of images", "image None, annotation 1", annotated(image_id=[7])),
    coco("an annotation twice", "the id 1 is that of two annotations", annotated(), annotated()),
    coco("an image twice", "the id 7 is that of two images", images=[IMAGE, IMAGE]),
    coco("an id of text", "annotation number 0 has the id '1'", annotated("1")),
    coco("an id of 400 digits", "image number 0 has the id", images=[{**IMAGE, "id": 10**400}]),
    coco("an image of id 2^31", "ids of images are below 2^31", images=[{**IMAGE, "id": 2**31}]),
    coco("an area of text", f"{AT}: area is ['large'], not a number", annotated(area="large")),
    coco("an area that is NaN", f"{AT}: area is [nan]", annotated(area=np.nan)),
    coco("an image without size", "image 7: no height", images=[{"id": 7, "file_name": "7.png"}]),
    coco("an image of no height", "image 7: no height", images=[{**IMAGE, "height": 0}]),
    coco("an image that is NaN wide", "image 7: no height", images=[{**IMAGE, "width": np.nan}]),
    coco("an image without a name", "image 7: no height", images=[{**IMAGE, "file_name": None}]),
    coco(
        "a file in no folder",
        "7.png (index 0): there is no",
        images=[{**IMAGE, "file_name": "x/7.png"}],
    ),
    coco("no annotations", "objects of the images: [0, 0]", works=True),
    coco("crowds alone", "all 1 objects are crowds", annotated(iscrowd=1), works=True),
    coco("no images", "instances_train.json has no images", images=[]),
    coco("no categories", "declares no categories", categories=[]),
    coco("a category of no name", "category 9: no name", categories=[{"id": 9}]),
    coco("images that are no list", "has no 'images'", images={}),
    coco("annotations of numbers", "has no 'annotations'", annotations=[1]),
    raw("cut short", "instances_train.json is damaged", text(annotated())[:100]),
    raw("empty", "instances_train.json is damaged", ""),
    raw("bytes", "no text in UTF-8", b"\xff\xfe"),
    raw("a web page", "instances_train.json is damaged", "<html>"),
    raw("results of a detector", "has no 'images', it has: a list", json.dumps([annotated()])),
    raw("of another tool", "it has: version, shapes", json.dumps({"version": 1, "shapes": []})),
    coco("captions", "has no 'categories'", annotated(), categories=None),
    coco(
        "panoptic segments",
        "annotation number 0 has the id 'None'",
        {"image_id": 7, "file_name": "7.png", "segments_info": []},
    ),
    Row("coco: an image missing", "8.png (index 1): there is no", remove("coco/train/8.png")),
    Row(
        "coco: an image of another size",
        "20 x 20 pixels, and the annotations of image 8 have 20 x 30",
        place("coco/train/8.png", pixels(20, 20, 3)),
    ),
    Row(
        "coco: an image that is text",
        "cannot decode image",
        place("coco/train/8.png", "text"),
    ),
    Row(
        "coco: an image missing, before the first step",
        "8.png (index 1): there is no such file",
        remove("coco/train/8.png"),
        f"train {SMALL} --workdir=w --config.data.source=coco:coco --config.data.placement=grain",
    ),
    coco("runs too short", f"{AT}: its segmentation is no mask", runs([3, 4]), kind="coco_masks"),
    coco("runs below 0", "run lengths of 600", runs([-1, 601]), kind="coco_masks"),
    coco("runs of another image", "5 x 6 pixels, and", runs([30], (5, 6)), kind="coco_masks"),
    coco("runs of no text", "no text of run lengths", runs("\t"), kind="coco_masks"),
    coco("runs cut short", "ends within a number", runs("6X"), kind="coco_masks"),
    coco("runs of words", f"{AT}: its segmentation", runs(["a"]), kind="coco_masks"),
    coco("an odd polygon", f"{AT}: its", annotated(segmentation=[[1, 2, 3]]), kind="coco_masks"),
    coco("a file for a mask", f"{AT}: its", annotated(segmentation="7.png"), kind="coco_masks"),
    coco(
        "a polygon that is NaN",
        f"{AT}: its segmentation is no mask: a coordinate",
        annotated(segmentation=[[1, 2, np.nan, 4, 5, 6]]),
        kind="coco_masks",
    ),
    coco(
        "a mask beside its box",
        "1 of 1 masks do not fill their boxes (an IoU below 0.5), the first: ",
        annotated(bbox=(20, 3, 10, 6)),
        kind="coco_masks",
        works=True,
    ),
    coco("no masks", "no annotation has a seg", annotated(segmentation=[]), kind="coco_masks"),
    coco("no keypoints", f"{AT}: keypoints", annotated(keypoints=None), kind="coco_keypoints"),
    coco("two keypoints", "not 3 numbers", annotated(keypoints=[1] * 6), kind="coco_keypoints"),
    coco(
        "a keypoint of text", "['a', 1, 2]", annotated(keypoints=["a", 1, 2]), kind="coco_keypoints"
    ),
    coco(
        "categories without keypoints",
        "its categories declare no keypoints",
        categories=[{"id": 9, "name": "dog"}],
        kind="coco_keypoints",
    ),
]

XML = """<annotation><filename>a.png</filename><size><width>{}</width><height>{}</height></size>
<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
</object></annotation>"""


def voc(name, words, *box, label="dog", size=(30, 20), works=False):
    """A row of another XML."""
    made = place("voc/Annotations/a.xml", XML.format(*size, label, *box))
    return Row(f"voc: {name}", words, made, opened("voc:voc"), works)


def damaged(name, words, make):
    """A row of VOC's."""
    return Row(f"voc: {name}", words, make, opened("voc:voc"))


ROWS += [
    voc("corners swapped", "a.xml, object 1: {'ymin': 9.0", 9, 9, 2, 2, works=True),
    voc("outside the image", "a.xml, object 1: {'ymin'", 50, 9, 60, 12, works=True),
    voc("a box that is NaN", "a.xml, object 1: bndbox/xmax is 'nan'", 1, 1, "nan", 5),
    voc("a box of words", "object 1: bndbox/xmin is 'one', not a number", "one", 1, 2, 3),
    voc("a box that ends outside", "may be of another format", 5, 5, 90, 90, works=True),
    voc("shares of the image", "may be shares of it", 0.1, 0.2, 0.5, 0.6, works=True),
    voc("no name", "a.xml, object 1 has no name", 1, 1, 5, 5, label=""),
    voc("no size", "a.xml: size is 0 x 0", 1, 1, 5, 5, size=(0, 0)),
    voc("another size", "20 x 30 pixels, and a.xml has 30 x 20", 1, 1, 5, 5, size=(20, 30)),
    damaged("an image missing", "JPEGImages/a.png (index 0)", remove("voc/JPEGImages/a.png")),
    damaged("an XML cut short", "a.xml is no XML", place("voc/Annotations/a.xml", XML[:60])),
    damaged("JSON for XML", "a.xml is no XML", place("voc/Annotations/a.xml", "{}")),
    damaged("no annotations", "has no annotations", remove("voc/Annotations/a.xml")),
    damaged(
        "entities",
        "declares entities",
        place("voc/Annotations/a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>"),
    ),
    damaged(
        "an image twice in a list",
        "the list train.txt has 1 image(s) more than once, the first 'a'",
        place("voc/ImageSets/Main/train.txt", "a\na\n"),
    )._replace(works=True),
    damaged(
        "a list of no image",
        "the list train.txt has 'b'",
        place("voc/ImageSets/Main/train.txt", "a\nb\n"),
    ),
]


def palette(value):
    """A label map of a palette."""
    image = Image.fromarray(np.full(SIZE, value, np.uint8))
    image = image.convert("P")
    image.putdata([value] * (SIZE[0] * SIZE[1]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def labels(name, words, content):
    """A row of another label map."""
    return Row(
        f"camvid: {name}", words, place("cam/trainannot/a.png", content), opened("camvid:cam")
    )


ROWS += [
    labels("labels of 16 bits", "not I;16", pixels(*SIZE, kind=np.uint16)),
    labels("labels of colors", "8 bits of gray, not RGB", pixels(*SIZE, 3)),
    labels("unknown labels", "a.png (index 0): it has the unknown label(s) 77", palette(77)),
    labels("another size", "20 x 20 pixels, and its image has 20 x 30", pixels(20, 20)),
    labels("text", "cannot decode image", "text"),
    Row(
        "camvid: no labels",
        "has no trainannot/a.png",
        remove("cam/trainannot/a.png"),
        opened("camvid:cam"),
    ),
    Row("camvid: no images", "has no label maps", remove("cam/train/a.png"), opened("camvid:cam")),
    Row(
        "cityscapes: train ids",
        "has no gtFine/train/x/a_gtFine_labelIds.png",
        change(
            place("city/leftImg8bit/train/x/a_leftImg8bit.png", pixels(*SIZE, 3)),
            place("city/gtFine/train/x/a_gtFine_labelTrainIds.png", pixels(*SIZE)),
        ),
        opened("cityscapes:city"),
    ),
    Row(
        "voc_segmentation: an image missing",
        "JPEGImages/b.jpg (index 0): there is no such file",
        change(
            place("voc/ImageSets/Segmentation/train.txt", "b"),
            place("voc/SegmentationClass/b.png", pixels(*SIZE)),
        ),
        opened("voc_segmentation:voc"),
    ),
]


def flow(name, words, content, file="flow_gt.png"):
    """A row of another file of flow."""
    made = place(f"pair/{file}", content)
    patterns = f"//frame1.png,frame2.png,{file}"
    return Row(f"flow: {name}", words, made, opened(f"flow:pair{patterns}"))


FLO = b"PIEH" + np.array([30, 20], "<i4").tobytes()
ROWS += [
    flow("colors of 8 bits", "of 16 bits, it has 3 of 8", pixels(*SIZE, 3)),
    flow(
        "a depth", "wanted 3 channel(s) of 16 bits, it has 1 of 16", pixels(*SIZE, kind=np.uint16)
    ),
    flow("text", "flow_gt.png (index 0): no whole PNG", "text"),
    flow("another magic number", "those of .flo b'PIEH'", b"text", "a.flo"),
    flow("a .flo cut in its head", "ends within its head", FLO[:7], "a.flo"),
    flow("a .flo cut short", "20 x 30 x 2 numbers of 4 bytes, and 99", FLO + bytes(99), "a.flo"),
    flow("a .flo of 2^62 pixels", "4 bytes, and 0", b"PIEH" + b"\xff\xff\xff\x7f" * 2, "a.flo"),
    flow("a .pfm without head", "no head of a .pfm", b"P6 30 20 255 ", "a.pfm"),
    Row(
        "flow: no second frame",
        "frame2.png (index 0): there is no",
        remove("pair/frame2.png"),
        opened("flow:pair"),
    ),
    Row("flow: no flow", "flow:", remove("pair/flow_gt.png"), opened("flow:pair")),
    Row("stereo: a pair of flow", "has no stereo; in PATH", read=opened("stereo:pair")),
    Row("depth: one pattern", "wanted 2 patterns", read=opened("depth:pair//a.png")),
]


def before(folder: Path):
    """A set of each layout; images of 20 x 30 pixels."""
    for file in ("coco/train/7.png", "coco/train/8.png", "voc/JPEGImages/a.png", "cam/train/a.png"):
        place(file, pixels(*SIZE, 3))(folder)
    for file in ("frame1.png", "frame2.png", "flow_gt.png"):
        place(f"pair/{file}", pixels(*SIZE, 3))(folder)
    place(FILE, text(annotated()))(folder)
    place("voc/Annotations/a.xml", XML.format(30, 20, "dog", 1, 1, 5, 5))(folder)
    place("cam/trainannot/a.png", pixels(*SIZE))(folder)


TABLE = Table("annotations", opened("coco:coco"), ROWS, before)
