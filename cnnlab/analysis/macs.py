"""Multiply-adds and activations of a traced program.

A MAC is one multiplication with its addition in a convolution or a matrix product; nothing else
counts, as in the papers. Taps on padding are counted, as in the papers; the zeros that a
transposed convolution inserts between its inputs are not, since no implementation multiplies them.
"""

import math

from cnnlab.analysis.jaxpr import Equation, Program, programs_of

PRODUCTS = ("conv_general_dilated", "dot_general")


def macs(program: Program) -> int:
    """Return the multiply-adds of a program. A `while` loop counts as one iteration."""
    return sum(equation_macs(equation) for equation in program.equations)


def equation_macs(equation: Equation) -> int:
    """Return the multiply-adds of one equation and of the programs inside it."""
    if equation.name == "conv_general_dilated":
        return _convolution(equation)
    if equation.name == "dot_general":
        return _product(equation)
    return _inside(equation, macs)


def activations(equation: Equation) -> int:
    """Return the number of outputs of its convolutions and products (Dollár et al. 2021)."""
    if equation.name in PRODUCTS:
        return math.prod(equation.outputs[0].aval.shape)
    return _inside(equation, lambda program: sum(map(activations, program.equations)))


def _inside(equation: Equation, count) -> int:
    counts = [count(program) for program in programs_of(equation)]
    if equation.name == "scan":
        return equation.params["length"] * sum(counts)
    # One branch of a `cond` is taken: the most expensive is an upper bound.
    return max(counts, default=0) if equation.name == "cond" else sum(counts)


def _convolution(equation: Equation) -> int:
    x, kernel = (v.aval.shape for v in equation.inputs)
    numbers = equation.params["dimension_numbers"]
    window = math.prod(kernel[d] for d in numbers.rhs_spec[2:])
    channels = kernel[numbers.rhs_spec[1]]
    if max(equation.params["lhs_dilation"]) == 1:
        return math.prod(equation.outputs[0].aval.shape) * window * channels
    # Every true input value meets every tap once.
    places = math.prod(x[d] for d in numbers.lhs_spec[2:])
    return x[numbers.lhs_spec[0]] * places * window * channels * kernel[numbers.rhs_spec[0]]


def _product(equation: Equation) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.inputs[0].aval.shape
    result = math.prod(equation.outputs[0].aval.shape)
    return result * math.prod(shape[d] for d in contracted)
