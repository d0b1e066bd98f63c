"""Chunk sizes of loops over a batch: equal parts that keep what they compute in the cache."""


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of `number` that is at most `limit`; 1 for a lower limit."""
    return max(n for n in range(1, min(number, max(1, limit)) + 1) if number % n == 0)
