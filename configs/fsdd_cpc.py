"""Contrastive predictive coding on spoken digits, without labels.

Paper: van den Oord, Li & Vinyals 2018, section 3.1: five strided convolutions, a latent every 160
samples, a GRU, predictions of twelve steps, here 240 ms at 8 kHz. Data: Free Spoken Digit Dataset;
see configs/fsdd_supervised.py.

    python launch.py train --config=configs/fsdd_cpc.py --workdir=runs/fsdd_cpc \
        --config.data.source="wav:/path/{label}_{speaker}_{index}.wav"

A linear probe reads who speaks, and which digit, off the features (the mean of the context over
time); beside it the same with random weights, and raw waveforms.

Expected: docs/results.md has what was measured here; no paper has a number for this set.

Deviations: an eighth of the channels, half of the context; AdamW with a cosine in place of Adam;
recordings are cut to 0.64 s, or padded.
"""

from cnnlab import config as cfg

VARIANTS = ("default",)


def get_config(variant: str = "default"):
    """Return the config."""
    cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("cpc", steps=12, negatives="batch")
    config.model = cfg.model("cpc_audio", channels=64, context=128)
    config.epochs = 20.0
    config.batch_size = 64

    config.data.source = "wav:data/fsdd/recordings/{label}_{speaker}_{index}.wav"
    config.data.keys = ("waveform", "label", "speaker")
    config.data.train.split = "index>=5"
    config.data.train.preprocess = cfg.preprocess(random_window={"size": 5120, "shorter": "pad"})
    config.data.eval.splits = {"test": "index<5"}
    config.data.eval.preprocess = cfg.preprocess(center_window={"size": 5120, "shorter": "pad"})

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.01, clip_norm=1.0)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    config.log_every = 42
    config.eval_every = 420
    config.evaluate.splits = ("test",)
    config.evaluate.batch_size = 50
    config.checkpoint.best = ""
    config.representation.evaluators = cfg.evaluators(
        digit={"name": "linear_probe", "key": "label", "splits": ("test",)},
        speaker={"name": "linear_probe", "key": "speaker", "splits": ("test",)},
    )
    config.representation.controls = ("pixels", "random")
    return config
