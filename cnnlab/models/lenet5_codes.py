"""The codes of the ten digits: bitmaps of 7x12 pixels, the targets of LeNet-5's layer F6.

LeCun et al. 1998, section II.B and figure 3, which shows them for all of ASCII: stylized
characters, so that those that look alike have codes alike, for a language model to tell apart.
[10, 84], rows of pixels from top to bottom, +1 where there is ink and -1 elsewhere.

The paper prints no numbers. These are as public reimplementations (such as LeNet-from-Scratch of
mattwang44 on GitHub) read them off its figure, strokes above 0, 2, 4 and 5 included; they were not
checked against the figure itself.
"""

import numpy as np

_INK = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def digit_codes() -> np.ndarray:
    """Return the codes [10, 84] of the digits 0 to 9, float32."""
    rows = [line.split() for line in _INK.split("\n") if line]
    return np.array(
        [[1 if ink == "#" else -1 for row in rows for ink in row[digit]] for digit in range(10)],
        np.float32,
    )
