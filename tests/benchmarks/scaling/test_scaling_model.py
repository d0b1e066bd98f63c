"""The time model: its formulas by hand, and what has to hold at its ends."""

import dataclasses
import math

import pytest

from benchmarks.scaling import scaling_model
from benchmarks.scaling.scaling_model import Cluster, Workload

WORK = Workload("network", parameters=1_000_000, macs=10**9, efficiency=0.5)
CLUSTER = Cluster("machines", 1e12, 4, link=1e9, network=1e8, link_latency=0, network_latency=0)


def test_compute_is_six_operations_a_mac():
    # 6e9 operations an image, half of 1e12 a second.
    assert scaling_model.compute(WORK, CLUSTER, 10) == pytest.approx(0.12)


def test_ring_sends_twice_all_parts_but_its_own_and_waits_for_every_hop():
    assert scaling_model.ring(8e6, 4, 1e6, 0.5) == pytest.approx(2 * 3 / 4 * 8 + 6 * 0.5)
    assert scaling_model.ring(8e6, 1, 1e6, 0.5) == 0


def test_a_tree_sends_everything_twice_and_waits_for_its_height():
    assert scaling_model.tree(8e6, 1024, 1e6, 0.5) == pytest.approx(2 * 8 + 2 * 10 * 0.5)
    assert scaling_model.tree(8e6, 1, 1e6, 0.5) == 0


def test_between_many_nodes_the_latency_grows_with_the_logarithm():
    slow = dataclasses.replace(CLUSTER, network=1e12, network_latency=1e-3)
    seconds = [scaling_model.all_reduce(4.0, 4 * nodes, slow) for nodes in (256, 512)]
    assert seconds[1] - seconds[0] == pytest.approx(2e-3, rel=1e-3)


def test_one_node_uses_its_links_alone():
    seconds = scaling_model.all_reduce(4e6, 4, CLUSTER)
    assert seconds == pytest.approx(2 * 3 / 4 * 4e6 / 1e9)


def test_between_nodes_each_device_exchanges_its_part():
    seconds = scaling_model.all_reduce(4e6, 8, CLUSTER)
    assert seconds == pytest.approx(2 * 3 / 4 * 4e6 / 1e9 + 2 * 1 / 2 * 1e6 / 1e8)


def test_an_exchange_in_parts_takes_as_long_but_for_the_latency():
    slow = dataclasses.replace(CLUSTER, link_latency=1e-3)
    once, parts = (scaling_model.all_reduce(4e6, 4, slow, count) for count in (1, 10))
    assert parts - once == pytest.approx(9 * 2 * 3 * 1e-3)


def test_one_device_exchanges_nothing_and_computes_all_the_time():
    step = scaling_model.step(WORK, CLUSTER, 1, 32)
    assert step.exchange == 0
    assert step.efficiency == 1
    assert step.bound == "compute"


def test_the_slowest_part_is_named():
    assert scaling_model.step(WORK, CLUSTER, 64, 1).bound == "exchange"
    assert scaling_model.step(WORK, CLUSTER, 64, 10_000).bound == "compute"
    slow = dataclasses.replace(CLUSTER, decode=10.0)
    step = scaling_model.step(WORK, slow, 64, 32)
    assert step.bound == "input"
    assert step.total == step.input == pytest.approx(4 * 32 / 10)


def test_storage_counts_where_it_is_slower_than_decoding():
    slow = dataclasses.replace(CLUSTER, decode=1e6, read=1e6)
    step = scaling_model.step(WORK, slow, 4, 32)
    assert step.input == pytest.approx(4 * 32 * 110e3 / 1e6)


def test_overlap_hides_the_exchange_behind_the_backward_pass_and_no_more():
    bare, hidden = (scaling_model.step(WORK, CLUSTER, 64, 8, overlap=x) for x in (0, 1))
    assert bare.exposed == bare.exchange
    assert hidden.exposed == pytest.approx(max(0, bare.exchange - bare.compute * 2 / 3))
    assert scaling_model.step(WORK, CLUSTER, 64, 10_000, overlap=1).exposed == 0


@pytest.mark.parametrize("devices", [8, 64, 1024])
def test_at_the_balance_both_parts_take_as_long(devices):
    images = scaling_model.balance(WORK, CLUSTER, devices)
    step = scaling_model.step(WORK, CLUSTER, devices, math.ceil(images))
    assert step.compute == pytest.approx(step.exchange, rel=1 / images)


def test_bytes_of_statistics_are_exchanged_too():
    assert dataclasses.replace(WORK, statistics=500).bytes == 4 * 1_000_500


def test_young_interval_loses_least():
    save, failure = 10.0, 36_000.0
    best = scaling_model.save_interval(save, failure)
    assert best == pytest.approx(math.sqrt(2 * 10 * 36_000))
    least = scaling_model.lost(best, save, failure)
    assert least == pytest.approx(math.sqrt(2 * save / failure))
    assert all(scaling_model.lost(best * x, save, failure) > least for x in (0.5, 0.9, 1.1, 2))


def test_a_restart_costs_its_length_for_each_failure():
    plain, slow = (scaling_model.lost(100, 1, 1000, restart) for restart in (0, 50))
    assert slow - plain == pytest.approx(0.05)


def test_more_devices_fail_more_often():
    assert scaling_model.mean_time_to_failure(1024, 1024e3) == pytest.approx(1000)
