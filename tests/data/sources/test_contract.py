"""A user's source is checked when it is opened: length, info, the first example."""

import numpy as np
import pytest

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources.contract import checked
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError

SPEC = {
    "image": ((4, 4, 1), "uint8"),
    "label": ((), "int32"),
    "boxes": ((None, 4), "float32"),
}
EXAMPLE = {
    "image": np.zeros((4, 4, 1), np.uint8),
    "label": 3,
    "boxes": np.zeros((2, 4), np.float32),
}


def source(example=EXAMPLE, length=2, **attributes):
    class Own:
        info = Info("own", "train", (), SPEC)

        def __len__(self):
            return length

        def __getitem__(self, index):
            if isinstance(example, Exception):
                raise example
            return example

    for name, value in attributes.items():
        setattr(Own, name, value)
    return Own()


@pytest.mark.parametrize(
    "right",
    [
        source(),
        source({**EXAMPLE, "label": np.int64(3), "more": 1}),
        source(CorruptImage("a.png", 0, "cut off")),
        source({}, length=0),
        source(length=np.int64(2)),
    ],
)
def test_source_that_keeps_its_contract_is_returned(right):
    assert checked("own.src:Own", right) is right


@pytest.mark.parametrize(
    ("message", "wrong"),
    {
        "'own.src:Own' has no __len__": source(__len__=None),
        "has no __getitem__": source(__getitem__=None),
        r"has no info \(a cnnlab": source(info={}),
        "its length is a str '2', not": source(length="2"),
        "its length is an int -1, not": source(length=-1),
        r"an example is \(an int 1, an int 2\); it has to be a dictionary": source((1, 2)),
        "examples of data set 'own.src:Own' have no 'label', though its info.spec does": source(
            {k: x for k, x in EXAMPLE.items() if k != "label"}
        ),
        r"'image' of an example is uint8\[3,4,1\], in its info.spec uint8\[4,4,1\]": source(
            {**EXAMPLE, "image": EXAMPLE["image"][1:]}
        ),
        r"'image' of an example is float64\[4,4,1\], in its": source(
            {**EXAMPLE, "image": EXAMPLE["image"] / 255}
        ),
        r"'image' of an example is int64\[4,4,1\], in its": source(
            {**EXAMPLE, "image": EXAMPLE["image"].astype(int)}
        ),
        r"'boxes' of an example is float32\[2,5\], in its info.spec float32\[\?,4\]": source(
            {**EXAMPLE, "boxes": np.zeros((2, 5), np.float32)}
        ),
    }.items(),
)
def test_source_that_breaks_its_contract_is_refused(message, wrong):
    with pytest.raises(UserError, match=message):
        checked("own.src:Own", wrong)
