"""Descriptions of arguments in Google's style."""

from cnnlab.utils.docstrings import arguments, first_line

TEXT = """Do it.

    Not an entry: of no section.

    Args:
        a: the first; one
            of two lines.
        b, c: both.
        data.train.*: with dots.

    Raises:
        UserError: no argument.

    Attributes:
        d: of a class.
    """


def test_arguments_and_attributes_are_described_and_nothing_else():
    assert arguments(TEXT) == {
        "a": "the first; one of two lines.",
        "b": "both.",
        "c": "both.",
        "data.train.*": "with dots.",
        "d": "of a class.",
    }
    assert arguments(None) == arguments("Do it.") == {}


def test_first_line_is_that_of_the_docstring():
    assert first_line(TEXT) == "Do it."
    assert first_line(None) == ""
