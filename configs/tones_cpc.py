"""Contrastive predictive coding on procedural melodies, without labels.

Paper: van den Oord, Li & Vinyals 2018, section 3.1: five strided convolutions, a latent every 160
samples, a GRU, and predictions of twelve steps, here 240 ms or four to five notes at 8 kHz.

    python launch.py train --config=configs/tones_cpc.py --workdir=runs/tones_cpc
    python launch.py train --config=configs/tones_cpc.py:image --workdir=runs/tones_image

Variants: default (candidates: the latents of all sounds of the batch at the same time), image
(those of the same sound; 1,000 steps).

Expected, accuracy in % of a linear probe of the features, which of six instruments plays (test, 5
seeds): 99.9 +- 0.1 (after half of the steps 99.8, validation), bound 3.53 of log 50 = 3.91 nats;
random weights 93.3 +- 0.4, raw waveforms 23.7. The image variant ends at 78.4 +- 2.3, below random
weights, while its bound goes on rising (2.60 of log 32 = 3.47 nats): candidates of one sound all
have the same instrument, which is then of no use (van den Oord et al., table 2, compare such
choices: recalled). Which of the eight melodies it is cannot be read off a mean over time (12 %,
chance, one seed): it has lost the order of the notes.

Deviations: an eighth of the channels, half of the context; AdamW with a cosine in place of Adam.
"""

from cnnlab import config as cfg

VARIANTS = ("default", "image")


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("cpc", steps=12, negatives="batch")
    config.model = cfg.model("cpc_audio", channels=64, context=128)
    config.steps = 500
    config.batch_size = 32

    config.data.source = "tones"
    config.data.keys = ("waveform", "label", "instrument", "tonic")

    config.optimizer = cfg.optimizer("adamw", learning_rate=4e-3, weight_decay=0.01, clip_norm=1.0)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    config.log_every = 100
    config.eval_every = 250
    config.evaluate.batch_size = 50
    config.checkpoint.best = ""
    config.representation.evaluators = cfg.evaluators(
        collapse={"every": 250},
        knn={"key": "instrument"},
        linear_probe={"key": "instrument", "every": 250},
    )
    config.representation.controls = ("pixels", "random", "supervised")
    if variant == "image":
        config.experiment.negatives, config.steps = "image", 1000
    return config
