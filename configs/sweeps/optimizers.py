"""Optimizers, each at learning rates of its own order of magnitude: six trials.

    python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/optimizers \
        --sweep=configs/sweeps/optimizers.py --repeat=3
"""

from cnnlab.sweeps.space import chain, grid, product, zipped


def get_sweep():
    """Return the sweep: `zipped` where values belong together, `chain` one part after another."""
    return chain(
        zipped(
            {
                "optimizer.name": ("sgd", "sgd", "adam", "adam"),
                "optimizer.learning_rate": (0.02, 0.1, 1e-3, 3e-3),
            }
        ),
        product([{"optimizer.name": "adamw"}], grid({"optimizer.learning_rate": (1e-3, 3e-3)})),
    )
