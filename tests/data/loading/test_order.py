"""The order of examples: every epoch a permutation, every host its own part, once each."""

import numpy as np
import pytest

from cnnlab.data.loading.order import epoch_order, eval_indices, example_indices


def test_every_epoch_is_another_permutation():
    first, second = epoch_order(0, 0, 50), epoch_order(0, 1, 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
    assert (first != epoch_order(1, 0, 50)).any()


def test_range_of_ordinals_is_the_ordinals_one_by_one():
    # From within the first epoch, over the whole second, into the third.
    expected = [epoch_order(7, o // 10, 10)[o % 10] for o in range(3, 25)]
    np.testing.assert_array_equal(example_indices(7, 3, 25, 10), expected)


def test_no_ordinals_no_examples():
    assert len(example_indices(0, 4, 4, 10)) == 0


@pytest.mark.parametrize(("count", "batch_size", "hosts"), [(360, 64, 1), (13, 8, 2), (5, 8, 4)])
def test_hosts_together_evaluate_every_example_once(count, batch_size, hosts):
    seen, lengths = [], set()
    for host in range(hosts):
        batches = eval_indices(count, batch_size, host, hosts)
        lengths.add(len(batches))
        for indices, mask in batches:
            assert len(indices) == batch_size // hosts
            seen += list(indices[mask])
    assert sorted(seen) == list(range(count))
    # All hosts take part in every collective, hence run equally many batches.
    assert len(lengths) == 1
