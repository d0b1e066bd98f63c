"""What is best, and how many evaluations have been bad."""

import math

from cnnlab.training.position import Position


def judge(values, mode="max", min_delta=0.0):
    """Return for each value whether it is the best so far, and the count of bad ones."""
    position = Position()
    return [(position.judge(x, mode, min_delta), position.num_bad_evals) for x in values]


def test_best_is_the_highest_and_a_tie_is_no_gain():
    judged = judge([0.5, 0.6, 0.6, 0.55, 0.7])
    assert judged == [(True, 0), (True, 0), (False, 1), (False, 2), (True, 0)]


def test_best_is_the_lowest_of_a_loss():
    assert judge([0.5, 0.6, 0.4], "min") == [(True, 0), (False, 1), (True, 0)]


def test_small_gains_add_up_to_a_gain():
    judged = judge([0.50, 0.53, 0.54, 0.56, 0.57], min_delta=0.05)
    assert [bad for _, bad in judged] == [0, 1, 2, 0, 1]
    assert all(better for better, _ in judged)


def test_anew_nothing_has_been_best_and_counters_keep_their_names_on_disk():
    position = Position()
    for value in (0.5, 0.4):
        position.judge(value, "max", 0.0)
    record = position.to_record()
    assert (record["mark"], record["stale"], record["best"]) == (0.5, 1, 0.5)
    assert Position.from_record(record) == position
    position.start_anew(8)
    assert (position.since, position.num_bad_evals) == (8, 0)
    assert position.judge(-math.inf, "max", 0.0)
