"""Environmental sounds: ESC-10, five folds, by a small network on log-mel spectrograms.

Data: Piczak 2015, "ESC: Dataset for Environmental Sound Classification", 400 clips of 5 s of ten
classes, in the folders and with the names of its release; the first number of a name is the fold.
Network: Kong et al. 2020. The ogg files need the extra `sound`.

    python launch.py train --config=configs/esc10.py --workdir=runs/esc10
    python launch.py train --config=configs/esc10.py:fold2 --workdir=runs/esc10_2

The folders lie in data/esc10, or where --config.data.source says, as
`sound:/path/{_} - {label}/{fold}-*.ogg`.

Variants: the fold that is tested, fold1 (the default), fold2, fold3, fold4 or fold5; the others
train.

Expected, of the paper, the mean of the five: k-NN 66.7, SVM 67.5, random forest 72.7 %, people
95.7 %. docs/results.md has what was measured here.

Deviations: the network is a quarter as wide as that of its paper; it trains on random windows of
2 s and is evaluated on whole clips.
"""

from cnnlab import config as cfg

VARIANTS = ("default", *(f"fold{n}" for n in range(1, 6)))
RATE = 22_050


def get_config(variant: str = "default"):
    """Return the config of a fold."""
    cfg.variant(variant, VARIANTS)
    fold = 1 if variant == "default" else int(variant[-1])
    config = cfg.base()
    config.experiment = cfg.experiment("supervised", label_smoothing=0.1)
    config.model = cfg.model(
        "panns_cnn10",
        num_classes=10,
        width=0.25,
        dropout=0.1,
        rate=RATE,
        window=1024,
        hop=512,
        high=11_000.0,
        time_mask=16,
    )
    config.epochs = 40.0
    config.batch_size = 32

    config.data.source = "sound:data/esc10/{_} - {label}/{fold}-*.ogg"
    config.data.keys = ("waveform", "label")
    config.data.train.split = f"fold!={fold}"
    config.data.train.preprocess = cfg.preprocess(
        random_window={"size": 2 * RATE, "shorter": "pad"}
    )
    config.data.eval.splits = {"test": f"fold=={fold}"}
    config.data.eval.preprocess = cfg.preprocess(center_window={"size": 5 * RATE, "shorter": "pad"})

    config.optimizer = cfg.optimizer("adamw", learning_rate=2e-3, weight_decay=0.05)
    config.schedule = cfg.schedule("cosine", warmup=0.1)
    config.log_every = 30
    config.eval_every = 300
    config.evaluate.batch_size = 20
    config.evaluate.splits = ("test",)
    config.checkpoint.best = ""
    return config
