"""Before the first step a run says what trains, on what, where and how long; and unseen classes."""

import re

import jax
import numpy as np
import small

from cnnlab import objectives
from cnnlab.runs.header import header, unseen_classes
from cnnlab.runs.train import train
from cnnlab.training import setup


def made(**entries):
    config = small.config(**entries)
    return setup.make(
        config, objectives.create(config.experiment.to_dict(), config.model.to_dict())
    )


def test_header_has_sizes_of_model_data_devices_and_length():
    parts = made(steps=75, batch_size=32, parallel__devices=8)
    model, data, devices, length = header(parts)
    count = sum(x.size for x in jax.tree.leaves(parts.state.params))
    assert model.startswith(f"model    mlp: {count:,} parameters, float32; state of ")
    assert model.endswith(" kB a device")
    assert data == "data     digits: 1,200 train; 360 test, 237 validation"
    assert re.fullmatch(r"devices  8 cpu, \w+; batches of 32, 4 a device", devices)
    assert length == "length   75 steps, 2 epochs"


def test_memory_of_the_state_is_that_of_one_device():
    whole, parted = (
        header(made(parallel__devices=8, parallel__strategy=strategy, model__hidden=(2048,)))[0]
        for strategy in ("jit", "fsdp")
    )

    def size(line):
        number, unit = re.search(r"state of ([\d.]+) (kB|MB)", line).groups()
        return float(number) * {"kB": 1e3, "MB": 1e6}[unit]

    assert np.isclose(size(whole) / 8, size(parted), rtol=0.05)


def test_classes_that_no_training_example_has_are_named_before_training(tmp_path):
    # Five examples are of five classes at most.
    (line,) = unseen_classes(made(data__train__split="train[:5]", batch_size=4))[:1]
    assert re.match(r"\d+% of the examples of '\w+' are of classes that no training", line)
    assert unseen_classes(made()) == []


def test_a_run_says_all_of_it_first_and_its_time_last(tmp_path, capsys):
    train(small.config(steps=2), tmp_path / "run", "stop")
    said = capsys.readouterr()
    lines = said.err.splitlines()
    first = [line.split()[0] for line in lines[:4]]
    assert first == ["model", "data", "devices", "length"]
    assert lines[4] == "compiling"
    assert re.search(r"\d+ s of training, \d+ s in all", said.out)
