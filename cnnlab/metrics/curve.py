"""A metric over the steps of a run, in bounded memory."""

# Points of a curve: more than a figure has pixels.
LONGEST = 1 << 15


class Curve:
    """Points of a metric, of which at most `LONGEST` and the last are kept, at even distances."""

    def __init__(self) -> None:
        """Begin without points."""
        self._kept: list[tuple[int, float]] = []
        self._last: list[tuple[int, float]] = []
        self._count, self._every = 0, 1

    def add(self, step: int, value: float) -> None:
        """Add a point behind the others."""
        self._last = [(step, value)]
        if self._count % self._every == 0:
            if len(self._kept) == LONGEST:
                del self._kept[1::2]
                self._every *= 2
            self._kept += self._last
            self._last = []
        self._count += 1

    @property
    def points(self) -> list[tuple[int, float]]:
        """Return (step, value) of the points that are kept, in order."""
        return self._kept + self._last
