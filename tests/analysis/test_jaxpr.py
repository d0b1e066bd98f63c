"""Programs without calls: platforms, custom derivatives, constants."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from cnnlab.analysis.jaxpr import part, trace


def names(function, *args):
    return [equation.name for equation in trace(function, *args).equations]


X = jnp.ones((4,))


def test_calls_are_written_out():
    inner = jax.jit(jnp.sin)
    assert names(lambda x: jax.jit(inner)(x) * 2, X) == ["sin", "mul"]
    assert names(lambda x: jax.checkpoint(inner)(x) + 1, X) == ["sin", "add"]
    assert names(jax.nn.relu, X) == ["max"]


def test_a_function_called_twice_is_there_twice_with_its_own_variables():
    inner = jax.jit(jnp.sin)
    program = trace(lambda x: inner(inner(x)), X)
    first, second = program.equations
    assert first.inputs == program.inputs
    assert second.inputs == first.outputs
    assert program.outputs == second.outputs
    assert program.producers()[second.outputs[0]] is second


def test_of_a_choice_by_platform_the_default_is_taken():
    def choice(x):
        return lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)

    assert names(choice, X) == ["cos"]


def test_without_a_default_the_last_platform_is_taken():
    def choice(x):
        return lax.platform_dependent(x, cpu=jnp.sin, cuda=jnp.tanh)

    assert names(choice, X) == ["tanh"]


def test_custom_gradients_are_followed_forward():
    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, dy: (dy,))
    assert names(f, X) == ["sin"]


@pytest.mark.parametrize("kind", ["scan", "while", "cond"])
def test_loops_and_branches_stay_whole(kind):
    functions = {
        "scan": lambda x: lax.scan(lambda h, _: (jnp.sin(h), None), x, None, length=3)[0],
        "while": lambda x: lax.while_loop(lambda h: h[0] < 1, jnp.sin, x),
        "cond": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    }
    assert kind in names(functions[kind], X)


def test_constants_of_inner_functions_are_kept():
    weights = jnp.arange(4.0)
    program = trace(jax.jit(lambda x: x * weights), X)
    (equation,) = program.equations
    (constant,) = (program.constants[v] for v in equation.inputs if v in program.constants)
    assert (constant == weights).all()


def test_part_of_a_program_begins_and_ends_where_it_is_asked_to():
    table = jnp.arange(4.0)
    program = trace(lambda x: [jnp.sin(x), jnp.exp(jnp.sin(x) + table), jnp.tan(x) * X], X)
    sine, exponential, _ = program.outputs
    whole = part(program, program.inputs, [exponential])
    assert [e.name for e in whole.equations] == ["sin", "add", "exp"]
    assert [v.aval.shape for v in whole.constants] == [(4,)]
    # The sum takes a sine that is computed anew: from there on nothing else is needed.
    added = whole.equations[1]
    rest = part(program, added.inputs, [exponential])
    assert [e.name for e in rest.equations] == ["add", "exp"]
    assert rest.inputs == added.inputs and rest.constants == {}
    assert part(program, [sine], [sine]).equations == ()
