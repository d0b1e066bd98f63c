"""Commands and snippets of README and docs/ run, each document's in its order, on tiny settings."""

import functools
import importlib
import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import stub_sweep
from PIL import Image
from published import mnist

from cnnlab import commands, models, pretrained
from cnnlab import config as cfg
from cnnlab.sweeps import workers

ROOT = Path(__file__).resolve().parents[2]
# Their own tests write the files of these pages and run their commands.
OWN = ("extending.md", "first_day.md")
OTHERS = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in OWN]
DOCUMENTS = [ROOT / "README.md", *OTHERS]
LINKING = sorted({*DOCUMENTS, *ROOT.glob("docs/*.md"), ROOT / "benchmarks/README.md"})
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# By their beginning: what does not run here, and why.
NOT_RUN = {
    "make ": "installs into .venv",
    "pip install": "downloads",
    "source ": "the tests run in the environment",
    "srun ": "needs Slurm; `make test-cluster` runs it",
    "bash benchmarks/gpu_check.sh": "needs a GPU; tests/benchmarks/test_gpu_check.py",
    "python -m benchmarks.scaling": "compiles for minutes; tests/benchmarks/scaling",
    "python launch.py data prepare": "downloads",
    "python launch.py --config=configs/mnist": "needs the 60,000 images of MNIST",
    "python benchmarks/seeds.py --config=configs/mnist": "needs the 60,000 images of MNIST",
    "python launch.py eval --config=configs/cifar10_pretrained.py": "needs published weights",
    "python launch.py --config=configs/cifar10": "needs the 50,000 images of CIFAR-10",
    "python launch.py train --config=...": "stands for any config; tests/launch runs this launcher",
}
# By the beginning of a config: what makes a run of it small.
RUN = ["--config.steps=1", "--config.epochs=0", "--config.parallel.devices=1"]
RUN += ["--config.evaluate.batch_size=32", "--config.representation.baselines=()"]
TINY = {
    "configs/digits_lenet5.py": [
        *["--config.batch_size=8", "--config.model.name=mlp", "--config.model.hidden=(4,)"],
    ],
    "configs/glyphs_triplet.py": [
        *["--config.batch_size=8", "--config.model.channels=(2,2,2)", "--config.model.units=8"],
        "--config.representation.controls=()",
    ],
    "configs/digits_joint_embedding.py": [
        *["--config.batch_size=8", "--config.model.depths=(1,)", "--config.model.widths=(8,)"],
        "--config.representation.controls=()",
    ],
    "configs/tones_cpc.py": [
        *["--config.batch_size=4", "--config.model.channels=4", "--config.model.context=4"],
        "--config.representation.controls=()",
    ],
    "configs/shapes_transfer.py": ["--config.batch_size=8", "--config.model.width=0.125"],
}
# A file of torchvision's in the documents, and what stands for it.
TORCH_FILE, WEIGHTS = "resnet50-0676ba61.pth", "resnet18.safetensors"
# Whole trainings; tests of each command are quick ones.
SLOW = {"README.md", "layers.md", "representations.md", "results.md", "sweeps.md"}
SLOW |= {"transfer.md", "using.md"}


def blocks(document: Path) -> list[tuple[str, str]]:
    """Return language and text of each fenced block."""
    return BLOCK.findall(document.read_text())


def save_weights() -> None:
    """Write a small model's weights of zeros."""
    model = models.create("resnet18", num_classes=2, stem="cifar", width=0.125)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3)))
    pretrained.save(model, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes), WEIGHTS)


def lines(block: str) -> list[str]:
    """Return the commands of a block, without continuations, comments and empty lines."""
    return [line for line in block.replace("\\\n", " ").splitlines() if shlex.split(line, True)]


def reason(line: str) -> str | None:
    """Return why a command is not run, None where it is."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


def tiny(arguments: list[str]) -> list[str]:
    """Return the arguments of launch.py with small settings in the end."""
    config = next((a.removeprefix("--config=") for a in arguments if a.startswith("--config=")), "")
    command = arguments[0] if not arguments[0].startswith("-") else "train"
    if any(a.startswith("--launcher=slurm") for a in arguments):
        return [*arguments, "--dry_run"]
    if command == "train" and config:
        return [*arguments, *RUN, *TINY.get(config.partition(":")[0], [])]
    return arguments


def boxes(folder: Path) -> None:
    """Write images and boxes in COCO's format."""
    folder.mkdir()
    images = [{"id": n, "file_name": f"{n}.png", "height": 8, "width": 8} for n in range(5)]
    for image in images:
        Image.new("RGB", (8, 8)).save(folder / image["file_name"])
    box = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 4, 4]}
    shape = {"segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]], "area": 16, "iscrowd": 0}
    content = {
        "images": images,
        "annotations": [box | shape],
        "categories": [{"id": 1, "name": "a"}],
    }
    (folder / "mine.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a working folder with what the documents' commands find in a clone."""
    for name in ("configs", "experiments", "benchmarks", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    for split in ("train", "val", "test"):
        for label in "ab":
            images = tmp_path / "images" / split / label
            images.mkdir(parents=True)
            for number in range(10):
                pixels = np.full((16, 16, 3), 20 * number, np.uint8)
                Image.fromarray(pixels).save(images / f"{number}.png")
    boxes(tmp_path / "coco")
    mnist(tmp_path / "mnist", np.zeros((2, 28, 28)), [0, 1])
    (tmp_path / "runs/other").mkdir(parents=True)
    (tmp_path / "runs/other/config.json").write_text(cfg.base().to_json())
    monkeypatch.chdir(tmp_path)
    work = functools.partial(workers.work, program=stub_sweep.STUB)
    monkeypatch.setattr(workers, "work", work)
    return tmp_path


def snippet(text: str, names: dict) -> None:
    """Run a snippet; one that begins with the name of a file is that file."""
    if file := re.match(r"# ([\w/]+\.py)\n", text):
        Path(file[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(file[1]).write_text(text)
        return
    if TORCH_FILE in text:
        save_weights()
    exec(text.replace(TORCH_FILE, WEIGHTS), names)


def benchmark(script: str, arguments: list[str], monkeypatch) -> None:
    """Run a benchmark of accuracy in this process, on one seed, and its runs too."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module(Path(script).stem)
    monkeypatch.setattr(module.accuracy_rows, "refresh", lambda: None)
    monkeypatch.setattr(sys, "argv", [script, *arguments, "--seeds=1"])
    Path("results/seeds").mkdir(parents=True, exist_ok=True)

    def train(command, **_):
        assert commands.main(tiny(command[2:])) == 0

    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=train, DEVNULL=None))
    module.main()


def run(line: str, folder: Path, monkeypatch) -> None:
    """Run one command in this process."""
    line = line.replace("folder:/path", f"folder:{folder}/images").replace("classes=N", "classes=2")
    line = line.replace("idx:/path", f"idx:{folder}/mnist")
    line = line.replace(":/path/mine.json", f":{folder}/coco/mine.json")
    program, script, *arguments = shlex.split(line, comments=True)
    assert program == "python", line
    if script.startswith("benchmarks/"):
        with monkeypatch.context() as context:
            return benchmark(script, arguments, context)
    assert script == "launch.py", line
    assert commands.main(tiny(arguments)) == 0, line


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, id=path.name, marks=[pytest.mark.slow] * (path.name in SLOW))
        for path in DOCUMENTS
    ],
)
def test_commands_and_snippets_run(document, folder, monkeypatch):
    names = {"cfg": cfg, "config": cfg.base()}
    for language, text in blocks(document):
        if language == "python":
            snippet(text, names)
        elif language in ("", "sh", "bash"):
            for line in lines(text):
                if not reason(line):
                    run(line, folder, monkeypatch)


def test_the_list_of_what_is_not_run_is_no_longer_than_needed():
    seen = [line for d in DOCUMENTS for lang, text in blocks(d) if not lang for line in lines(text)]
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in seen), start


@pytest.mark.parametrize("document", LINKING, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document):
    for target in re.findall(r"\]\((?!http)([^)\s]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if anchor else []
        slugs = [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
        assert not anchor or anchor in slugs, target
