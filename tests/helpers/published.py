"""Small sets in the format of published ones, and where the real ones lie."""

import gzip
import itertools
import os
import pickle
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def real(name):
    """Return the folder of a published set, or skip the test where it does not lie."""
    root = os.environ.get("CNNLAB_REAL_DATA", "")
    folder = Path(root) / name
    if not root or not folder.is_dir():
        pytest.skip(f"no {name} in CNNLAB_REAL_DATA, the folder of published data sets")
    return folder


def idx(values, kind=8):
    """Return an array as an idx file of bytes."""
    shape = np.shape(values)
    head = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return head + np.asarray(values, np.uint8).tobytes()


def mnist(folder, images, labels, prefix="train", *, zipped=False, dots=False):
    """Write images and labels under the names of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    for what, values, axes in (("images", images, 3), ("labels", labels, 1)):
        name = f"{prefix}-{what}{'.' if dots else '-'}idx{axes}-ubyte{'.gz' if zipped else ''}"
        data = idx(values)
        (folder / name).write_bytes(gzip.compress(data) if zipped else data)


def cifar10(folder, images, labels, names=("cat", "dog")):
    """Write 5 + 1 binary batches: images (6, n, 32, 32, 3), labels (6, n)."""
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    batches = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    for name, x, y in zip(batches, images, labels, strict=True):
        rows = np.concatenate([y[:, None], x.transpose(0, 3, 1, 2).reshape(len(x), -1)], axis=1)
        (folder / name).write_bytes(rows.astype(np.uint8).tobytes())
    return folder


def cifar10_python(folder, images, labels, names=("cat", "dog"), protocol=2):
    """Write the same as pickles."""
    folder = folder / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"num_cases_per_batch": 2, "label_names": list(names), "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol))
    batches = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for name, x, y in zip(batches, images, labels, strict=True):
        rows = np.ascontiguousarray(x.transpose(0, 3, 1, 2).reshape(len(x), -1))
        content = {"batch_label": name, "labels": y.tolist(), "data": rows, "filenames": [name]}
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    return folder


def omniglot(folder, alphabets=None, runs=0):
    """Write drawings: by alphabet, the drawers of each of its characters."""
    rng = np.random.default_rng(0)
    small = {"images_background/Greek": (3, 3), "images_evaluation/Gurmukhi": (2,) * 43}
    number = 0
    for alphabet, characters in (alphabets or small).items():
        (folder / alphabet).mkdir(parents=True)
        for character, drawers in enumerate(characters, 1):
            number += 1
            for drawer in range(1, drawers + 1):
                name = f"character{character:02}/{number:04}_{drawer:02}.png"
                drawing(folder / alphabet / name, rng)
    for run in range(1, runs + 1):
        place = folder / f"all_runs/run{run:02}"
        order = rng.permutation(3)
        lines = [
            f"run{run:02}/test/item{i}.png run{run:02}/training/class{c}.png"
            for i, c in enumerate(order)
        ]
        (place / "training").mkdir(parents=True)
        (place / "class_labels.txt").write_text("\n".join(lines) + "\n")
        for i, c in enumerate(order):
            image = drawing(place / f"training/class{c}.png", rng)
            # Another place, which the modified Hausdorff distance does not mind.
            drawing(place / f"test/item{i}.png", rng, np.roll(image, (3, -2), (0, 1)))
    return folder


def drawing(path, rng, ink=None):
    """Write 105 x 105 pixels of one bit, False where there is ink, and return the ink."""
    if ink is None:
        ink = np.zeros((105, 105), bool)
        ink[10:90, 10:90] = rng.random((80, 80)) < 0.01
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(~ink).save(path)
    return ink


def spoken_digits(folder, rate=8000):
    """Write two digits by two speakers, recordings 3 to 8 of each, of 0.1 to 1.3 s."""
    places = itertools.product((0, 1), ("jackson", "theo"), range(3, 9))
    for number, (digit, speaker, index) in enumerate(places):
        name = folder / f"recordings/{digit}_{speaker}_{index}.wav"
        sound(name, rate, rate * (1 + 4 * (number % 4)) // 10, 200 + 100 * digit)


def environmental_sounds(folder, rate=22_050):
    """Write three clips of two classes in each of five folds, as wav."""
    for number, name in enumerate(("Dog bark", "Rain"), 1):
        for fold, take in itertools.product(range(1, 6), "ABC"):
            path = folder / f"{number:03} - {name}/{fold}-{1000 * number + fold}-{take}.wav"
            sound(path, rate, rate, 300 * number)


def sound(path, rate, length, pitch):
    """Write a tone of so many samples with noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(length).normal(0, 0.1, length)
    samples = np.sin(2 * np.pi * pitch * np.arange(length) / rate) + noise
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, length, "NONE", ""))
        file.writeframes((8000 * samples).astype("<i2").tobytes())


def faces(folder, people=(5, 15, 25, 29, 35, 38)):
    """Write ten gray images of 112 x 92 of each person."""
    rng = np.random.default_rng(0)
    for person in people:
        (folder / f"s{person}").mkdir(parents=True)
        for image in range(1, 11):
            pixels = rng.integers(0, 256, (112, 92), np.uint8)
            Image.fromarray(pixels).save(folder / f"s{person}/{image}.pgm")
