"""Contrastive predictive coding on procedural melodies: who plays, learned without labels.

Paper: van den Oord, Li & Vinyals 2018, section 3.1: five strided convolutions, a latent every 160
samples, a GRU, and predictions of twelve steps, here 240 ms or four to five notes at 8 kHz.

    python launch.py train --config=configs/tones_cpc.py --workdir=runs/tones_cpc

Expected (one seed): among the 32 latents of a sound the right one is told in 70 % of the cases, and
the bound is 2.65 of log 32 = 3.47 nats. A linear probe of the features tells the six instruments in
99.6 % of the test sounds, that of the same network with random weights in 93.4 % (after 130 steps).
Which of the eight melodies it is cannot be read off the features, 12 %, which is chance: a mean
over time has lost the order of the notes.

Candidates are the latents of the same sound (van den Oord et al., table 2, compare such choices:
recalled): among all, the instrument and the loudness would tell most of them apart.
Deviations: an eighth of the channels, half of the context; AdamW with a cosine in place of Adam.
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
    config.experiment = cfg.experiment("cpc", steps=12, negatives="image")
    config.model = cfg.model("cpc_audio", channels=64, context=128)
    config.steps = 1000
    config.batch_size = 32

    config.data.source = "tones"
    config.data.keys = ("waveform", "label", "instrument", "tonic")

    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 4e-3
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "cosine"
    config.schedule.warmup = 0.1
    config.log_every = 100
    config.evaluate.every = 500
    config.evaluate.batch_size = 50
    config.checkpoint.every = 500
    config.checkpoint.best = ""
    config.evaluators = cfg.evaluators(
        collapse={"every": 500},
        knn={"key": "instrument"},
        linear_probe={"key": "instrument"},
    )
    config.controls = ("pixels", "random", "supervised")
    return config
