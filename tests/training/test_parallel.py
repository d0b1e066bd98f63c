"""Strategies: where leaves live, and what cannot be divided."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from cnnlab.errors import UserError
from cnnlab.training import parallel


def test_fsdp_shards_the_largest_even_axis_of_large_leaves_only():
    eight = parallel.make("fsdp", 8)
    shapes = {
        "kernel": jax.ShapeDtypeStruct((3, 64, 128), np.float32),
        "odd": jax.ShapeDtypeStruct((1025, 3), np.float32),
        "bias": jax.ShapeDtypeStruct((128,), np.float32),
        "step": jax.ShapeDtypeStruct((), np.int32),
    }
    specs = jax.tree.map(lambda s: s.spec, eight.state_sharding(shapes))
    assert specs == {
        "kernel": P(None, None, "batch"),
        "odd": P(None, None),
        "bias": P(),
        "step": P(),
    }


def test_fsdp_holds_an_eighth_of_a_large_leaf_on_each_device():
    placed = parallel.make("fsdp", 8).place_state({"w": np.ones((64, 64), np.float32)})["w"]
    assert [s.data.size for s in placed.addressable_shards] == [64 * 64 // 8] * 8


def test_jit_replicates_the_state():
    placed = parallel.make("jit", 8).place_state({"w": np.ones((64, 64), np.float32)})["w"]
    assert placed.is_fully_replicated


@pytest.mark.parametrize("strategy", parallel.STRATEGIES)
def test_evaluation_outputs_keep_the_order_of_the_batch(strategy):
    four = parallel.make(strategy, 4)
    state = {"w": np.float32(2)}

    def step(state, batch, data, axis_name):
        total = batch["x"].sum()
        if axis_name is not None:
            total = jax.lax.psum(total, axis_name)
        return {"total": total}, {"doubled": batch["x"] * state["w"]}

    x = np.arange(8, dtype=np.float32)
    wrapped = four.wrap(step, state=state, train=False)
    metrics, outputs = wrapped(four.place_state(state), four.place_batch({"x": x}), {})
    assert float(metrics["total"]) == 28
    np.testing.assert_array_equal(outputs["doubled"], 2 * x)


def test_batch_that_cannot_be_divided_names_one_that_can():
    with pytest.raises(UserError, match=r"batch_size=30 is not divisible by the 8 devices: try 32"):
        parallel.make("pmap", 8).local_batch(30)


def test_every_process_takes_part_with_equally_many_devices():
    there = [SimpleNamespace(process_index=p) for p in (1, 1, 1, 0, 0, 0)]
    # What a process reads has to lie on its own devices.
    assert parallel.share(there, 6, 2) == there[3:] + there[:3]
    assert parallel.share(there, 4, 2) == there[3:5] + there[:2]
    for wanted, some in ((5, there), (6, there[1:])):
        with pytest.raises(UserError, match=f"devices={wanted} cannot be divided among the 2"):
            parallel.share(some, wanted, 2)


def test_unknown_strategy_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'pmap'"):
        parallel.make("pmpa")


def test_more_devices_than_there_are_is_an_error():
    with pytest.raises(UserError, match=r"parallel\.devices=9, but there are 8 cpu devices"):
        parallel.make("pmap", 9)
