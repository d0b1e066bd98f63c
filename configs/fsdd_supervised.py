"""Spoken digits: which digit is said, by a small network on log-mel spectrograms.

Data: Free Spoken Digit Dataset (Jackson et al.), 3,000 recordings of six people at 8 kHz; the split
is the published one, recordings 0 to 4 of each person and digit test. Network: Kong et al. 2020.

    python launch.py train --config=configs/fsdd_supervised.py --workdir=runs/fsdd
    python launch.py train --config=configs/fsdd_supervised.py:speaker --workdir=runs/fsdd_speaker

The recordings lie in data/fsdd/recordings, or where --config.data.source says, as
`wav:/path/{label}_{speaker}_{index}.wav`.

Variants: default, the digit; speaker, who says it.

Expected: docs/results.md has what was measured here; no paper has a number for this split.

Deviations: the network is a quarter as wide as the paper's, with 40 bands of mels up to 4 kHz.
Recordings longer than 1 s are cut, at random in training, and shorter ones padded.
"""

from cnnlab import config as cfg

VARIANTS = {
    "default": "wav:data/fsdd/recordings/{label}_{speaker}_{index}.wav",
    "speaker": "wav:data/fsdd/recordings/{digit}_{label}_{index}.wav",
}
RATE = 8000


def get_config(variant: str = "default"):
    """Return the config of a variant."""
    source = cfg.variant(variant, VARIANTS)
    config = cfg.base()
    config.experiment = cfg.experiment("supervised", label_smoothing=0.1)
    config.model = cfg.model(
        "panns_cnn6",
        num_classes=6 if variant == "speaker" else 10,
        width=0.25,
        dropout=0.1,
        rate=RATE,
        window=256,
        hop=80,
        mels=40,
        high=4000.0,
        time_mask=16,
        mel_mask=6,
    )
    config.epochs = 15.0
    config.batch_size = 64

    config.data.source = source
    config.data.keys = ("waveform", "label")
    config.data.train.split = "index>=5"
    config.data.train.preprocess = cfg.preprocess(random_window={"size": RATE, "shorter": "pad"})
    config.data.eval.splits = {"test": "index<5"}
    config.data.eval.preprocess = cfg.preprocess(center_window={"size": RATE, "shorter": "pad"})

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.05)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    config.log_every = 42
    config.eval_every = 210
    config.evaluate.splits = ("test",)
    config.checkpoint.best = ""
    return config
