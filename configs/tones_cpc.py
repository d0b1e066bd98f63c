"""Contrastive predictive coding on procedural melodies: the order of notes, learned without labels.

Paper: van den Oord, Li & Vinyals 2018, section 3.1: five strided convolutions, a latent every 160
samples, a GRU, and predictions of twelve steps, here 240 ms or four to five notes at 8 kHz.

    python launch.py train --config=configs/tones_cpc.py --workdir=runs/tones_cpc

Expected: see README.md; linear probes of the melody (one of eight) on the mean of the context,
against the raw waveform and the same network untrained.

Deviations: an eighth of the channels; AdamW with a cosine in place of Adam.
"""

from cnnlab import config as cfg
from cnnlab.errors import UserError

VARIANTS = ("default",)


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    if variant not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise UserError(f"configs/tones_cpc.py has no variant '{variant}': {known}")
    config = cfg.base()
    config.experiment = cfg.experiment("cpc", steps=12)
    config.model = cfg.model("cpc_audio", channels=64, context=64)
    config.steps = 600
    config.batch_size = 32

    config.data.source = "tones"
    config.data.keys = ("waveform", "label", "instrument")

    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "cosine"
    config.schedule.warmup = 0.1
    config.log_every = 50
    config.evaluate.every = 300
    config.evaluate.batch_size = 50
    config.checkpoint.every = 300
    config.checkpoint.best = ""
    config.evaluators = cfg.evaluators(linear_probe={}, knn={})
    config.controls = ("pixels", "random", "supervised")
    return config
