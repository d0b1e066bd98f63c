"""Chunk sizes divide what they are chunks of."""

from cnnlab.layers.chunking import largest_divisor


def test_the_largest_divisor_up_to_a_limit_or_one():
    assert [largest_divisor(12, n) for n in (0, 1, 4, 5, 11, 12, 99)] == [1, 1, 4, 4, 6, 12, 12]
    assert [largest_divisor(13, n) for n in (-3, 12, 13)] == [1, 1, 13]
