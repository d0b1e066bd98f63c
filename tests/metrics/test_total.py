import jax.numpy as jnp

from cnnlab.metrics.total import Total, object_counts

BATCH = {
    "objects_valid": jnp.array([[True, True, False], [True, False, False], [True, True, True]]),
    "objects_dropped": jnp.array([1, 2, 4], jnp.int32),
    "objects_cut": jnp.array([0, 5, 9], jnp.int32),
}


def counts(batch):
    return {name: x.compute() for name, x in object_counts(batch).items()}


def test_objects_are_counted_without_padding():
    assert counts(BATCH) == {"objects": 6, "objects_dropped": 7, "objects_cut": 14}
    rows = {**BATCH, "valid": jnp.array([True, True, False])}
    assert counts(rows) == {"objects": 3, "objects_dropped": 3, "objects_cut": 5}


def test_a_batch_without_objects_or_without_losses_has_no_such_counts():
    assert counts({"image": jnp.zeros((2, 3))}) == {}
    assert counts({"objects_valid": BATCH["objects_valid"]}) == {"objects": 6}


def test_pairs_count_both_members():
    pairs = {key: value[:2][None] for key, value in BATCH.items()}
    assert counts(pairs) == {"objects": 3, "objects_dropped": 3, "objects_cut": 5}


def test_totals_of_parts_add_up_and_leave_out_nan_of_padding():
    parts = Total.of(jnp.array([1.5, jnp.nan]), jnp.array([True, False])) + Total.of(jnp.ones(2))
    assert parts.compute() == 3.5
