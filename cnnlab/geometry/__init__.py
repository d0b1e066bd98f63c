"""Geometry of pictures: pure functions of numpy or JAX arrays that import nothing of the project.

A point is (y, x), in pixels from the upper left corner of the picture: pixel [i, j] is the square
from (i, j) to (i + 1, j + 1), with its center at (i + 1/2, j + 1/2). A box is [y0, x0, y1, x1].
"""
