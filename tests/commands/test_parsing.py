"""Flags that name files and folders: `~` and variables, in every command alike."""

from pathlib import Path

import pytest

from cnnlab.commands.parsing import parse
from cnnlab.errors import UserError

FLAGS = [
    *(("train", "workdir"), ("eval", "workdir"), ("eval", "data_dir"), ("status", "workdir")),
    *(("sweep", "workdir"), ("sweep", "sweep"), ("data", "data_dir"), ("data", "sheet")),
    *(("config", "plot"), ("models", "picture"), ("layers", "picture"), ("layers", "image")),
    ("layers", "effective"),
]


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_home_and_variables_in_every_path_flag(command, flag, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PLACE", "there")
    values, _ = parse(command, [f"--{flag}=~/$PLACE/${{PLACE}}s"])
    assert values[flag].value == "/home/me/there/theres"
    values, _ = parse(command, [f"--{flag}", "~"])
    assert values[flag].value == "/home/me"
    with pytest.raises(UserError, match=rf"--{flag}=.*\$CNNLAB_UNSET, which is not set"):
        parse(command, [f"--{flag}=a/$CNNLAB_UNSET"])


@pytest.mark.parametrize("command", ["train", "config", "sweep"])
def test_home_and_variables_in_the_path_of_the_config_file(command, monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.setenv("CONFIGS", "configs")
    file = "~/$CONFIGS/digits_lenet5.py:plain"
    for arguments in ([f"--config={file}"], ["--config", file]):
        values, _ = parse(command, [*arguments, "--config.seed=3"])
        assert values.config.seed == 3
        assert values["config"].config_filename == f"{root}/configs/digits_lenet5.py:plain"
    with pytest.raises(UserError, match=r"\$CNNLAB_UNSET, which is not set"):
        parse(command, ["--config=$CNNLAB_UNSET/x.py"])
