"""`launch.py layers`: lists, shows and draws, and explains what it cannot."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from cnnlab import commands
from cnnlab.analysis import listings
from cnnlab.layers import catalog


def run(capsys, *arguments):
    """Return the exit status and what was printed on stdout and stderr."""
    status = commands.main(["layers", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def few(monkeypatch):
    """A table of two layers, quick to check."""
    names = ("conv", "transposed")
    rows = {name: catalog.LAYERS[name] for name in names}
    monkeypatch.setattr(catalog, "LAYERS", rows)
    stored = {name: entry for name, entry in listings.layers().items() if name in names}
    monkeypatch.setattr(listings, "layers", lambda: stored)
    return rows


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("flag", ["--check", "--trace"])
def test_layers_are_listed_with_formula_parameters_and_check(flag, capsys, few):
    status, out, err = run(capsys, flag)
    assert status == 0
    assert err == ""
    for name, layer in few.items():
        (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
        assert "  ok  " in line
        # Brackets of a formula are not markup.
        assert layer.formula in out
    assert "112" in out


def test_pattern_and_flag_choose_what_is_listed(capsys, few):
    for flags in ([], ["--nocheck"], ["--trace", "--nocheck"]):
        _, out, _ = run(capsys, "conv*", *flags)
        assert "112" in out
        assert "transposed" not in out
        assert "check" not in out


def test_layer_that_is_not_on_file_yet_is_listed_and_shown(capsys, few, monkeypatch):
    monkeypatch.setattr(listings, "layers", dict)
    for pattern in ("con*", "conv"):
        status, out, _ = run(capsys, pattern)
        assert status == 0
        assert few["conv"].paper in out


def test_layer_that_is_not_as_worked_by_hand_is_reported(capsys, few, monkeypatch):
    wrong = dataclasses.replace(few["conv"], example=lambda: (np.ones(2), np.zeros(2)))
    monkeypatch.setitem(few, "conv", wrong)
    for arguments in (["--check"], ["conv"]):
        status, out, err = run(capsys, *arguments)
        assert status == 1
        assert "off by 1" in out
        assert err == "not as worked by hand: conv\n"


def test_one_layer_is_shown_with_what_draws_it(capsys):
    status, out, _ = run(capsys, "conv")
    assert status == 0
    assert out.startswith("conv: Conv in cnnlab.layers.convolution.conv\n")
    assert "check       ok" in out
    assert "launch.py layers conv --picture=conv.gif" in out


def test_every_picture_is_of_a_layer():
    from cnnlab.plots.layers.pictures import PICTURES

    assert set(PICTURES) <= set(catalog.LAYERS)


def test_pictures_are_drawn(capsys, tmp_path):
    path = tmp_path / "new" / "pool.gif"
    status, out, _ = run(capsys, "max_pool", f"--picture={path}", "--pass=backward", "--nocheck")
    assert status == 0
    assert f"drawn in {path}" in out
    with Image.open(path) as image:
        assert image.n_frames == 4
    path = tmp_path / "conv.png"
    sizes = ["--size=4", "--kernel=3", "--stride=2", "--padding=1", "--dilation=1"]
    status, _, _ = run(capsys, "conv", f"--picture={path}", *sizes, "--nocheck")
    assert status == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_fields_of_a_model_are_listed_and_drawn(capsys, tmp_path):
    path, image = tmp_path / "fields.png", tmp_path / "image.png"
    Image.fromarray(np.zeros((50, 40, 3), np.uint8)).save(image)
    arguments = ["--receptive_field=lenet5", "--size=32", f"--image={image}"]
    status, out, _ = run(capsys, *arguments, f"--picture={path}")
    assert status == 0
    (line,) = [line for line in out.splitlines() if " c3 " in line]
    assert "14×14" in line
    assert path.read_bytes().startswith(b"\x89PNG")
    _, out, _ = run(capsys, "--receptive_field=lenet5", "--size=32", "--endpoints=s4")
    assert "16×16" in out
    assert "c3" not in out
    # The paper's size, where none is given.
    assert run(capsys, "--receptive_field=lenet5", "--endpoints=s4")[1] == out
    _, out, _ = run(capsys, "--receptive_field=lenet5", "--size=40", "--endpoints=logits")
    assert "all" in out


def test_effective_fields_are_plotted(capsys, tmp_path, monkeypatch):
    from cnnlab.plots.layers import effective

    monkeypatch.setattr(effective, "DEPTHS", (1, 2, 3, 4, 5))
    monkeypatch.setattr(effective, "DILATIONS", (1, 2))
    path = tmp_path / "effective.png"
    status, out, _ = run(capsys, f"--effective={path}")
    assert status == 0
    assert str(path) in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_losses_of_boxes_are_drawn(capsys, tmp_path):
    path = tmp_path / "boxes.png"
    status, out, _ = run(capsys, f"--box_losses={path}")
    assert status == 0
    assert str(path) in out
    assert path.read_bytes().startswith(b"\x89PNG")


ERRORS = {
    "no layer 'cnov'; did you mean 'conv'?": ["cnov"],
    "one name or pattern, not conv, transposed": ["conv", "transposed"],
    "a picture is of one layer, not of 'conv*': conv": ["conv*", "--picture=x.gif"],
    "there is no picture of 'light_conv'; there is of: conv": ["light_conv", "--picture=x.gif"],
    "must end in .gif or .png": ["conv", "--picture=x.jpg"],
    "cannot write": ["conv", "--picture=/dev/null/x.gif"],
    "the window of 5 is larger than the input of 3": ["conv", "--picture=x.gif", "--kernel=5"],
    "shape (20, 20) cannot be drawn": ["conv", "--picture=x.gif", "--size=20"],
    "no room for size=100000": ["conv", "--picture=x.gif", "--size=100000"],
    "no room for kernel=1000000000": ["conv", "--picture=x.gif", "--kernel=1000000000"],
    "no room for padding=100000": ["max_pool", "--picture=x.gif", "--padding=100000"],
    "a picture of 100000000x100000000 pixels would need": [
        "--receptive_field=lenet5",
        "--size=100000000",
        "--picture=x.png",
    ],
    "stride": ["conv", "--picture=x.gif", "--stride=0"],
    "none negative": ["conv", "--picture=x.gif", "--padding=-1"],
    "padding='²' is none of": ["conv", "--picture=x.gif", "--padding=²"],
    "padding='MUCH' is none of": ["conv", "--picture=x.gif", "--padding=much"],
    "forward|backward": ["conv", "--pass=sideways"],
    "unknown flag --pictur; did you mean 'picture'?": ["conv", "--pictur=x.gif"],
    "unknown model 'lenet'; did you mean 'lenet5'?": ["--receptive_field=lenet"],
    "it takes no images": ["--receptive_field=cpc_audio"],
    "no endpoint 'c9'": ["--receptive_field=lenet5", "--size=32", "--endpoints=c9"],
    "--image=nowhere.png cannot be read": [
        "--receptive_field=lenet5",
        "--size=32",
        "--picture=x.png",
        "--image=nowhere.png",
    ],
    "'conv' does not go with --receptive_field": ["conv", "--receptive_field=lenet5"],
    "'x.gif' must end in .png": ["--effective=x.gif"],
    "'conv' does not go with --receptive_field, --effective or --box": [
        "conv",
        "--box_losses=x.png",
    ],
}


@pytest.mark.parametrize("message", ERRORS)
def test_mistake_is_explained_in_one_line(message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *ERRORS[message])
    assert status == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())
