"""What a process alone gets from the functions of a group; see test_group for several."""

import numpy as np

from cnnlab.launch import distributed


def test_alone_each_function_answers_at_once():
    assert distributed.is_first()
    assert distributed.on_first_process(lambda: 3) == distributed.all_or_none(lambda: 3) == 3
    distributed.barrier("here")
    rows = np.zeros((2, 3))
    assert distributed.gather_rows(rows) is rows
