"""Launchers tell by the environment where a process stands; what they set is written out here."""

import socket
from types import SimpleNamespace

import pytest

from cnnlab.errors import UserError
from cnnlab.launch import process_environment
from cnnlab.launch.process_environment import Place, find, local_devices

SRUN = {
    "SLURM_JOB_ID": "71",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_NODELIST": "n[03-04,7],other",
    "SLURM_STEP_TASKS_PER_NODE": "1,2(x2)",
    "SLURM_PROCID": "2",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
}
OMPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "3",
    "PMIX_NAMESPACE": "prterun-n1-99@1",
}
HYDRA = {"PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"}


def test_started_alone():
    assert find({}, 1) is None
    assert find({"SLURM_JOB_ID": "71", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 1) is None
    assert find({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, 1) is None
    assert find({**OMPI, "OMPI_COMM_WORLD_SIZE": "1"}, 1) is None


def test_step_of_slurm():
    place = find(SRUN, 1)
    host, _, port = place.coordinator.partition(":")
    assert (host, int(port) in process_environment.PORTS) == ("n03", True)
    assert (place.processes, place.process, place.here, place.local) == (5, 2, 2, 1)
    # Every process of a step says the same, another step something else.
    other = find({**SRUN, "SLURM_PROCID": "4", "SLURM_NODEID": "2"}, 2)
    assert other.coordinator == place.coordinator
    assert find({**SRUN, "SLURM_STEP_ID": "1"}, 1).coordinator != place.coordinator
    assert find(SRUN, 1, "n9:1").coordinator == "n9:1"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("a7,b[1-2]", "a7"), ("n[1-4]", "n1"), ("r[2-3]n[05,09]", "r2n05")],
)
def test_first_node_of_a_list(nodes, first):
    place = find({**SRUN, "SLURM_STEP_NODELIST": nodes}, 1)
    assert place.coordinator.partition(":")[0] == first


def test_mpirun_on_one_machine():
    place = find(OMPI, 1)
    assert place.coordinator.startswith("localhost:")
    assert (place.processes, place.process, place.here, place.local) == (4, 3, 4, 3)
    assert find({**OMPI, "OMPI_COMM_WORLD_RANK": "0"}, 2).coordinator == place.coordinator
    # Hydra has no name for a run, but one parent for its processes.
    place = find(HYDRA, 50)
    assert (place.processes, place.process, place.here, place.local) == (2, 1, 2, 1)
    assert find(HYDRA, 50) == place != find(HYDRA, 51)


def test_mpirun_on_several_machines():
    far = {**OMPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
    with pytest.raises(UserError, match=r"Open MPI started 4 processes .*--coordinator=HOST:PORT"):
        find(far, 1)
    assert find(far, 1, "n1:2000").coordinator == "n1:2000"
    assert find({**far, "JAX_COORDINATOR_ADDRESS": "n2:3"}, 1).coordinator == "n2:3"
    uri = "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"
    found = find({**far, "OMPI_MCA_orte_hnp_uri": uri}, 1).coordinator
    assert found.startswith("10.96.0.1:")


def test_processes_of_a_machine_divide_its_gpus():
    alone = Place("n1:1", 2, 0)
    assert local_devices(alone, {}, 4) is None
    two = [Place("n1:1", 4, k, here=2, local=k) for k in range(2)]
    assert [local_devices(place, {}, 4) for place in two] == [[0, 1], [2, 3]]
    assert local_devices(two[1], {}, 0) is None
    assert local_devices(two[1], {"SLURM_GPUS_PER_TASK": "2"}, 2) is None


def test_gpus_that_a_process_sees(monkeypatch):
    assert process_environment.gpus({"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "0,1"}) == 0
    assert process_environment.gpus({"CUDA_VISIBLE_DEVICES": "0,GPU-7"}) == 2
    assert process_environment.gpus({"CUDA_VISIBLE_DEVICES": ""}) == 0
    listing = SimpleNamespace(stdout="GPU 0: H (UUID: GPU-1)\nGPU 1: H (UUID: GPU-2)\n")
    monkeypatch.setattr(process_environment.subprocess, "run", lambda *_, **__: listing)
    assert process_environment.gpus({}) == 2

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(process_environment.subprocess, "run", missing)
    assert process_environment.gpus({}) == 0


def test_tpu_pod(monkeypatch):
    several = {"TPU_WORKER_HOSTNAMES": "a,b"}
    assert not process_environment.tpu_pod({"JAX_PLATFORMS": "cpu", **several})
    monkeypatch.setattr(process_environment.importlib.util, "find_spec", lambda name: name)
    assert process_environment.tpu_pod(several) and not process_environment.tpu_pod(
        {"TPU_WORKER_HOSTNAMES": "a"}
    )


def test_address_that_is_none_or_in_use():
    for address in ("n1", "n1:", ":7", "n1:port", "n1:70000"):
        with pytest.raises(UserError, match="needs HOST:PORT"):
            process_environment.check_address(Place(address, 2, 1))
    with pytest.raises(UserError, match=r"cannot find the host 'nowhere\.invalid'"):
        process_environment.check_address(Place("nowhere.invalid:7", 2, 1))
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        address = f"localhost:{taken.getsockname()[1]}"
        process_environment.check_address(Place(address, 2, 1))
        with pytest.raises(UserError, match=r"process 0 cannot listen there \(Address already"):
            process_environment.check_address(Place(address, 2, 0))
    process_environment.check_address(Place(address, 2, 0))
