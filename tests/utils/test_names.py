"""Names that become files, and lists of names."""

import pytest

from cnnlab.errors import UserError
from cnnlab.utils import names


@pytest.mark.parametrize(
    "name", ["/tmp/x", "a/b", "..", ".a", "", " ", "a\n", "\x1b[31m", "\udcff", "n" * 101, "é" * 51]
)
def test_a_name_that_is_no_files_is_refused(name):
    with pytest.raises(UserError, match=r"splits: the name '.*becomes one of files") as caught:
        names.check("splits", ["test", name])
    assert str(caught.value).isprintable()


def test_plain_names_are_right():
    names.check("splits", ["test", "a b", "é", "a.b", "n" * 100, "-", "a\\b"])


def test_a_name_is_there_once():
    names.check_once("splits", ["a", "b"])
    with pytest.raises(UserError, match="splits: 'a' is there twice"):
        names.check_once("splits", ["a", "b", "a"])
