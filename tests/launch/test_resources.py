"""What flags ask for, and what cannot be asked for."""

import pytest
from absl import flags

from cnnlab.errors import UserError
from cnnlab.launch.resources import Resources, define_resources, minutes, resources_from


def parsed(*arguments):
    values = flags.FlagValues()
    define_resources(values)
    values(["launch.py", *arguments])
    return values


def test_flags_become_resources():
    values = parsed(
        "--nodes=2",
        "--processes_per_node=4",
        "--gpus_per_node=8",
        "--cpus_per_process=6",
        "--memory=64",
        "--partition=gpu",
        "--account=vision",
        "--qos=high",
        "--constraint=a100",
        "--time=1-00:00:00",
        "--warning=60",
        "--requeues=1",
        "--setup=module load cuda",
        "--setup=ulimit -n 4096",
    )
    found = resources_from(values)
    assert found == Resources(
        nodes=2,
        processes_per_node=4,
        gpus_per_node=8,
        cpus_per_process=6,
        memory=64,
        partition="gpu",
        account="vision",
        qos="high",
        constraint="a100",
        time=1440,
        warning=60,
        requeues=1,
        setup=("module load cuda", "ulimit -n 4096"),
    )
    assert found.processes == 8
    assert found.asked().startswith("--nodes=2 --processes_per_node=4 --gpus_per_node=8")
    assert not values.dry_run


def test_defaults_of_flags_are_those_of_the_class():
    assert resources_from(parsed()) == Resources()
    assert Resources().asked() == "--time=60"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("1:30:00", 90), ("00:00:30", 1), ("2-01:00:00", 2940), ("5:30", 6), (" 7 ", 7)],
)
def test_times_are_read_as_slurm_reads_them(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "1:2:3:4", "1-2", "0:00:00", "1.5"])
def test_what_is_no_time_is_named(text):
    with pytest.raises(UserError, match=r"--time=.*: needs minutes or HH:MM:SS"):
        minutes(text)


def test_warning_comes_before_the_limit():
    with pytest.raises(UserError, match="--warning=60 seconds before --time=1: no time to train"):
        resources_from(parsed("--time=1", "--warning=60"))


@pytest.mark.parametrize(
    "flag", ["--nodes=0", "--processes_per_node=0", "--gpus_per_node=-1", "--requeues=-1"]
)
def test_less_than_nothing_is_refused(flag):
    with pytest.raises(flags.IllegalFlagValueError, match=flag[2:].partition("=")[0]):
        parsed(flag)
