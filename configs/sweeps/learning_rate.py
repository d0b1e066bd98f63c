"""Learning rate and weight decay on a grid: nine trials.

    python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/learning_rate \
        --sweep=configs/sweeps/learning_rate.py --parallel=2
"""

from cnnlab.sweeps.space import grid


def get_sweep():
    """Return the sweep."""
    return grid(
        {
            "optimizer.learning_rate": (5e-4, 2e-3, 8e-3),
            "optimizer.weight_decay": (0.0, 0.01, 0.1),
        }
    )
