"""docs/extending.md works as it stands: its files are written to a folder and its commands run."""

import json

import pages
import pytest

from cnnlab.commands import main

FILES, COMMANDS = pages.read("extending.md")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    with pages.written(FILES, tmp_path, monkeypatch):
        yield tmp_path


@pytest.mark.slow
def test_every_example_of_the_page_trains_and_is_evaluated(folder, capfd):
    assert len(FILES) == 6 and len(COMMANDS) == 5
    for command in COMMANDS:
        extra = ["--config.parallel.devices=1"] if command.startswith("train") else []
        assert main([*command.split(), *extra]) == 0, capfd.readouterr().err
    out = capfd.readouterr().out
    assert "top" in out
    for run, steps in {"net": 20, "means": 1, "rotation": 20}.items():
        result = json.loads((folder / "runs" / run / "result.json").read_text())
        assert "validation/accuracy" in result["results"][f"last (step {steps})"]
        assert "missing" not in result
        rows = [row for row in result["representation"] if row["protocol"] == "means"]
        assert {row["split"] for row in rows} == {"validation", "test"}
        assert {row["setting"] for row in rows} == {"power 2.0"}
    environment = json.loads((folder / "runs" / "rotation" / "environment.json").read_text())
    assert environment["modules"] == dict.fromkeys(
        ("mine.net:OnTop", "mine.rotation:Rotation", "mine.rings:Rings", "mine.judge:nearest_mean"),
        str(folder),
    )
