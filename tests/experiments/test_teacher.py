"""The momentum teacher: its recurrence in closed form, its schedule, no gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import teacher as teachers

PARAMS = {"dense": {"kernel": jnp.array([[1.0, -2.0], [3.0, 0.5]])}}
STATS = {"norm": {"mean": jnp.array([0.25, 4.0])}}


def scaled(factor, tree):
    return jax.tree.map(lambda x: factor * x, tree)


def kernel(teacher):
    return np.asarray(teacher["params"]["dense"]["kernel"])


def test_after_n_updates_it_is_the_geometric_mean_of_what_it_saw():
    # Created from something else, as when the network's parameters are replaced in between.
    teacher = teachers.create(scaled(7.0, PARAMS), scaled(7.0, STATS))
    tau, factors = 0.9, [2.0, 5.0, -1.0, 4.0]
    for factor in factors:
        teacher = teachers.update(teacher, scaled(factor, PARAMS), STATS, momentum=tau)
    first, *rest = factors
    n = len(rest)
    weights = [(1 - tau) * tau ** (n - 1 - i) for i in range(n)]
    expected = tau**n * first + sum(w * f for w, f in zip(weights, rest, strict=True))
    np.testing.assert_allclose(kernel(teacher), expected * PARAMS["dense"]["kernel"], rtol=1e-6)


def test_the_first_update_copies_parameters_and_statistics_exactly():
    teacher = teachers.create(scaled(7.0, PARAMS), scaled(7.0, STATS))
    teacher = teachers.update(teacher, PARAMS, STATS, momentum=0.5)
    np.testing.assert_array_equal(kernel(teacher), PARAMS["dense"]["kernel"])
    np.testing.assert_array_equal(teacher["batch_stats"]["norm"]["mean"], STATS["norm"]["mean"])
    # From then on the statistics are its own.
    teacher = teachers.update(teacher, PARAMS, scaled(3.0, STATS), momentum=0.5)
    np.testing.assert_array_equal(teacher["batch_stats"]["norm"]["mean"], STATS["norm"]["mean"])


def test_a_teacher_of_the_same_parameters_stays_bit_for_bit():
    teacher = teachers.create(PARAMS, {})
    for _ in range(3):
        teacher = teachers.update(teacher, PARAMS, {}, momentum=0.99, steps=10)
    np.testing.assert_array_equal(kernel(teacher), PARAMS["dense"]["kernel"])


def test_momentum_rises_to_one_by_half_a_cosine():
    # tau(k) = 1 - (1 - 0.996) (cos(pi k / K) + 1) / 2, at k = 0, K/3, K/2, K and beyond.
    steps, expected = (0, 100, 150, 300, 400), (0.004, 0.003, 0.002, 0.0, 0.0)
    values = [teachers.share(k, momentum=0.996, steps=300) for k in steps]
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-9)
    assert float(values[3]) == 0.0
    assert float(teachers.share(300, momentum=0.996)) == pytest.approx(0.004)


def test_updates_follow_the_schedule_of_the_paper():
    # What the paper does after its step k is done here before step k + 1.
    tau = [1 - (1 - 0.8) * (np.cos(np.pi * k / 4) + 1) / 2 for k in range(6)]
    teacher, expected = teachers.create(PARAMS, {}), 1.0
    teacher = teachers.update(teacher, PARAMS, {}, momentum=0.8, steps=4)
    for k in range(6):
        network = 2.0 + k
        expected = tau[min(k, 4)] * expected + (1 - tau[min(k, 4)]) * network
        teacher = teachers.update(teacher, scaled(network, PARAMS), {}, momentum=0.8, steps=4)
        np.testing.assert_allclose(kernel(teacher), expected * PARAMS["dense"]["kernel"], rtol=1e-5)


def test_the_counter_stays_an_integer():
    teacher = teachers.create(PARAMS, {})
    assert teacher["step"].dtype == jnp.int32
    for n in (1, 2):
        teacher = teachers.update(teacher, PARAMS, {})
        assert teacher["step"].dtype == jnp.int32 and int(teacher["step"]) == n


@pytest.mark.parametrize("updates", [0, 1])
def test_no_gradient_reaches_the_network(updates):
    teacher = teachers.create(PARAMS, STATS)
    for _ in range(updates):
        teacher = teachers.update(teacher, PARAMS, STATS)

    def total(params, stats):
        new = teachers.update(teacher, params, stats, momentum=0.5)
        return sum(jnp.sum(x) for x in jax.tree.leaves((new["params"], new["batch_stats"])))

    for gradient in jax.grad(total, argnums=(0, 1))(PARAMS, STATS):
        assert all(not np.any(x) for x in jax.tree.leaves(gradient))
