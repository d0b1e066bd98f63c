"""A representation from the command line: learned, compared with its controls, drawn."""

import json

import pytest

from cnnlab import commands

CONTROLS = ("supervised", "fine_tune")


@pytest.mark.slow
def test_run_reports_its_representation_beside_the_controls(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", "--config=tests/commands/small_triplet.py", f"--workdir={run}"]
    assert commands.main(arguments) == 0
    out, said = capsys.readouterr()
    # A line of a control says so.
    assert "collapse on 'test' of supervised (step 8), features: " in said
    assert said.count("collapse on 'test' of trained (step 8), features: ") == 1
    assert said.index("evaluating 'test'") < said.index("of trained (step 8): embedding 'test'")
    for protocol in ("knn", "few_shot", "linear_probe", "retrieval", "verification", "collapse"):
        assert f"{protocol} on test" in out
    rows = json.loads((run / "result.json").read_text())["representation"]

    def encoders(protocol, split="test"):
        return [r["encoder"] for r in rows if (r["protocol"], r["split"]) == (protocol, split)]

    learned = ["trained (step 8)", "random weights", "supervised"]
    assert sorted(encoders("knn")) == sorted([*learned, "pixels"])
    assert sorted(encoders("collapse")) == sorted(learned)  # pixels cannot collapse
    assert encoders("fine_tune") == ["fine-tuned"]
    (fine,) = (r for r in rows if (r["protocol"], r["split"]) == ("fine_tune", "test"))
    assert fine["setting"] == "50 labels, 8 steps"
    # Runs of their own, with the same length, and no more of their kind.
    for name in ("supervised", "fine_tune"):
        inner = json.loads((run / name / "result.json").read_text())
        assert inner["steps"] == 8
        assert not (run / name / name).exists()
    for name in ("embedding.png", "roc.png"):
        assert (run / "figures" / "test" / name).stat().st_size > 0
    assert (run / "projector" / "projector_config.pbtxt").exists()
    # Evaluated during training, under names that a checkpoint can be chosen by.
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    spread = [r for r in records if "validation/collapse_embedding_std" in r]
    assert [r["step"] for r in spread] == [4, 8]

    # eval finds the same in the checkpoint.
    assert commands.main(["eval", f"--workdir={run}", "--format=json", "--splits=test"]) == 0
    evaluated = json.loads(capsys.readouterr().out)["representation"]
    mine = {r["protocol"]: r["values"] for r in evaluated}
    for row in rows:
        if row["encoder"].startswith("trained") and row["split"] == "test":
            assert mine[row["protocol"]] == row["values"]
    assert commands.main(["eval", f"--workdir={run}", "--splits=test"]) == 0
    assert "few_shot on test" in capsys.readouterr().out


@pytest.mark.slow
def test_controls_are_trained_anew_when_the_run_has_gone_on(tmp_path):
    run = tmp_path / "run"
    arguments = [
        "train",
        "--config=tests/commands/small_triplet.py",
        f"--workdir={run}",
        "--config.representation.evaluators={}",
        "--config.representation.controls=('supervised', 'fine_tune')",
        "--config.representation.supervised.steps=4",
        "--config.representation.fine_tune.steps=4",
    ]
    assert commands.main(arguments) == 0
    before = {name: (run / name / "result.json").stat().st_ino for name in CONTROLS}
    assert commands.main([*arguments, "--config.steps=12", "--on_change=accept"]) == 0

    def started_from(name):
        return json.loads((run / name / "config.json").read_text())["init_from"]["checkpoint"]

    assert started_from("fine_tune") == "12"
    # That of random weights is what it was, and is not trained again.
    assert (run / "supervised" / "result.json").stat().st_ino == before["supervised"]


def test_collapsed_representation_is_called_so(capsys):
    from cnnlab.runs import representation_report

    values = {"embedding_std": 0.001, "effective_rank": 1.2, "collapsed": 1.0}
    row = dict(encoder="trained (step 8)", protocol="collapse", split="test", endpoint="features")
    representation_report.show([{**row, "setting": "", "values": values}])
    out = capsys.readouterr().out
    assert "COLLAPSED" in out
    assert "trained (step 8)" in out
    representation_report.show([{**row, "setting": "", "values": {**values, "collapsed": 0.0}}])
    assert "COLLAPSED" not in capsys.readouterr().out


def test_numbers_are_whole_in_a_narrow_terminal(capsys, monkeypatch):
    from cnnlab.runs import representation_report

    monkeypatch.setenv("COLUMNS", "70")
    values = {f"tar@far={n}": n / 81 for n in range(1, 6)}
    row = dict(encoder="trained", protocol="verification", split="test", endpoint="features")
    representation_report.show([{**row, "setting": "", "values": values}])
    out = capsys.readouterr().out
    assert all(number in out for number in ("1.23%", "2.47%", "3.70%", "4.94%", "6.17%"))
    assert max(map(len, out.splitlines())) <= 70
