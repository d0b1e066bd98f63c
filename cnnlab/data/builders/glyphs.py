"""`glyphs`: characters of 100 invented alphabets, 24 in each, each drawn by eight hands.

After Omniglot (Lake et al. 2011, "One shot learning of simple visual concepts"), whose 50 real
alphabets need a download. All is drawn from a seed, each drawing by itself. An alphabet has a
style: a grid of anchors, how many strokes, how long, how curved, how often they touch. A character
is a few strokes through anchors. A drawer has a hand: slant, tilt, proportions, pen, wobble; and no
two drawings by one hand are alike.

    image     uint8 (32, 32, 1), ink bright (255) on dark (0)
    label     int32, 24 × alphabet + character, named "alphabet07/character03"
    alphabet  int32, 0 to 99
    drawer    int32, 0 to 71

    split       alphabets       labels          drawers     drawings
    train        60  (0-59)     0-1,439         0-39        11,520
    validation   16  (60-75)    1,440-1,823     40-55        3,072
    test         24  (76-99)    1,824-2,399     56-71        4,608

Splits share neither alphabets nor drawers, so no class of one is in another; labels and names run
through all of them, and a classifier that is evaluated on each split by its loss needs 2,400
outputs, though it is trained on the first 1,440. All characters of an alphabet are drawn by the
same eight drawers of the split's, listed by alphabet, character and drawer.

One-shot recognition among 20 characters of an alphabet of test, the one example and the query by
different drawers (300 episodes of 20 queries; ± 1 %), where chance is 5 %: nearest neighbor on
pixels 25 % by Euclidean distance, 33 % by cosine (31 % in Koch's protocol, 30 % on validation); on
pixels blurred by 1.5 43 %; on pictures moved to their center of ink 50 %.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from cnnlab.data.builders.pen import PENS, SIZE, Points, corners, curve, render

# Numbers of alphabets and of drawers.
SPLITS = {"train": (60, 40), "validation": (16, 16), "test": (24, 16)}
CHARACTERS, DRAWINGS = 24, 8
ALPHABETS = sum(alphabets for alphabets, _ in SPLITS.values())
SEED = 2011
# Beside the seed: what is drawn.
STYLE, CHARACTER, HANDS, HAND, DRAWING = range(5)
LENGTHS = (3.0, 9.0)  # of all strokes of a character; a character is 2 high and wide
LIKENESS = 0.75  # the most that two characters of an alphabet may have in common, as a cosine
MARGIN = 1.5  # pixels that stay dark around
Strokes = tuple[np.ndarray, ...]


class Style(NamedTuple):
    """What the characters of an alphabet have in common."""

    anchors: Points  # x and y from -1 to 1
    strokes: tuple[int, int]  # fewest and most
    longest: int  # anchors on a stroke
    curved: float  # probability
    joined: float  # probability that a stroke begins where one has passed


class Hand(NamedTuple):
    """What the drawings of a drawer have in common."""

    slant: float  # shear
    tilt: float  # radians
    stretch: float  # height over width
    size: float
    pen: float  # one of PENS
    wobble: float  # of the lines, in units of half a character
    slip: float  # of the anchors, likewise


def style(alphabet: int) -> Style:
    """Return the style of an alphabet."""
    rng = np.random.default_rng((SEED, STYLE, alphabet))
    x, y = (np.linspace(-1, 1, n) for n in rng.integers(3, 5, 2))
    fewest = int(rng.integers(1, 4))
    return Style(
        anchors=np.stack(np.meshgrid(x, y), -1).reshape(-1, 2),
        strokes=(fewest, fewest + int(rng.integers(0, 2))),
        longest=int(rng.integers(5, 7)) - fewest,  # few strokes are long ones
        curved=float(rng.choice([0.1, 0.5, 0.9])),
        joined=float(rng.uniform(0.4, 1)),
    )


@lru_cache(maxsize=128)
def hand(drawer: int) -> Hand:
    """Return the hand of a drawer."""
    rng = np.random.default_rng((SEED, HAND, drawer))
    return Hand(
        slant=rng.normal(0, 0.25),
        tilt=rng.normal(0, 0.12),
        stretch=np.exp(rng.normal(0, 0.2)),
        size=rng.uniform(0.75, 1.05),
        pen=float(rng.choice(PENS)),
        wobble=rng.uniform(0.03, 0.1),
        slip=rng.uniform(0.08, 0.18),
    )


@lru_cache(maxsize=256)
def characters(alphabet: int) -> tuple[Strokes, ...]:
    """Return the strokes of each character: the anchors' x and y, or a curve's control points.

    A character too much like one before it is thrown away and drawn anew.
    """
    look, seen = style(alphabet), np.zeros((0, 256))
    found: list[Strokes] = []
    rng = np.random.default_rng((SEED, CHARACTER, alphabet))
    while len(found) < CHARACTERS:
        strokes = _strokes(rng, look)
        length = sum(np.linalg.norm(np.diff(s, axis=0), axis=1).sum() for s in strokes)
        picture = _thumbnail(strokes)
        if LENGTHS[0] <= length <= LENGTHS[1] and (seen @ picture < LIKENESS).all():
            found.append(strokes)
            seen = np.concatenate([seen, picture[None]])
    return tuple(found)


def drawers(alphabet: int) -> list[int]:
    """Return who drew an alphabet, ascending."""
    first = start = 0
    for alphabets, count in SPLITS.values():
        start += alphabets
        if alphabet < start:
            break
        first += count
    rng = np.random.default_rng((SEED, HANDS, alphabet))
    return sorted(first + int(d) for d in rng.choice(count, DRAWINGS, replace=False))


def draw(alphabet: int, character: int, drawer: int) -> UInt8[np.ndarray, "32 32 1"]:
    """Return a drawing."""
    rng = np.random.default_rng((SEED, DRAWING, alphabet, character, drawer))
    own = hand(drawer)
    return render(_written(rng, characters(alphabet)[character], own), own.pen)


def _strokes(rng: np.random.Generator, look: Style) -> Strokes:
    strokes: list[np.ndarray] = []
    for _ in range(rng.integers(look.strokes[0], look.strokes[1], endpoint=True)):
        passed = strokes and rng.random() < look.joined
        at = rng.choice(np.concatenate(strokes) if passed else look.anchors)
        places = [at]
        for _ in range(rng.integers(2, max(look.longest, 2), endpoint=True) - 1):
            # From any place there is an anchor a cell or two away where this stroke has not been.
            distance = np.linalg.norm(look.anchors - np.stack(places)[:, None], axis=-1)
            free = (distance > 0.6).all(0) & (distance[-1] < 2.1)
            if free.any():
                places.append(rng.choice(look.anchors[free]))
        stroke = np.stack(places)
        if rng.random() < look.curved:
            if len(stroke) == 2:  # an arc: through a point beside the middle
                across = (stroke[1] - stroke[0])[::-1] * (1, -1)
                middle = stroke.mean(0) + rng.choice([-0.4, 0.4]) * across
                stroke = np.stack([stroke[0], middle, stroke[1]])
        else:  # a straight line is a curve through points that lie close together
            stroke = corners(stroke)
        strokes.append(stroke)
    return tuple(strokes)


def _written(rng: np.random.Generator, strokes: Strokes, own: Hand) -> list[np.ndarray]:
    """Return the lines of one drawing in pixels, x and y."""
    lines = [curve(s + _slips(rng, s, own.slip)) for s in strokes]
    points = np.concatenate(lines)
    # Bent by a wave across each axis, then by what is linear.
    wave = rng.uniform(0, 2 * np.pi, 2) + rng.uniform(2, 5, 2) * points[:, ::-1]
    points = points + own.wobble * np.sin(wave)
    angle, shear = own.tilt + rng.normal(0, 0.05), own.slant + rng.normal(0, 0.05)
    stretch = np.sqrt(own.stretch * np.exp(rng.normal(0, 0.06)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = points @ (turn @ np.diag([1 / stretch, stretch]) @ [[1, -shear], [0, 1]]).T
    low, high = points.min(0), points.max(0)
    room = SIZE - 2 * MARGIN - own.pen
    size = min(10.5 * own.size * np.exp(rng.normal(0, 0.06)), room / (high - low).max())
    free = (room - size * (high - low)) / 2
    shift = np.clip(rng.normal(0, 1.5, 2), -free, free)
    points = (points - (low + high) / 2) * size + SIZE / 2 + shift
    return np.split(points, np.cumsum([len(line) for line in lines])[:-1])


def _slips(rng: np.random.Generator, stroke: np.ndarray, amount: float) -> np.ndarray:
    """Return how far the hand misses each point; neighbors close together are missed alike."""
    noise = amount * rng.standard_normal(stroke.shape)
    close = np.linalg.norm(np.diff(stroke, axis=0), axis=1) < 0.25
    for i in np.flatnonzero(close):
        noise[i + 1] = noise[i]
    return noise


def _thumbnail(strokes: Strokes) -> np.ndarray:
    """Return a blurred small picture of a character, of length 1; size and place do not matter."""
    lines = [curve(stroke) for stroke in strokes]
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    middle, size = (low + high) / 2, (SIZE - 6) / (high - low).max()
    picture = render([SIZE / 2 + size * (line - middle) for line in lines], 2.4)
    small = cv2.resize(cv2.GaussianBlur(picture, (0, 0), 1.5), (16, 16)).astype(float)
    return small.ravel() / np.linalg.norm(small)


class Glyphs(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder of `glyphs`."""

    VERSION = tfds.core.Version("1.1.0")

    def _info(self) -> tfds.core.DatasetInfo:
        names = [
            f"alphabet{a:02}/character{c:02}" for a in range(ALPHABETS) for c in range(CHARACTERS)
        ]
        image = tfds.features.Tensor(shape=(SIZE, SIZE, 1), dtype=np.uint8, encoding="bytes")
        features = tfds.features.FeaturesDict(
            {
                "image": image,
                "label": tfds.features.ClassLabel(names=names),
                "alphabet": np.int32,
                "drawer": np.int32,
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        starts = np.cumsum([0, *(alphabets for alphabets, _ in SPLITS.values())])
        ends = zip(SPLITS, starts, starts[1:], strict=False)
        return {split: self._generate_examples(range(a, b)) for split, a, b in ends}

    def _generate_examples(self, alphabets):
        index = 0
        for alphabet in map(int, alphabets):
            hands = drawers(alphabet)
            for character in range(CHARACTERS):
                for drawer in hands:
                    label = alphabet * CHARACTERS + character
                    image = draw(alphabet, character, drawer)
                    keys = {"label": label, "alphabet": alphabet, "drawer": drawer}
                    yield index, {"image": image, **keys}
                    index += 1
