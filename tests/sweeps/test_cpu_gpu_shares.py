"""What several trials on a machine get of it: all of it together, and none more than its part."""

import subprocess

import pytest

from cnnlab.sweeps import cpu_gpu_shares as sh


def test_cores_and_gpus_are_divided():
    two = sh.shares(2, {}, [0, 1, 2, 3], ["0", "1", "2"])
    assert [share.cores for share in two] == [(0, 2), (1, 3)]
    assert [share.environment for share in two] == [
        {"CUDA_VISIBLE_DEVICES": "0,2"},
        {"CUDA_VISIBLE_DEVICES": "1"},
    ]
    (one,) = sh.shares(1, {}, [0, 1], [])
    assert one == sh.Share((), {})


def test_more_trials_than_devices_share_them_round_robin():
    three = sh.shares(3, {}, [4, 5], ["GPU-a"])
    assert [share.cores for share in three] == [(), (), ()]
    assert {share.environment["CUDA_VISIBLE_DEVICES"] for share in three} == {"GPU-a"}
    assert three[0].environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.300"
    chosen = {"XLA_CLIENT_MEM_FRACTION": "0.2"}
    assert list(sh.shares(2, chosen, [], ["0"])[0].environment) == ["CUDA_VISIBLE_DEVICES"]
    assert [share.cores for share in sh.shares(2, {}, [], [])] == [(), ()]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,GPU-b"}, ["2", "GPU-b"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "1"}, []),
        ({}, ["0", "1"]),
    ],
)
def test_gpus_are_found_without_jax(environment, expected, monkeypatch):
    listed = "GPU 0: A (UUID: a)\nGPU 1: A (UUID: b)\n  MIG x\n"
    done = subprocess.CompletedProcess([], 0, stdout=listed)
    monkeypatch.setattr(sh.subprocess, "run", lambda *_, **__: done)
    assert sh.available_gpus(environment) == expected


def test_gpus_are_counted_by_their_devices_where_no_tool_lists_them(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(sh.subprocess, "run", missing)
    monkeypatch.setattr(sh.Path, "glob", lambda *_: iter(["/dev/nvidia0"]))
    assert sh.available_gpus({}) == ["0"]


def test_system_that_binds_no_process_has_no_cores_to_tell(monkeypatch):
    assert sh.available_cores()
    monkeypatch.delattr(sh.os, "sched_getaffinity")
    assert sh.available_cores() == []
