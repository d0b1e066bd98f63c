"""Twenty random points, and the space that an adaptive search draws from.

Random points beat a grid of as many where few of the entries matter (Bergstra & Bengio 2012).

    python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/random \
        --sweep=configs/sweeps/random.py --parallel=2
    python launch.py sweep --config=configs/digits_lenet5.py --workdir=runs/search \
        --sweep=configs/sweeps/random.py --search=tpe --pruner=median --trials=20
"""

from cnnlab.sweeps.space import choice, draws, log_uniform, uniform


def get_sweep():
    """Return the sweep."""
    return draws(
        {
            "optimizer.learning_rate": log_uniform(1e-4, 1e-1),
            "optimizer.weight_decay": log_uniform(1e-4, 1.0),
            "schedule.warmup": uniform(0.0, 0.2),
            "batch_size": choice(32, 64, 128),
        },
        count=20,
    )
