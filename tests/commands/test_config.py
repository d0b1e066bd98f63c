"""The command that shows a config, explains its entries, and checks it as training does."""

import pytest

from cnnlab import commands

DIGITS = "--config=configs/digits_lenet5.py"


def test_every_entry_is_printed_and_the_config_checked(capfd):
    assert commands.main(["config", DIGITS, "--config.steps=7"]) == 0
    assert "--config.steps=7" in capfd.readouterr().out


def test_explain_shows_documentation_type_choices_and_default(capfd):
    assert commands.main(["config", DIGITS, "--explain"]) == 0
    lines = capfd.readouterr().out.splitlines()
    after = lines[lines.index("--config.optimizer.learning_rate=0.002") + 1]
    assert "the full rate" in after and "a number; default 0.1" in after
    assert "--config.seed=0" in lines


def test_explain_of_a_part_shows_only_it(capfd):
    assert commands.main(["config", DIGITS, "--explain=optimizer.sgd"]) == 0
    shown = [x for x in capfd.readouterr().out.splitlines() if x.startswith("--config.")]
    assert {line.partition("=")[0].rpartition(".")[0] for line in shown} == {
        "--config.optimizer.sgd"
    }


def test_explain_of_an_unknown_part_suggests_one(capfd):
    assert commands.main(["config", DIGITS, "--explain=optimizr"]) == 1
    assert "did you mean 'optimizer'?" in capfd.readouterr().err


@pytest.fixture
def elsewhere(tmp_path):
    """Return a config whose data is on another machine."""
    path = tmp_path / "elsewhere.py"
    path.write_text(
        "from cnnlab import config as cfg\n\n\ndef get_config():\n    config = cfg.base()\n"
        f"    config.data.source, config.steps = 'folder:{tmp_path}/gone', 4\n    return config\n"
    )
    return f"--config={path}"


def test_data_of_the_config_file_that_is_not_here_is_no_error(capfd, elsewhere):
    for more in ([], ["--config.data.eval.sources.test=folder:/other"]):
        assert commands.main(["config", elsewhere, *more]) == 0
        out = capfd.readouterr().out
        assert "not checked against the data: folder:" in out and "there is no such folder" in out


@pytest.mark.parametrize("kind", ["folder", "wav", "npz", "idx", "cifar", "omniglot"])
def test_data_of_the_command_line_that_is_not_here_is_an_error(capfd, kind):
    assert commands.main(["config", DIGITS, f"--config.data.source={kind}:/not/here"]) == 1
    assert f"error: {kind}:/not/here: there is no such" in capfd.readouterr().err


def test_weights_that_are_not_here_are_an_error_where_the_data_is_not_here_either(capfd, elsewhere):
    assert commands.main(["config", elsewhere, "--config.init_from.path=/not/here"]) == 1
    assert "error: init_from.path=/not/here: there is no such" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    {
        "--config.data.train.split=trian": "trian",
        "--config.representation.controls=('pixel',)": "did you mean 'pixels'",
        "--config.representation.supervised.batch_size=10000 "
        "--config.representation.controls=('supervised',)": "larger than its training set",
        "--config.checkpoint.best=validation/acuracy": "did you mean 'accuracy'",
        "--config.init_from.path=/nowhere/at/all": "/nowhere/at/all",
        "--config.batch_size=63 --config.accumulation=2": "batch_size=63",
    }.items(),
)
def test_what_training_would_refuse_is_an_error_here(given, message, capfd):
    assert commands.main(["config", DIGITS, *given.split()]) == 1
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
