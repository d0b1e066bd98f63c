"""Checkpoints of runs and weights of none, evaluated by a config or by chosen evaluators."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from published import real

from cnnlab import commands, config_file
from cnnlab.errors import UserError
from cnnlab.runs.evaluate import evaluate, evaluate_weights

ROOT = Path(__file__).resolve().parents[2]
SMALL = "--config=tests/commands/small_digits.py"
# Wrong ones of 10,000 test images: as published, and as PyTorch counts them.
ERRORS = {
    "resnet20": ("cifar10/weights", "resnet20-12fca82f.th", 827),
    "resnet56": ("cifar10/weights", "resnet56-4bfd9763.th", 661),
    "resnet8": ("mlperf_tiny_weights", "pretrainedResnet.h5", 1279),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run, and what it says of the test split."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert commands.main(["train", SMALL, f"--workdir={folder}"]) == 0
    results = json.loads((folder / "result.json").read_text())["results"]
    (last,) = (values for name, values in results.items() if name.startswith("last"))
    return folder, {name: value for name, value in last.items() if name.startswith("test/")}


@pytest.mark.slow
def test_weights_have_the_numbers_of_the_run_that_trained_them(trained, capsys):
    folder, expected = trained
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    line = ["eval", SMALL, f"--config.init_from.path={folder}", "--splits=test"]
    assert commands.main([*line, "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"weights": str(folder), **expected}
    assert commands.main(line) == 0
    assert f"{100 * expected['test/accuracy']:.2f}" in capsys.readouterr().out
    # Nothing is written.
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def lines(folder):
    return [json.loads(x) for x in (folder / "evaluations.jsonl").read_text().splitlines()]


def test_evaluators_of_a_finished_run_are_added_to_it(trained, capsys):
    folder, expected = trained
    drawn = folder / "figures" / "test" / "confusion_matrix.png"
    before = drawn.stat().st_mtime_ns
    line = ["eval", f"--workdir={folder}", "--splits=test"]
    assert commands.main([*line, "--evaluator=knn", "--k=3", "--evaluator=verification"]) == 0
    captured = capsys.readouterr()
    assert "3-NN, cosine" in captured.out and "knn on 'test' of step 50, feat" in captured.err
    said = captured.err.splitlines()
    # What takes long is said before it begins, each split once.
    assert [line for line in said if "embedding '" in line or "embedding the" in line] == [
        "knn on 'test' of step 50: embedding 'test'",
        "knn on 'test' of step 50: embedding the training split",
        "verification on 'test' of step 50: embedding 'validation'",
    ]
    assert commands.main([*line, "--checkpoint=50"]) == 0
    assert "evaluating 'test'" in capsys.readouterr().err
    knn, verification, metrics = lines(folder)
    assert (knn["protocol"], knn["split"], knn["endpoint"]) == ("knn", "test", "features")
    assert (knn["step"], knn["checkpoint"], metrics["checkpoint"]) == (50, "latest", "50")
    assert knn["setting"].startswith("3-NN") and 0 < knn["values"]["accuracy"] <= 1
    assert verification["protocol"] == "verification" and knn["date"]
    assert {f"test/{k}": v for k, v in metrics["values"].items()} == expected
    # What training drew stays as it is.
    assert drawn.stat().st_mtime_ns == before
    own = folder / "figures" / "step_50" / "test"
    assert {p.name for p in own.glob("*.png")} >= {"confusion_matrix.png", "roc.png"}


@pytest.mark.parametrize(
    ("given", "message"),
    {
        "--evaluator=knn --endpoint=embeding": "no endpoint 'embeding'; did you mean 'embedding'",
        "--evaluator=few_shot --ways=200": "few_shot on 'test': few_shot cannot draw 200 ways",
        "--evaluator=knn --key=drawer": "has no key 'drawer'",
    }.items(),
)
def test_evaluator_that_cannot_be_computed_is_an_error_and_leaves_nothing(trained, given, message):
    folder, _ = trained
    before = set(folder.rglob("*"))
    names, *flags = given.split()
    name, keywords = names.partition("=")[2], dict(x.lstrip("-").split("=") for x in flags)
    with pytest.raises(UserError, match=message):
        evaluate(folder, splits=("test",), evaluators=[(name, keywords)])
    assert set(folder.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("variant", ERRORS)
def test_published_weights_make_their_published_errors(variant):
    folder, file, errors = ERRORS[variant]
    if file.endswith(".h5"):
        pytest.importorskip("h5py")
    command = [
        *(sys.executable, "launch.py", "eval", "--format=json"),
        f"--config=configs/cifar10_pretrained.py:{variant}",
        f"--config.data.source=cifar:{real('cifar10/cifar-10-batches-bin')}",
        f"--config.init_from.path={real(folder) / file}",
    ]
    # Compiled as for a person: the tests' programs are quick to compile, and slow.
    environment = {
        **os.environ,
        "XLA_FLAGS": "",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert round((1 - json.loads(done.stdout)["test/accuracy"]) * 10_000) == errors


def test_weights_that_need_another_side_of_padding_are_refused():
    config = config_file.load("configs/cifar10_pretrained.py")
    config.data.source = f"cifar:{real('cifar10/cifar-10-batches-bin')}"
    config.init_from.path = str(real("cifar10/weights") / "resnet20-12fca82f.th")
    config.model.shortcut_padding = "end"
    with pytest.raises(UserError, match="was trained with shortcut_padding='both'"):
        evaluate_weights(config)
