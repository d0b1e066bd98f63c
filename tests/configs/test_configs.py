"""Every config file: complete, documented, and it runs.

Those of the embedded sets train for a step in every variant. The baselines run from decoding to
checkpoint on a few images with the true specification of their set, networks narrow and short, and
their other variants are checked as far as nothing is compiled.
"""

import importlib.util
import itertools
import json
import math
import re
from pathlib import Path

import fabricated
import numpy as np
import published
import pytest
import small
from short_googlenet import short_googlenet  # noqa: F401 (a fixture)

import experiments
from cnnlab import config as cfg
from cnnlab.data.builders import EMBEDDED
from cnnlab.data.loading import pipeline
from cnnlab.errors import UserError
from cnnlab.training import config_check, optimization

ROOT = Path(__file__).parents[2]
FILES = sorted(p for p in (ROOT / "configs").glob("*.py") if not p.name.startswith("_"))
# Training examples of the real sets, less those that the config validates on.
EXAMPLES = {
    "mnist": 55_000,
    "cifar10": 45_000,
    "imagenet2012": 1_281_167,
    "imagenette/320px-v2": 9469,
    "omniglot": 19_280,
    "omniglot:data/omniglot": 19_280,
    "wav:data/fsdd/recordings/{label}_{speaker}_{index}.wav": 2700,
    "wav:data/fsdd/recordings/{digit}_{label}_{index}.wav": 2700,
    "sound:data/esc10/{_} - {label}/{fold}-*.ogg": 320,
    "folder:data/orl_faces/orl_faces/s{label}/{image}.pgm": 300,
    # Any set of faces: CASIA-WebFace has about as many.
    "folder:faces": 490_000,
}
# Ends of variants that validate on no training images.
ON_ALL_IMAGES = "_(50k|60k|30epochs)$"
# What makes an architecture quick to compile.
SMALLER = {
    "imagenet_alexnet": {"width": 0.125},
    "imagenet_vgg": {"width": 0.125, "layers": (1, 1, 1, 1, 1)},
    "imagenet_googlenet": {"width": 0.125},
    "imagenet_resnet": {"width": 0.125, "depths": (1,), "widths": (64,)},
    "imagenet_mobilenet": {"width": 0.125, "shallow": True},
    "imagenette_xresnet50": {"width": 0.125, "depths": (1, 1, 1, 1)},
    "cifar10_resnet": {"depths": (1, 1, 1)},
    "cifar10_pretrained": {"depths": (1, 1, 1)},
    "mnist_lenet5": {},
    "mnist_baselines": {},
    "imagenet_simsiam": {"width": 0.125, "depths": (1,), "widths": (64,)},
    "imagenet_cpc": {"width": 0.125, "depths": (1, 1, 1), "context_blocks": 1},
    "omniglot_siamese": {"width": 0.0625},
    "lfw_facenet": {"width": 0.125},
    "fsdd_supervised": {"width": 0.0625},
    "fsdd_cpc": {"width": 0.125},
    "esc10": {"width": 0.0625},
    "orl_triplet": {"width": 0.25},
    "omniglot_triplet": {"width": 0.125},
}
# The first of a config on an embedded set trains; of those that differ from it by the loss alone,
# which has tests of its own, only the config is looked at.
UNTRAINED = {
    *(("glyphs_triplet", v) for v in ("batch_hard", "batch_all", "soft", "hardest")),
    *(("digits_joint_embedding", v) for v in ("no_negatives", "nt_xent", "simsiam", "vicreg")),
    *(("digits_joint_embedding", v) for v in ("byol", "barlow")),
    ("glyphs_siamese", "contrastive"),
    ("tones_cpc", "image"),
}


# Long tests: what they go through, quick ones of other configs and variants do.
SLOW = {
    *("imagenet_alexnet", "imagenet_vgg", "imagenette_xresnet50", "lfw_facenet"),
    *("imagenet_googlenet", "imagenet_mobilenet", "imagenet_simsiam", "imagenet_cpc"),
    *("cifar10_pretrained", ("digits_joint_embedding", "default")),
    *("esc10", "fsdd_cpc", "fsdd_supervised", "orl_triplet", "omniglot_triplet"),
    *(("shapes_objectives", v) for v in ("default", "sigmoid", "linear")),
    *(("glyphs_triplet", "default"), ("tones_cpc", "default"), ("digits_lenet5", "lsuv")),
    ("glyphs_siamese", "default"),
    *(("shapes_transfer", v) for v in ("default", "finetune", "probe", "scratch", "random_probe")),
}


def marked(case):
    """Return the parameters of a case, marked as a long one if it is."""
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=[pytest.mark.slow] * (case in SLOW))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def get(name, variant="default"):
    return load(ROOT / "configs" / f"{name}.py").get_config(variant)


def variants(embedded):
    """Return the names and variants on embedded sets, or of the baselines."""
    every = [(p.stem, v) for p in FILES for v in load(p).VARIANTS]
    return [(n, v) for n, v in every if (get(n, v).data.source in EMBEDDED) == embedded]


BASELINES = sorted({name for name, _ in variants(embedded=False)})


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for name in fabricated.SETS:
        fabricated.fabricate(name, folder)
    drawers = {"images_background/Greek": (4,) * 6, "images_background/Hebrew": (2, 2)}
    published.omniglot(
        folder / "drawings", {**drawers, "images_evaluation/Gurmukhi": (2,) * 43}, runs=1
    )
    published.spoken_digits(folder / "fsdd")
    published.environmental_sounds(folder / "esc10")
    published.faces(folder / "orl_faces/orl_faces")
    for person, image in itertools.product(range(4), range(8)):
        path = folder / "faces" / f"person{person}" / f"person{person}_{image:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fabricated.photo(image))
    return str(folder)


def here(settings, sets):
    """Let a config find the fabricated sets."""
    settings.data.data_dir = sets
    if settings.data.source == "folder:faces":
        settings.data.source = f"folder:{sets}/faces"
    if settings.data.source.startswith("omniglot:"):
        settings.data.source = f"omniglot:{sets}/drawings"
    # Reading ogg needs an extra.
    settings.data.source = settings.data.source.replace(":data/", f":{sets}/").replace("ogg", "wav")
    for split in settings.data.eval.sources:
        settings.data.eval.sources[split] = f"folder:{sets}/faces"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_docstring_gives_paper_command_and_variants(path):
    module = load(path)
    assert f"--config=configs/{path.name}" in module.__doc__
    assert "Expected" in module.__doc__
    for variant in module.VARIANTS:
        # One of a family is in a command, the others are listed.
        stem = re.sub(ON_ALL_IMAGES, "", variant)
        assert variant == "default" or stem in module.__doc__
    assert len(module.VARIANTS) == 1 or f"{path.name}:" in module.__doc__
    with pytest.raises(UserError, match="unknown variant 'nonsense'"):
        module.get_config("nonsense")


@pytest.mark.parametrize("path", [p for p in FILES if p.stem in BASELINES], ids=lambda p: p.stem)
def test_a_baseline_says_whose_numbers_it_has_and_what_deviates(path):
    words = " ".join(load(path).__doc__.lower().split())
    assert "deviation" in words
    assert "data prepare" in words or "--config.data.source" in words
    assert any(x in words for x in ("not reproduced here", "measured here", "docs/results.md"))


@pytest.mark.parametrize(("name", "variant"), sorted(UNTRAINED))
def test_variant_that_is_not_trained_is_sound(name, variant):
    settings = get(name, variant)
    config_check.check(settings)
    experiment = experiments.create(settings.experiment.to_dict(), settings.model.to_dict())
    default = get(name)
    if variant != "nt_xent":  # the default by its name
        assert settings.experiment.to_dict() != default.experiment.to_dict()
    for entry in ("model", "data", "optimizer", "schedule"):
        # Another objective, all else alike: what is compared is the objective.
        assert settings[entry].to_dict().keys() == default[entry].to_dict().keys()
    assert type(experiment) is type(
        experiments.create(default.experiment.to_dict(), default.model.to_dict())
    )


@pytest.mark.parametrize(
    ("name", "variant"), [marked(c) for c in variants(embedded=True) if c not in UNTRAINED]
)
def test_config_trains_for_a_step(name, variant, tmp_path):
    settings = get(name, variant)
    settings.parallel.devices = 1
    settings.batch_size = 8 * settings.accumulation
    settings.steps, settings.epochs, settings.log_every = 1, 0.0, 1
    settings.representation.baselines, settings.representation.evaluators = (), {}
    settings.checkpoint.best, settings.early_stopping.patience = "", 0
    # A part of the data is enough to see that a step runs.
    settings.data.train.split += "[:64]"
    settings.data.train.per_class = min(settings.data.train.per_class, 3)
    for key, split in settings.data.eval.splits.items():
        settings.data.eval.splits[key] = f"{split}[:32]"
    loop, state = small.train(settings.lock(), tmp_path / "run")
    assert int(state.step) == 1
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1
    assert loop.step == 1


def first_images(split, count):
    """Return a split expression for its first `count` examples, wherever they start."""
    return f"{split.partition('[')[0]}[:{count}]"


@pytest.mark.usefixtures("short_googlenet")
@pytest.mark.parametrize("name", map(marked, BASELINES))
def test_baseline_goes_from_decoding_to_checkpoint(name, sets, tmp_path):
    settings = get(name)
    settings.model.update(SMALLER[name])
    settings.parallel.devices = 1
    settings.steps, settings.epochs, settings.batch_size = 2, 0.0, 2
    if settings.data.train.sampler.name == "classes":
        settings.data.train.sampler.classes.per_class = 2
        settings.batch_size = 4
    if "projector" in settings.experiment:
        settings.experiment.update({"projector": (8, 8), "predictor": (8,)})
    if name == "imagenet_googlenet":
        settings.ema_decay = 0.0  # half as much to compile; mobilenet has it too
    settings.log_every, settings.evaluate.every, settings.checkpoint.every = 1, 2, 2
    settings.evaluate.batch_size = 2
    # Episodes of 20 ways need more images than four.
    settings.representation.baselines, settings.representation.evaluators = (), {}
    settings.checkpoint.best, settings.early_stopping.patience = "", 0
    if "boundaries" in settings.schedule[settings.schedule.name]:
        settings.schedule[settings.schedule.name].boundaries = (0.5,)
    if settings.schedule.name == "exponential":
        settings.schedule.exponential.every = 1
    here(settings, sets)
    settings.data.grain.threads = 2
    enough = 8 if settings.data.train.sampler.name == "shuffle" else 24  # of more than one class
    settings.data.train.split = first_images(settings.data.train.split, enough)
    for key, split in settings.data.eval.splits.items():
        settings.data.eval.splits[key] = first_images(split, 4)
    loop, state = small.train(settings.lock(), tmp_path / "run")
    assert int(state.step) == loop.step == 2
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = {key: x for line in lines for key, x in line.items() if key.endswith("loss")}
    assert "train/loss" in losses and np.isfinite(list(losses.values())).all()
    # Pairs and views are made for training only: their objectives have no loss in evaluation.
    evaluated = any(f"{split}/loss" in losses for split in settings.evaluate.splits)
    assert evaluated == (name not in ("imagenet_simsiam", "omniglot_siamese"))
    assert (tmp_path / "run" / "checkpoints" / "2").is_dir()


@pytest.mark.parametrize(("name", "variant"), variants(embedded=False))
def test_variant_of_a_baseline_is_sound_at_its_real_length(name, variant, sets):
    settings = get(name, variant)
    config_check.check(settings)
    held_back = 5000 * (bool(re.search(ON_ALL_IMAGES, variant)) or name == "mnist_baselines")
    count = EXAMPLES[settings.data.source] + held_back
    steps = settings.steps or math.ceil(settings.epochs * count / settings.batch_size)
    rate = settings.optimizer.learning_rate
    schedule = optimization.make_schedule(settings.schedule, rate, steps)
    if settings.schedule.name != "constant":
        # GoogLeNet, 4 % every 8 of 250 epochs, ends at 28 %.
        assert float(schedule(steps)) < 0.3 * settings.optimizer.learning_rate
    experiments.create(settings.experiment.to_dict(), settings.model.to_dict())
    here(settings, sets)
    settings.data.train.split = first_images(settings.data.train.split, 5)
    settings.data.train.sampler.name = "shuffle"
    data = settings.data.to_dict()
    train = pipeline.train_data(data, seed=0, batch_size=1).source
    split = first_images(next(iter(data["eval"]["splits"].values())), 5)
    evaluation = pipeline.eval_data(data, split, batch_size=1).source
    key = settings.data["keys"][0]
    counts = [range(min(5, len(source))) for source in (train, evaluation)]
    shapes = [
        {source[i][key].shape for i in count}
        for source, count in zip((train, evaluation), counts, strict=True)
    ]
    if "random_resized_crop" in settings.data.train.augment:
        # Views are cut out in the step, each to its own part.
        size = settings.data.train.augment.random_resized_crop.size
        shapes[0] = {(size, size, 3) for _ in shapes[0]}
    assert len(shapes[0]) == len(shapes[1]) == 1
    # Networks of sound are evaluated on whole clips.
    assert shapes[0] == shapes[1] or key == "waveform"


@pytest.mark.parametrize(
    ("name", "variant", "rates"),
    [
        # Section III.B of LeCun et al.: 0.0005, 0.0002, 0.0001, 0.00005 and 0.00001 of 20 passes.
        ("mnist_lenet5", "1998", {0.09: 1, 0.11: 0.4, 0.26: 0.2, 0.41: 0.1, 0.61: 0.02}),
        ("cifar10_resnet", "default", {31_999: 1, 32_000: 0.1, 47_999: 0.1, 48_000: 0.01}),
        ("cifar10_resnet", "resnet110", {0: 1 / 401, 400: 1, 31_999: 1, 32_000: 0.1}),
        ("imagenet_resnet", "default", {149_999: 1, 150_000: 0.1, 450_000: 0.001}),
        # Epoch 5 of 90 ends the warm-up; half way through the rest the cosine is at a half.
        ("imagenet_resnet", "modern", {6256: 1, 0.528: 0.5}),
        # Epochs 30, 60 and 80 of 90 (Goyal et al.); a square after 5 epochs (You et al.).
        ("imagenet_resnet", "goyal8k", {782: 1, 29.9 / 90: 1, 30.1 / 90: 0.1, 80.1 / 90: 0.001}),
        ("imagenet_resnet", "lars32k", {196: 1, 47.5 / 90: 0.25}),
        ("imagenet_vgg", "default", {0.24: 1, 0.26: 0.1, 0.76: 0.001}),
        ("imagenet_alexnet", "torchvision", {29.9 / 90: 1, 30.1 / 90: 0.1, 60.1 / 90: 0.01}),
        # 4 % every 8 epochs of 250; 6 % every 2.5 epochs of 200.
        ("imagenet_googlenet", "default", {7.9 / 250: 1, 8.1 / 250: 0.96, 80.1 / 250: 0.96**10}),
        ("imagenet_googlenet", "quick", {0.5: 0.5**0.5, 0.75: 0.25**0.5}),
        ("imagenet_mobilenet", "default", {2.4 / 200: 1, 2.6 / 200: 0.94, 100.1 / 200: 0.94**40}),
        ("imagenette_xresnet50", "default", {555: 1, 740: 1e-5}),
    ],
)
def test_the_rate_falls_as_the_recipe_says(name, variant, rates):
    settings = get(name, variant)
    count = EXAMPLES[settings.data.source]
    steps = settings.steps or math.ceil(settings.epochs * count / settings.batch_size)
    rate = settings.optimizer.learning_rate
    schedule = optimization.make_schedule(settings.schedule, rate, steps)
    for at, factor in rates.items():
        step = round(at * steps) if 0 < at < 1 else at
        expected = factor * settings.optimizer.learning_rate
        assert float(schedule(step)) == pytest.approx(expected, rel=5e-3), at


def test_every_entry_can_be_overridden_from_the_command_line():
    # ml_collections cannot replace None, and knows only these types.
    def check(entries, prefix=""):
        for key, value in entries.items():
            if isinstance(value, dict):
                check(value, f"{prefix}{key}.")
            else:
                assert isinstance(value, bool | int | float | str | tuple), prefix + key

    check(cfg.base().to_dict())
    for name, variant in variants(embedded=False):
        check(get(name, variant).to_dict(), f"{name}:{variant} ")


def test_unknown_transform_or_keyword_is_suggested():
    with pytest.raises(UserError, match="did you mean 'flip'"):
        cfg.augment(flop={})
    with pytest.raises(UserError, match="did you mean 'size'"):
        cfg.preprocess(resize={"sise": 3})
    with pytest.raises(UserError, match="did you mean 'lenet5'"):
        cfg.model("lenet")


@pytest.mark.parametrize(
    "best, mode, completed",
    [
        ("validation/accuracy", "max", "auto"),
        ("validation/loss", "max", "auto"),
        ("validation/loss", "auto", "auto"),
        ("validation/spread", "max", "max"),
        ("", "max", "max"),
    ],
)
def test_direction_that_the_metrics_name_implies_is_no_difference(best, mode, completed):
    saved = cfg.base()
    saved.checkpoint.best, saved.checkpoint.mode = best, mode
    assert cfg.completed(saved.to_dict())["checkpoint"]["mode"] == completed


@pytest.mark.parametrize("decay, warmup", [(0.0, True), (0.99, False)])
def test_moving_averages_of_an_earlier_version_had_no_warmup(decay, warmup):
    saved = cfg.base()
    saved.ema_decay = decay
    with saved.unlocked():
        del saved.ema_warmup
    assert cfg.completed(saved.to_dict())["ema_warmup"] is warmup


def test_base_config_is_sound():
    settings = cfg.base()
    settings.steps = 1000
    config_check.check(settings)
