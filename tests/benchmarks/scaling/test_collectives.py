"""Collectives off HLO text: written forms of it, and a real step's."""

import functools
import re

import jax
import numpy as np
import pytest
import small

from benchmarks.scaling import collectives
from benchmarks.scaling.collectives import Buffer, Collective
from cnnlab import config as cfg
from cnnlab.training import parallel

DEVICES = 8


def line(text):
    (one,) = collectives.read(f"ENTRY %main {{\n  {text}\n}}")
    return one


def test_a_plain_collective():
    one = line(
        "%all-reduce.1 = f32[64,10]{1,0} all-reduce(%dot), channel_id=1, "
        "replica_groups={{0,1,2,3}}, use_global_device_ids=true, to_apply=%add"
    )
    assert one == Collective("all-reduce", (Buffer("f32", (64, 10)),), "{{0,1,2,3}}", 4)
    assert one.bytes == 2560
    assert not one.combined


def test_a_combined_one_counts_all_of_its_arrays():
    one = line(
        "ROOT %r = (f32[3]{0}, bf16[4,2]{1,0}, pred[], /*index=3*/s4[5]{0}) "
        "all-reduce(%a, %b, %c, /*index=3*/%d), replica_groups=[2,4]<=[8], to_apply=%add"
    )
    assert [b.bytes for b in one.buffers] == [12, 16, 1, 3]
    assert one.bytes == 32
    assert one.combined
    assert one.group_size == 4


def test_layouts_of_accelerators_are_passed_over():
    one = line(
        "%ag = bf16[16,128]{1,0:T(8,128)(2,1)S(1)} all-gather(%x), replica_groups={{0,1}}, "
        "dimensions={0}"
    )
    assert one.buffers == (Buffer("bf16", (16, 128)),)


@pytest.mark.parametrize(
    ("start", "kind", "shape"),
    [
        ("%s = f32[8]{0} all-reduce-start(f32[8]{0} %x), to_apply=%add", "all-reduce", (8,)),
        ("%s = (f32[8]{0}, f32[64]{0}) all-gather-start(%x), dimensions={0}", "all-gather", (64,)),
        ("%s = f32[6]{0} collective-broadcast-start(%x)", "collective-broadcast", (6,)),
        (
            "%s = ((f32[64]{0}), f32[8]{0}, u32[]) reduce-scatter-start(%x), dimensions={0}",
            "reduce-scatter",
            (8,),
        ),
        (
            "%s = (f32[8,2]{1,0}, f32[8,2]{1,0}, u32[], u32[]) collective-permute-start(%x), "
            "source_target_pairs={{0,1},{1,0}}",
            "collective-permute",
            (8, 2),
        ),
    ],
)
def test_start_and_done_are_one_collective_of_its_results(start, kind, shape):
    done = start.replace("%s = ", "%d = f32[64]{0} ").replace("-start(", "-done(")
    (one,) = collectives.read(f"  {start}\n  %d = {done.partition('} ')[2]}")
    assert (one.kind, one.buffers) == (kind, (Buffer("f32", shape),))


def test_a_start_of_several_gathers():
    one = line(
        "%s = ((f32[2]{0}, f32[3]{0}), (f32[16]{0}, f32[24]{0})) all-gather-start(%x, %y), "
        "dimensions={0}"
    )
    assert [b.size for b in one.buffers] == [16, 24]


@pytest.mark.parametrize(
    ("groups", "size"),
    [
        ("{{0,1},{2,3}}", 2),
        ("[4,2]<=[8]", 2),
        ("[2,4]<=[4,2]T(1,0)", 4),
        ("mesh['data'=8,'model'=2] {'data'}", 8),
        ("mesh['data'=8,'model'=2] {'data','model'}", 16),
        ("mesh['data'=8] {'data':(1)4}", 4),
        ("{}", 0),
    ],
)
def test_size_of_groups_in_every_form(groups, size):
    one = line(f"%r = f32[] all-reduce(%x), replica_groups={groups}, to_apply=%add")
    assert (one.groups, one.group_size) == (groups, size)


def test_what_only_looks_like_one_is_none():
    text = """
      %fusion = f32[2,64]{1,0} fusion(%x, %all-gather), kind=kCustom, calls=%all-reduce.clone
      %get-tuple-element.1 = f32[64]{0} get-tuple-element(%all-reduce.12), index=0
      %all-reduce.clone (a: f32[], b: f32[]) -> f32[] {
    """
    assert collectives.read(text) == []


LOOPS = """
%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}
%inner (p: (s32[], f32[3])) -> (s32[], f32[3]) {
  %in = f32[3]{0} all-reduce(%x), replica_groups={{0,1}}, to_apply=%add
}
%outer (p: (s32[], f32[3])) -> (s32[], f32[3]) {
  %w = (s32[], f32[3]{0}) while(%p), condition=%c, body=%inner, TRIPS5
  %out = f32[5]{0} all-reduce(%x), replica_groups={{0,1}}, to_apply=%add
}
ENTRY %main (p: f32[3]) -> f32[3] {
  %w = (s32[], f32[3]{0}) while(%p), condition=%c, body=%outer, TRIPS2
  %once = f32[7]{0} all-reduce(%x), replica_groups={{0,1}}, to_apply=%add
}
"""


def test_what_is_in_a_loop_counts_as_often_as_it_turns():
    text = re.sub(r"TRIPS(\d)", r'backend_config={"known_trip_count":{"n":"\1"}}', LOOPS)
    found = collectives.read(text)
    assert {one.bytes: one.times for one in found} == {12: 10, 20: 2, 28: 1}
    assert collectives.summarize(found)["all-reduce"]["count"] == 13
    named = collectives.attribute(found, {"gradients": [Buffer("f32", (3,))]})
    assert named == {"gradients": 12, "other": 9 * 12 + 2 * 20 + 28}


def test_a_loop_of_unknown_length_counts_once():
    found = collectives.read(re.sub(r"TRIPS\d", "metadata={}", LOOPS))
    assert {one.times for one in found} == {1}


def one_of(kind, size, group=4):
    return Collective(kind, (Buffer("f32", (size,)),), "", group)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("all-reduce", 2 * 3 / 4 * 400),
        ("all-gather", 3 / 4 * 400),
        ("all-to-all", 3 / 4 * 400),
        ("reduce-scatter", 3 * 400),
        ("collective-permute", 400),
    ],
)
def test_bytes_sent_around_a_ring(kind, sent):
    assert one_of(kind, 100).sent() == pytest.approx(sent)


def test_groups_that_are_not_written_are_all_devices():
    assert one_of("all-reduce", 100, 0).sent(8) == pytest.approx(2 * 7 / 8 * 400)
    assert one_of("all-reduce", 100, 0).sent() == 0


def test_summary_by_kind():
    table = collectives.summarize([one_of("all-reduce", 4), one_of("all-reduce", 8)])
    assert table == {"all-reduce": {"count": 2, "arrays": 2, "bytes": 48, "sent": 72}}


def test_what_is_exchanged_is_found_by_size_whatever_its_shape():
    found = [Collective("all-reduce", (Buffer("f32", (10, 64)), Buffer("f32", (64,))), "", 8)]
    named = {
        "gradients": [Buffer("f32", (64, 10)), Buffer("f32", (7,))],
        "counts": [Buffer("s32", (64,))],
    }
    assert collectives.attribute(found, named) == {"gradients": 2560, "counts": 0, "other": 256}


@functools.cache
def compiled(strategy, **changes):
    """Return the step of a small network on eight devices, and its setup."""
    settings = small.config(parallel__strategy=strategy, parallel__devices=DEVICES, **changes)
    with settings.unlocked():
        settings.model = cfg.model("mlp", hidden=(64,))
    built = small.build(settings)
    rows = {"image": np.zeros((16, 8, 8, 1), np.float32), "label": np.zeros(16, np.int64)}
    batch = built.parallel.place_batch(rows)
    return built, built.train_step.lower(built.state, batch, built.data).compile()


def arrays(tree):
    return [Buffer("f32", leaf.shape) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
def test_gradients_are_reduced_once_a_step_and_in_one_piece(strategy):
    built, step = compiled(strategy)
    found = collectives.read(step.as_text())
    assert {one.kind for one in found} == {"all-reduce"}
    assert {one.group_size for one in found} == {DEVICES}
    leaves = arrays(built.state.params)
    (gradients,) = [one for one in found if one.bytes >= sum(b.bytes for b in leaves)]
    # The sums of two metrics travel along.
    named = collectives.attribute([gradients], {"gradients": leaves})
    assert named == {"gradients": sum(b.bytes for b in leaves), "other": 8}
    assert sum(one.bytes for one in found if one is not gradients) < 64


def test_under_pmap_accumulated_gradients_are_reduced_once():
    built, step = compiled("pmap", accumulation=2)
    reduced = collectives.summarize(collectives.read(step.as_text()))["all-reduce"]
    leaves = sum(b.bytes for b in arrays(built.state.params))
    assert leaves < reduced["bytes"] < leaves + 64


def test_fsdp_gathers_what_it_shards():
    built, step = compiled("fsdp")
    found = collectives.read(step.as_text())
    sharded = [p for p in jax.tree.leaves(built.state.params) if not p.is_fully_replicated]
    assert [p.shape for p in sharded] == [(64, 64)]
    gathers = [one for one in found if one.kind == "all-gather"]
    assert sum(one.bytes for one in gathers) == 4 * 64 * 64


def test_fsdp_holds_an_eighth_of_what_it_shards_and_all_of_the_rest():
    built, step = compiled("fsdp")
    leaves = jax.tree.leaves(built.state)
    expected = sum(x.nbytes // (DEVICES if x.size >= parallel.FSDP_MIN_SIZE else 1) for x in leaves)
    held = sum(x.addressable_shards[0].data.nbytes for x in leaves)
    assert held == expected
    # What the compiled step takes in is this state and the batch's part, 2 images and labels.
    batch = 2 * (8 * 8 * 4 + 4)
    assert step.memory_analysis().argument_size_in_bytes == expected + batch
