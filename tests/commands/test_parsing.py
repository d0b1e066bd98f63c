"""Command lines: paths, and configs of which parts are named anew or entries given twice."""

import re
from pathlib import Path

import pytest

from cnnlab import config as cfg
from cnnlab import config_file
from cnnlab.commands.parsing import parse, shorten
from cnnlab.errors import UserError

CIFAR = "configs/cifar10_resnet.py"
SIAMESE = "configs/glyphs_siamese.py"
FLAGS = [
    *(("train", "workdir"), ("eval", "workdir"), ("eval", "data_dir"), ("status", "workdir")),
    *(("sweep", "workdir"), ("sweep", "sweep"), ("data", "data_dir"), ("data", "sheet")),
    *(("config", "plot"), ("models", "picture"), ("layers", "picture"), ("layers", "image")),
    *(("layers", "effective"), ("layers", "box_losses")),
]


def config(*arguments, file=CIFAR):
    parsed = parse("config", [f"--config={file}", *(f"--config.{a}" for a in arguments)])
    assert parsed is not None
    return parsed[0].config


def test_a_field_without_a_default_cannot_be_read_from_a_command_line():
    with pytest.raises(UserError, match=r"model.backbone has no default, .* the config file"):
        config("model.name=own_parts:Bare", "model.backbone=resnet18")


def test_another_model_has_its_own_fields_and_the_classes_of_the_data():
    assert config("model.name=resnet18").model.to_dict() == (
        cfg.model("resnet18", num_classes=10).to_dict()
    )
    # A field that the model of the file does not have.
    other = config("model.name=mlp", "model.hidden=(3,)").model
    assert other.to_dict() == cfg.model("mlp", num_classes=10, hidden=(3,)).to_dict()


@pytest.mark.parametrize("order", [1, -1])
def test_what_the_command_line_sets_of_another_model_counts_in_any_order(order):
    given = ["model.width=0.25", "model.name=resnet18", "model.num_classes=4"][::order]
    expected = cfg.model("resnet18", width=0.25, num_classes=4)
    assert config(*given).model.to_dict() == expected.to_dict()


def test_model_of_the_file_by_its_name_keeps_the_fields_of_the_file():
    assert config("model.name=koch2015", file=SIAMESE).model.channels == (16, 32, 64)
    assert config("model.name=mlp", file=SIAMESE).model.to_dict() == (
        cfg.model("mlp", num_classes=0).to_dict()
    )


def test_another_objective_has_its_own_fields():
    found = config("experiment.name=triplet", "experiment.margin=0.5").experiment
    assert found.to_dict() == cfg.experiment("triplet", margin=0.5).to_dict()


def test_another_optimizer_or_schedule_has_its_keywords_beside_the_first_ones():
    found = config("optimizer.name=adam", "optimizer.adam.b1=0.8", "schedule.name=cosine")
    assert (found.optimizer.name, found.optimizer.adam.b1) == ("adam", 0.8)
    assert found.optimizer.adam.b2 == cfg.base().optimizer.adam.b2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["optimizer.name=adamw"], "learning_rate=0.1, weight_decay=0.0001, for sgd"),
        (["optimizer.learning_rate=1", "optimizer.name=adamw"], "file's weight_decay=0.0001, for"),
        (["optimizer.name=sgd"], ""),
        (["optimizer={'name': 'adamw'}"], ""),
        # Refused later, in one line.
        (["optimizer.name=adma"], ""),
        (["optimizer.name=adam", "optimizer.learning_rate=1", "optimizer.weight_decay=0"], ""),
    ],
)
def test_another_optimizer_with_the_numbers_of_the_first_is_no_silent_thing(given, kept, caplog):
    with caplog.at_level("WARNING", logger="cnnlab"):
        config(*given)
    assert (kept in caplog.text) if kept else not caplog.records


@pytest.mark.parametrize(
    ("message", "given"),
    {
        r"no entry 'depths' in model \('alexnet'\)": ["model.name=alexnet", "model.depths=(1,)"],
        r"no entry 'label_smoothing' in experiment \('triplet'\)": [
            "experiment.label_smoothing=0.1",
            "experiment.name=triplet",
        ],
        "unknown model 'resnt18'; did you mean 'resnet18'": ["model.name=resnt18"],
        "no entry 'lr' in optimizer; did you mean 'learning_rate'": ["optimizer.lr=1"],
        "did you mean 'optimizer.learning_rate'": ["learning_rate=1"],
        "config.floors is now config.representation.baselines": ["floors=()"],
        "config.supervised is now config.representation.supervised": ["supervised.steps=4"],
        "config.experiment.cure is now config.experiment.method": [
            "experiment.name=joint_embedding",
            "experiment.cure=byol",
        ],
        "unknown experiment 'invariant'; it is now 'joint_embedding'": [
            "experiment.name=invariant"
        ],
        "no entry 'evry' in evaluate": ["evaluate={'evry': 5}"],
        "no entry 'num_clases' in model": ["model={'name': 'mlp', 'num_clases': 5}"],
        "evaluate.every needs a whole number": ["evaluate={'every': '5'}"],
        "no entry '0' in evaluate.splits": ["evaluate.splits[0]=test"],
        "no entry ''": ["=3"],
        "no entry 'nosuch'; there are: ": ["nosuch=1"],
        "no entry 'knnn' in representation.evaluators; did you mean 'knn'": [
            "representation.evaluators.knnn.k=3"
        ],
        "no entry 'flpi' in data.train.augment; did you mean 'flip'": [
            "data.train.augment.flpi.probability=1"
        ],
        "no entry 'prob' in data.train.augment.mixup": ["data.train.augment.mixup.prob=1"],
        "no entry 'tset' in data.eval.splits; did you mean 'test'": ["data.eval.splits.tset=x"],
        "no entry 'train' in data.eval.splits; there are": ["data.eval.splits.train.b=x"],
        "no module 'nowhere'": ["representation.evaluators.mine.name=nowhere:f"],
    }.items(),
)
def test_entry_that_is_another_ones_or_nobodys_is_refused(message, given):
    with pytest.raises(UserError, match=message):
        config(*given)


@pytest.mark.parametrize(
    ("given", "path", "expected"),
    [
        (["k=7"], "representation.evaluators.knn", {**cfg.evaluators(knn={"k": 7}).knn}),
        (["alpha=0.4"], "data.train.augment.mixup", {**cfg.augment(mixup={"alpha": 0.4}).mixup}),
        (["size=9"], "data.train.preprocess.center_crop", {"size": 9}),
        (["size=9"], "data.eval.preprocess.center_crop", {"size": 9}),
        (["probability=1"], "data.train.second_view.flip", {"probability": 1.0}),
        (
            ["k=1", "name=knn"],
            "representation.evaluators.nearest",
            {**cfg.evaluators(nearest={"name": "knn", "k": 1}).nearest},
        ),
    ],
)
def test_part_that_the_config_does_not_have_is_added_with_its_defaults(given, path, expected):
    found = config(*(f"{path}.{text}" for text in given), file="configs/shapes_objectives.py")
    above, _, key = path.rpartition(".")
    for name in above.split("."):
        found = found[name]
    assert found[key].to_dict() == expected
    assert found.is_locked


def test_split_that_the_config_does_not_have_is_added():
    found = config("data.eval.splits.extra=train[:9]", "data.eval.sources.extra=folder:x")
    assert found.data.eval.splits.extra == "train[:9]"
    assert found.data.eval.sources.extra == "folder:x"


@pytest.mark.parametrize(
    ("entry", "first", "last", "value"),
    [
        ("schedule.step.boundaries", "(1, 2)", "(3, 4)", (3, 4)),
        ("evaluate.splits", "test", "validation", ("validation",)),
        ("steps", "1", "2", 2),
        ("optimizer.name", "adam", "lamb", "lamb"),
        ("deterministic", "true", "false", False),
        ("evaluate", "{'every': 1}", "{'batch_size': 2}", None),
    ],
)
def test_of_an_entry_given_twice_the_last_counts(entry, first, last, value):
    found = config(f"{entry}={first}", f"{entry}={last}")
    if value is None:
        assert (found.evaluate.every, found.evaluate.batch_size) == (2000, 2)
    else:
        assert found.get(entry.partition(".")[0]) is not None
        inner = found
        for key in entry.split("."):
            inner = inner[key]
        assert inner == value


def test_config_may_stand_anywhere_and_the_last_counts(tmp_path):
    given = ["--config.steps=7", f"--config={SIAMESE}", "--plot=a.png", "--config", CIFAR]
    values, _ = parse("config", given)
    assert values.config.steps == 7
    assert values.plot == "a.png"
    assert values.config.to_dict() == {**config_file.load(CIFAR).to_dict(), "steps": 7}
    (tmp_path / "flags").write_text("--config.model.name=resnet18\n")
    values, _ = parse("config", [f"--config={CIFAR}", f"--flagfile={tmp_path}/flags"])
    assert values.config.model.widths == (64, 128, 256, 512)


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


@pytest.mark.parametrize(
    ("flag", "hint"),
    {
        "--steps=10": "did you mean --config.steps?",
        "--learning_rate=1": "did you mean --config.optimizer.learning_rate?",
        "--batch-size=1": "did you mean --config.batch_size?",
        "--lr=1": "did you mean --config.optimizer.learning_rate?",
        "--model.activation=tanh": "did you mean --config.model.activation?",
        "--stepz=10": "did you mean --config.steps?",
        "--workdr=x": "did you mean 'workdir'?",
    }.items(),
)
def test_entry_of_the_config_given_as_a_flag_is_suggested(flag, hint):
    with pytest.raises(UserError, match=f"unknown flag .*{re.escape(hint)}"):
        parse("train", ["--config=configs/digits_lenet5.py", flag])


def test_entry_is_suggested_without_a_config_too():
    with pytest.raises(UserError, match=r"did you mean --config\.steps\?"):
        parse("train", ["--steps=10"])


def test_steps_of_the_command_line_cut_what_would_never_come(caplog):
    given = ["--config=configs/digits_lenet5.py", "--config.steps=100", "--config.log_every=300"]
    parsed = parse("config", given)
    with caplog.at_level("INFO", logger="cnnlab"):
        shorten(parsed[0])
    found = parsed[0].config
    assert (found.log_every, found.eval_every, found.checkpoint.every) == (300, 100, 100)
    assert "eval_every=250, checkpoint.every=500 cut to the run's 100 steps" in caplog.text


def test_steps_of_the_file_cut_nothing():
    parsed = parse("config", ["--config=configs/shapes_transfer.py:finetune"])
    before = parsed[0].config.to_dict()
    shorten(parsed[0])
    assert parsed[0].config.to_dict() == before


@pytest.mark.parametrize(
    ("given", "length"),
    [
        (["steps=10"], (10, 0.0)),
        (["epochs=3"], (0, 3.0)),
        (["steps=10", "epochs=0"], (10, 0.0)),
        (["steps=0"], (0, 20.0)),
    ],
)
def test_a_length_on_the_command_line_replaces_that_of_the_config(tmp_path, given, length, caplog):
    file = tmp_path / "lengths.py"
    file.write_text(
        "from cnnlab import config as cfg\n\n\ndef get_config():\n    config = cfg.base()\n"
        "    config.experiment = cfg.experiment('supervised')\n"
        "    config.model = cfg.model('mlp')\n    config.epochs = 20.0\n    return config\n"
    )
    with caplog.at_level("INFO", logger="cnnlab"):
        found = config(*given, file=file)
    assert (found.steps, found.epochs) == length
    assert ("steps=10 in place of the config's epochs=20.0" in caplog.text) == (
        given == ["steps=10"]
    )


def test_two_lengths_on_the_command_line_are_an_error_before_anything_is_cut(caplog):
    given = [
        "--config=configs/shapes_transfer.py:finetune",
        "--config.steps=10",
        "--config.epochs=1",
    ]
    with caplog.at_level("INFO", logger="cnnlab"):
        values, _ = parse("config", given)
        with pytest.raises(UserError, match=r"both are above zero.*epochs=0 or"):
            shorten(values)
    assert not caplog.records


@pytest.mark.parametrize(
    ("given", "message"),
    {
        "init_from=runs/own": "is a dictionary: set --config.init_from.path=..., .checkpoint=",
        "init_from=5": "init_from is a dictionary: set --config.init_from.",
        "model=resnet18": "model is a dictionary: set --config.model.name=...",
        "data.eval=test": "data.eval is a dictionary: set --config.data.eval.",
    }.items(),
)
def test_text_for_a_dictionary_names_its_entries(given, message):
    with pytest.raises(UserError, match=re.escape(message)):
        config(given)
