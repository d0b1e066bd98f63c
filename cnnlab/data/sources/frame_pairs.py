"""Optical flow, stereo and depth: images, and a file of numbers for every pixel.

    flow:/path      KITTI 2012 and 2015, MPI Sintel, FlyingChairs, Middlebury, by their folders;
                    frame1.png, frame2.png, flow_gt.png
    stereo:/path    KITTI 2012 and 2015, Middlebury 2014; NAME_left.png, NAME_right.png,
                    NAME_disp_x256.png
    depth:/path     rgb/NAME.png and depth/NAME.png, in 1/256 (KITTI's metres)

Files of one's own follow two slashes, with what they share in braces; `{n+1}` is the next number,
and a number behind, of depth, is what a value of 1 is in the file:

    flow:/path//{scene}/{n}.png,{scene}/{n+1}.png,flow/{scene}/{n}.flo
    depth:/path//{n}_color.png,{n}_depth.png,1000

    image      uint8 (h, w, 3), the first frame, or the left image
    video      uint8 (2, h, w, 3), both frames, or the left and the right image; not of depth
    flow       float32 (h, w, 3): (dy, dx, known); files have dx first
    disparity  float32 (h, w), pixels to the left from the left image to the right, 0 is unknown
    depth      float32 (h, w), 0 is unknown
    image_id   int32, place among the sorted names

All is `train`. `cnnlab.data.preprocess.dense_files` says what the files hold.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from cnnlab.data.preprocess.decode import decode
from cnnlab.data.preprocess.dense_files import KITTI_DISPARITY, read_depth, read_flow
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.object_checks import Declared, check_size, check_there
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand

FIELD = re.compile(r"\{(\w+)(\+1)?\}")
OWN = "//"


class PairSource:
    """Two images, or one, and the map of the first."""

    kind: ClassVar[str]
    images: ClassVar[int] = 2
    # Patterns of the images and of the map, below the folder, with commas between them.
    layouts: ClassVar[Sequence[str]]
    read: Callable[..., np.ndarray] = staticmethod(read_depth)

    def __init__(self, path: str, split: str):
        """List the files.

        Raises:
            MissingData: there is no such folder.
            UserError: it is laid out otherwise, or a map has no image.
        """
        name = f"{self.kind}:{path}"
        place, own, patterns = path.partition(OWN)
        self._root = Path(expand(place or "/"))
        if not self._root.is_dir():
            raise MissingData(f"{name}: there is no such folder; {self._layout()}")
        layouts = [self._parts(name, text) for text in ([patterns] if own else self.layouts)]
        listed = next(filter(None, (_listed(self._root, layout) for layout in layouts)), None)
        if listed is None:
            raise UserError(f"{name} has no {self.kind}; {self._layout()}")
        ranges = resolve(split, {"train": [len(listed)]}, name=name)
        self._numbers = [n for _, start, stop in ranges for n in range(start, stop)]
        self._list = [listed[number] for number in self._numbers]
        spec = {
            "image": ((None, None, 3), "uint8"),
            **({"video": ((self.images, None, None, 3), "uint8")} if self.images > 1 else {}),
            self.key: ((None, None, 3) if self.key == "flow" else (None, None), "float32"),
            "image_id": ((), "int32"),
        }
        self.info = Info(name, split, (), spec)

    @property
    def key(self) -> str:
        """Key of the map."""
        return "disparity" if self.kind == "stereo" else self.kind

    def __len__(self) -> int:
        return len(self._list)

    def files(self) -> list[str]:
        """Return the first image of every pair as it lies in the folder."""
        return [files[0] for files in self._list]

    def ids(self) -> np.ndarray:
        """Return the identity of every pair; see `cnnlab.data.sources.identity`."""
        return file_ids((self._root, place) for place in self.files())

    def check(self) -> None:
        """Raise `CorruptImage` for a file that is missing."""
        for places in zip(*self._list, strict=True):
            check_there([self._root / place for place in places])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        *places, last = (self._root / place for place in self._list[index])
        images = [decode(place, index=int(index)) for place in places]
        found = self.read(last, int(index), **self._options())
        size = images[0].shape[:2]
        for array, file in zip((*images[1:], found), (*places[1:], last), strict=True):
            check_size(array, Declared(file, size, f"{places[0].name} has"), index)
        video = {"video": np.stack(images)} if self.images > 1 else {}
        number = np.asarray(self._numbers[index], np.int32)
        return {"image": images[0], **video, self.key: found, "image_id": number}

    def _options(self) -> dict[str, int]:
        return {}

    def _parts(self, name: str, patterns: str) -> list[str]:
        parts = patterns.split(",")
        if len(parts) != self.images + 1 or not all(parts):
            raise UserError(f"{name}: wanted {self.images + 1} patterns with commas between them")
        return parts

    def _layout(self) -> str:
        first = self.layouts[0].replace(",", ", ")
        return (
            f"in PATH the files are {first}, as in other public sets, or as {self.kind}:"
            "PATH//PATTERN,PATTERN,... says"
        )


class FlowSource(PairSource):
    """Two frames and the flow from the first to the second."""

    kind = "flow"
    layouts = (
        *(
            f"training/{a}/{{n}}_10.png,training/{a}/{{n}}_11.png,training/flow_occ/{{n}}_10.png"
            for a in ("image_2", "colored_0", "image_0")
        ),
        "training/clean/{s}/frame_{n}.png,training/clean/{s}/frame_{n+1}.png,"
        "training/flow/{s}/frame_{n}.flo",
        "data/{n}_img1.ppm,data/{n}_img2.ppm,data/{n}_flow.flo",
        "other-data/{s}/frame10.png,other-data/{s}/frame11.png,other-gt-flow/{s}/flow10.flo",
        "frame1.png,frame2.png,flow_gt.png",
    )
    read = staticmethod(read_flow)


class StereoSource(PairSource):
    """A left and a right image, and the disparity of the left one."""

    kind = "stereo"
    layouts = (
        "training/image_2/{n}_10.png,training/image_3/{n}_10.png,training/disp_occ_0/{n}_10.png",
        "training/colored_0/{n}_10.png,training/colored_1/{n}_10.png,training/disp_occ/{n}_10.png",
        "{s}/im0.png,{s}/im1.png,{s}/disp0.pfm",
        "{s}_left.png,{s}_right.png,{s}_disp_x256.png",
    )


class DepthSource(PairSource):
    """An image and its depth."""

    kind, images = "depth", 1
    layouts = ("rgb/{n}.png,depth/{n}.png", "rgb/{n}.jpg,depth/{n}.png")
    _scale: int = KITTI_DISPARITY

    def _options(self):
        return {"scale": self._scale}

    def _parts(self, name, patterns):
        places, _, number = patterns.rpartition(",")
        if re.fullmatch(r"\d{1,9}", number) and int(number):
            self._scale = int(number)
            return super()._parts(name, places)
        return super()._parts(name, patterns)


def _listed(root: Path, layout: Sequence[str]) -> list[list[str]]:
    """Return the files that fit a layout, sorted by that of the map."""
    last = layout[-1]
    # A field has the same text wherever it stands again.
    seen: set[str] = set()
    parts = FIELD.split(last)
    pattern = ""
    for at in range(0, len(parts), 3):
        pattern += re.escape(parts[at])
        if at + 1 < len(parts):
            field = parts[at + 1]
            pattern += f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+?)"
            seen.add(field)
    found = []
    for file in sorted(root.glob(FIELD.sub("*", last))):
        place = file.relative_to(root).as_posix()
        match = re.fullmatch(pattern, place)
        if match:
            found.append([*(_filled(part, match.groupdict()) for part in layout[:-1]), place])
    return found


def _filled(pattern: str, fields: dict[str, str]) -> str:
    """Return a pattern with its fields; `{n+1}` has as many digits as `{n}`."""

    def fill(match: re.Match[str]) -> str:
        text = fields.get(match[1])
        if text is None or (match[2] and not text.isdecimal()):
            return match[0]
        return f"{int(text) + 1:0{len(text)}}" if match[2] else text

    return FIELD.sub(fill, pattern)
