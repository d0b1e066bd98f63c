"""`launch.py models`: the list, one model, formats, order, pictures, and what cannot be."""

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab import commands, models
from cnnlab.analysis import listings
from cnnlab.analysis.tables import COLUMNS
from cnnlab.commands import model_tables

LENET = {
    "name": "lenet5",
    "parameters": 61706,
    "macs": 416520,
    "activations": 6518,
    "receptive_field": 32,
    "stride": 4,
    "input": [32, 32, 1],
}


def run(capsys, *arguments):
    """Return the exit status and what was printed on stdout and stderr."""
    status = commands.main(["models", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def few(monkeypatch):
    """A table of three models, quick to trace; in this order."""
    table = {name: models.MODELS[name] for name in ("mlp", "lenet5", "alexnet_torchvision")}
    table["lenet5"] = dataclasses.replace(table["lenet5"], top1=99.05, protocol="MNIST test")
    monkeypatch.setattr(models, "MODELS", table)
    stored = {name: entry for name, entry in listings.models().items() if name in table}
    stored["lenet5"] |= {"paper_top1": 99.05, "protocol": "MNIST test"}
    monkeypatch.setattr(listings, "models", lambda: stored)
    return table


def test_json_is_a_list_of_rows_with_exact_integers(capsys, few):
    status, out, err = run(capsys, "--format=json")
    assert (status, err) == (0, "")
    rows = json.loads(out)
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert [row["name"] for row in rows] == list(few)
    mlp, lenet, alexnet = rows
    assert lenet | LENET == lenet
    assert (lenet["paper_top1"], lenet["paper_top5"]) == (few["lenet5"].top1, few["lenet5"].top5)
    assert (lenet["paper"], lenet["protocol"]) == (few["lenet5"].paper, few["lenet5"].protocol)
    # What a dense layer sees of any image is all of it.
    assert (mlp["receptive_field"], mlp["stride"]) == (None, None)
    # The last convolution, not the dense layers behind it.
    assert (alexnet["receptive_field"], alexnet["stride"]) == (195, 32)
    assert alexnet["parameters"] == 61_100_840


@pytest.mark.parametrize("name", ["*", "lenet5"])
def test_what_is_on_file_is_what_tracing_gives(name, capsys, few, monkeypatch):
    stored = run(capsys, name, "--format=json")
    asked = []
    monkeypatch.setattr(listings, "models", lambda: asked.append(1))
    assert run(capsys, name, "--format=json", "--trace") == stored
    assert not asked


def test_model_that_is_not_on_file_yet_is_traced(capsys, few, monkeypatch):
    monkeypatch.setattr(listings, "models", dict)
    assert names(capsys, "lenet*") == ["lenet5"]


@pytest.mark.parametrize("command", ["models", "layers"])
def test_lists_do_not_wait_for_jax(command):
    code = (
        "import sys; from cnnlab.commands import main; "
        f"status = main(['{command}']); sys.exit(status or 'jax' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) > 40


def test_csv_has_the_same_rows(capsys, few):
    _, out, _ = run(capsys, "lenet*", "--format=csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert list(row) == list(COLUMNS)
    assert row | {k: str(v) for k, v in LENET.items()} | {"input": "32x32x1"} == row
    assert row["paper_top5"] == ""


def test_markdown_is_one_table(capsys, few):
    _, out, _ = run(capsys, "--format=markdown")
    lines = out.splitlines()
    assert len(lines) == 2 + len(few)
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
    assert "| lenet5 | 61,706 | 416,520 | 6,518 | 32 | 4 | 32×32×1 |" in out


def test_list_of_models_is_a_table(capsys, few):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.strip().startswith("lenet5")]
    assert line.split()[:7] == ["lenet5", "61,706", "416,520", "6,518", "32", "4", "32×32×1"]


def names(capsys, *flags):
    _, out, _ = run(capsys, "--format=json", *flags)
    return [row["name"] for row in json.loads(out)]


def test_largest_comes_first_and_text_in_its_order(capsys, few):
    assert names(capsys, "--sort=parameters") == ["alexnet_torchvision", "mlp", "lenet5"]
    assert names(capsys, "--sort=-parameters") == ["lenet5", "mlp", "alexnet_torchvision"]
    assert names(capsys, "--sort=name") == ["alexnet_torchvision", "lenet5", "mlp"]
    # The MLP has no field: it stays at the end.
    assert names(capsys, "--sort=-receptive_field") == ["lenet5", "alexnet_torchvision", "mlp"]


def test_flags_change_image_classes_and_arguments(capsys, few):
    flags = ["--size=28", "--channels=3", "--num_classes=7", "--set=padding=2", "--set=norm=batch"]
    _, out, _ = run(capsys, "lenet5", "--format=json", *flags)
    one = json.loads(out)
    assert one["input"] == [28, 28, 3]
    stages = {stage["endpoint"]: stage for stage in one["stages"]}
    # Three channels, BatchNorm's two parameters in place of the bias, and 7 classes.
    assert stages["c1"]["parameters"] == 5 * 5 * 3 * 6 + 2 * 6
    assert stages["logits"]["parameters"] == 84 * 7 + 7
    assert one["parameters"] == sum(stage["parameters"] for stage in one["stages"])
    _, out, _ = run(capsys, "lenet5", "--num_classes=0", "--format=csv")
    assert out.splitlines()[-1].startswith("features,84,")


@pytest.mark.parametrize(
    "flag", ["--num_classes=7", "--size=36", "--channels=3", "--set=norm=batch"]
)
def test_a_changed_model_is_not_given_the_accuracy_of_the_papers(capsys, few, flag):
    assert "99.05" in run(capsys, "lenet5", "--num_classes=10", "--trace")[1]
    _, out, _ = run(capsys, "lenet5", "--format=json", flag)
    assert (json.loads(out)["paper_top1"], json.loads(out)["protocol"]) == (None, "")
    assert "99.05" not in run(capsys, "lenet5", flag)[1]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("hidden=(8, 4)", (8, 4)), ("hidden=[8]", (8,)), ("dropout=0", 0.0), ("norm=", "")],
)
def test_arguments_have_the_type_of_their_default(setting, value, capsys, few, monkeypatch):
    given = {}
    create = models.create
    monkeypatch.setattr(models, "create", lambda name, **kw: given.update(kw) or create(name, **kw))
    assert run(capsys, "mlp", f"--set={setting}")[0] == 0
    assert given == {setting.partition("=")[0]: value}
    assert type(given[setting.partition("=")[0]]) is type(value)


def test_stages_of_one_model_are_shown(few, capsys):
    status, out, _ = run(capsys, "lenet5")
    assert status == 0
    assert models.MODELS["lenet5"].paper in out and "99.05 %" in out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("c3")]
    assert line.split() == ["c3", "10×10×16", "2,416", "240,000", "1,600", "14", "2"]
    (line,) = [line for line in out.splitlines() if line.strip().startswith("total")]
    assert line.split() == ["total", "61,706", "416,520", "6,518"]
    _, out, _ = run(capsys, "mlp")
    (line,) = [line for line in out.splitlines() if line.strip().startswith("hidden1")]
    assert line.split()[-2:] == ["512", "all"]


def test_parameters_for_training_alone_have_a_row(capsys):
    _, out, _ = run(capsys, "googlenet", "--format=json", "--size=64")
    one = json.loads(out)
    rest = one["stages"][-1]
    assert (rest["endpoint"], rest["shape"], rest["macs"]) == ("(training only)", None, 0)
    assert rest["parameters"] == one["parameters"] - 6_998_552


def test_stages_of_one_model_are_drawn(capsys, tmp_path):
    path = tmp_path / "new" / "lenet5.png"
    status, out, _ = run(capsys, "lenet5", f"--picture={path}")
    assert status == 0
    assert out.endswith(f"drawn in {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")
    # What a program reads stays free of messages.
    _, out, err = run(capsys, "lenet5", f"--picture={path}", "--format=json")
    assert json.loads(out)["name"] == "lenet5"
    assert err == f"drawn in {path}\n"


def test_models_that_cannot_take_the_images_are_left_out_and_named(capsys, few):
    status, out, err = run(capsys, "--size=28", "--format=csv")
    assert status == 0
    assert [line.partition(",")[0] for line in out.splitlines()] == ["name", "mlp"]
    assert [line.split(":")[1] for line in err.splitlines()] == [" lenet5", " alexnet_torchvision"]
    assert "too small" in err


def test_narrow_terminal_goes_without_the_least_needed_columns(capsys, few, monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(model_tables, "_console", lambda: Console(width=80, highlight=False))
    _, out, _ = run(capsys)
    *table, note = out.splitlines()
    assert all(len(line) <= 80 for line in table)
    assert note.startswith("no room for: paper, activations")
    assert "61,100,840" in out and "714,188,480" in out


ERRORS = {
    "no model matches 'resnt50'; did you mean 'resnet50'?": ["resnt50"],
    "no model matches 'vgx*'; did you mean 'vgg": ["vgx*"],
    "takes one name or pattern, not lenet5, mlp": ["lenet5", "mlp"],
    "--sort=mac: there is no such column; did you mean 'macs'?": ["--sort=mac"],
    "--sort is for lists": ["lenet5", "--sort=macs"],
    "a picture is of one model, not of 'lenet*'": ["lenet*", "--picture=x.png"],
    "'x.gif' must end in .png": ["lenet5", "--picture=x.gif"],
    "cannot write": ["lenet5", "--picture=/dev/null/x.png"],
    "28x28 with padding=0 are too small": ["lenet5", "--size=28"],
    "lenet5: images of 8x8": ["lenet5*", "--size=8"],
    "--set=padding must be --set=key=value": ["lenet5", "--set=padding"],
    "no argument 'paddin'; did you mean 'padding'?": ["lenet5", "--set=paddin=1"],
    "--set=padding=two must be of type int, such as 0": ["lenet5", "--set=padding=two"],
    "--set=hidden=8 must be of type tuple, such as (512, 512)": ["mlp", "--set=hidden=8"],
    "at most 134,217,728 are followed": ["lenet5", "--size=100000000"],
    "model.hidden=(-3,) must be whole numbers": ["mlp", "--set=hidden=(-3,)"],
    "table|csv|json|markdown": ["--format=xml"],
    "--size": ["--size=0"],
}


@pytest.mark.parametrize("message", ERRORS)
def test_mistake_is_explained_in_one_line(message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *ERRORS[message])
    assert status == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())


def test_output_into_a_pipe_is_data_alone_and_may_be_cut_off():
    root = Path(__file__).parents[2]
    command = [sys.executable, "launch.py", "models", "lenet5", "--format=csv"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, cwd=root, env=os.environ, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_field_of_the_model_as_a_flag_suggests_set(capsys):
    status, _, err = run(capsys, "resnet18", "--stem=cifar")
    assert status == 1 and "did you mean --set=stem=cifar?" in err
