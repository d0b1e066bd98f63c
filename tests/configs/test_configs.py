"""Every config file: complete, documented, and it runs."""

import importlib.util
import json
from pathlib import Path

import pytest
import small

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training import setup

ROOT = Path(__file__).parents[2]
FILES = sorted(p for p in (ROOT / "configs").glob("*.py") if not p.name.startswith("_"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variants():
    return [(p.stem, v) for p in FILES for v in load(p).VARIANTS]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_docstring_gives_paper_command_and_variants(path):
    module = load(path)
    assert f"--config=configs/{path.name}" in module.__doc__
    assert "Expected" in module.__doc__
    for variant in module.VARIANTS:
        assert variant == "default" or f"{path.name}:{variant}" in module.__doc__
    with pytest.raises(UserError, match="has no variant 'nonsense'"):
        module.get_config("nonsense")


@pytest.mark.parametrize(("name", "variant"), variants())
def test_config_trains_for_a_step(name, variant, tmp_path):
    settings = load(ROOT / "configs" / f"{name}.py").get_config(variant)
    settings.parallel.devices = 1
    settings.batch_size = 8 * settings.accumulation
    settings.steps, settings.epochs, settings.log_every = 1, 0.0, 1
    settings.floors = ()
    # A part of the data is enough to see that a step runs.
    settings.data.train.split += "[:64]"
    for key, split in settings.data.eval.splits.items():
        settings.data.eval.splits[key] = f"{split}[:32]"
    loop, state = small.train(settings.lock(), tmp_path / "run")
    assert int(state.step) == 1
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1
    assert loop.step == 1


def test_every_entry_can_be_overridden_from_the_command_line():
    # ml_collections cannot replace None, and knows only these types.
    def check(entries, prefix=""):
        for key, value in entries.items():
            if isinstance(value, dict):
                check(value, f"{prefix}{key}.")
            else:
                assert isinstance(value, bool | int | float | str | tuple), prefix + key

    check(cfg.base().to_dict())


def test_unknown_transform_or_keyword_is_suggested():
    with pytest.raises(UserError, match="did you mean 'flip'"):
        cfg.augment(flop={})
    with pytest.raises(UserError, match="did you mean 'size'"):
        cfg.preprocess(resize={"sise": 3})
    with pytest.raises(UserError, match="did you mean 'lenet5'"):
        cfg.model("lenet")


def test_config_of_an_earlier_version_is_completed():
    saved = cfg.base()
    saved.optimizer.learning_rate = 0.7
    with saved.unlocked():
        del saved.ema_decay
        del saved.optimizer.decay_mask
    whole = cfg.complete(saved)
    assert whole.ema_decay == 0.0
    assert whole.optimizer.decay_mask == "kernels"
    assert whole.optimizer.learning_rate == 0.7


def test_base_config_is_sound():
    settings = cfg.base()
    settings.steps = 1000
    setup.check(settings)
    setup.learning(settings, 1000)
