"""Images a second that the input pipeline delivers, ready for the model, on its three paths.

    python benchmarks/input_pipeline.py --json=benchmarks/results/input_pipeline_cpu.json

In memory and on the device: 20,000 images of 32x32x3 (fabricated), plain and with CIFAR's
augmentation (pad and crop, flip, normalise), which runs inside a jitted function as it does in the
step. Grain: the same images read one by one, and JPEGs of about 300x400 from a folder, decoded,
cropped at random and resized to 224.
"""

import itertools
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from timing import arguments, pin, show, write

CIFAR = 20_000
JPEGS = 400


def fabricate(folder):
    """Write the images; return the names of the two sources."""
    import cv2

    rng = np.random.default_rng(0)
    arrays = folder / "images.npz"
    np.savez(
        arrays,
        image=rng.integers(0, 255, (CIFAR, 32, 32, 3), np.uint8),
        label=rng.integers(0, 10, CIFAR),
    )
    for index in range(JPEGS):
        path = folder / "photos" / f"class{index % 2}" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Smoothed noise: as large a file as a photograph of that size.
        noise = rng.integers(0, 255, (75, 100, 3), np.uint8)
        photo = cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return f"npz:{arrays}", f"folder:{folder / 'photos'}"


def rate(source, placement, augmented, preprocess, batch_size, seconds, threads=8):
    """Return images a second, from source to normalised batch on the device."""
    from cnnlab import config as cfg
    from cnnlab.data import device_transform
    from cnnlab.data.loading import pipeline
    from cnnlab.training.step import fetch

    data = cfg.base().data
    data.source, data.placement = source, placement
    data.grain.threads = threads
    data.train.preprocess = preprocess
    data.normalize = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    if augmented:
        data.train.augment = cfg.augment(pad_crop={"padding": 4}, flip={})
    data = data.to_dict()
    train = pipeline.train_data(data, seed=0, batch_size=batch_size)
    prepare, key = device_transform.make_device_transform(data), jax.random.key(0)
    ready = jax.jit(lambda batch, held: prepare(fetch(batch, held), key, train=True))
    held = jax.device_put(train.arrays)
    batches = train.batches(0)
    for batch in itertools.islice(batches, 3):
        jax.block_until_ready(ready(batch, held))
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        jax.block_until_ready(ready(next(batches), held))
        count += batch_size
    return count / passed


def main():
    from cnnlab import config as cfg

    parser = arguments(__doc__)
    parser.set_defaults(blocks=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    options = parser.parse_args()
    pin(options.cores)
    crop = cfg.preprocess(random_resized_crop={"size": 224})
    plain = cfg.preprocess()
    with tempfile.TemporaryDirectory() as folder:
        small, photos = fabricate(Path(folder))
        cases = {
            "32x32, memory": (small, "memory", False, plain, 256),
            "32x32, memory, augmented": (small, "memory", True, plain, 256),
            "32x32, device": (small, "device", False, plain, 256),
            "32x32, device, augmented": (small, "device", True, plain, 256),
            "32x32, Grain, augmented": (small, "grain", True, plain, 256),
            "JPEG 300x400 to 224, Grain": (photos, "grain", False, crop, 32),
        }
        found = {name: [] for name in cases}
        # In turn, so that a slow minute of the machine meets all of them.
        for _ in range(options.blocks):
            for name, case in cases.items():
                found[name].append(rate(*case, options.seconds))
    rows = [
        {
            "path": name,
            "images/s": round(float(np.median(rates))),
            "from": round(min(rates)),
            "to": round(max(rates)),
        }
        for name, rates in found.items()
    ]
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
