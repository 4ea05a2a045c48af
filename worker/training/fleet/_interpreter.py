"""Runs a method's code, as `tape.py` recorded it, inside a kernel: no Python between two steps.

An instruction is four numbers: what to do, where the answer goes, and from where its one or two operands come. Operands
are either scalars (float64, in `scalars`) or vectors over the records of the batch (float32, in `registers`, one row of
`capacity` each; row 0 holds the gradient norms).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from worker.training.fleet import _vector as v
from worker.training.fleet._compile import compiled, f32, inlined

ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, MINIMUM, MAXIMUM, LESS, LESS_EQUAL, EQUAL = range(10)
NEGATIVE, ABSOLUTE, TANH, EXP, LOG, SQRT, SPREAD = range(10, 17)
#: Added to an instruction whose answer is a vector.
VECTOR = 32


class Program(NamedTuple):
    """A method's four functions as one list of instructions `[instructions, 4]`.

    The first `split` follow from the norms and the state; the others from the noisy share, which is scalar 0. Scalars
    from 1 on hold the state; `factors`, `limit` and `share` say where the answers are (-1: none), `next_state`
    `[state]` where the next state is.
    """

    code: Any
    split: Any
    factors: Any
    limit: Any
    share: Any
    next_state: Any


@inlined
def _scalar(operation: Any, a: Any, b: Any) -> Any:
    if operation == ADD:
        return a + b
    if operation == SUBTRACT:
        return a - b
    if operation == MULTIPLY:
        return a * b
    if operation == DIVIDE:
        return a / b
    if operation == POWER:
        return a**b
    if operation == MINIMUM:
        return b if b < a else a
    if operation == MAXIMUM:
        return b if b > a else a
    if operation == LESS:
        return 1.0 if a < b else 0.0
    if operation == LESS_EQUAL:
        return 1.0 if a <= b else 0.0
    if operation == EQUAL:
        return 1.0 if a == b else 0.0
    if operation == NEGATIVE:
        return -a
    if operation == ABSOLUTE:
        return abs(a)
    if operation == TANH:
        return np.tanh(a)
    if operation == EXP:
        return np.exp(a)
    if operation == LOG:
        return np.log(a)
    return np.sqrt(a)


@inlined
def _vector(operation: Any, n: Any, out: Any, a: Any, b: Any, capacity: Any, registers: Any, scalars: Any) -> None:
    """Over n records, rounded up to whole vectors: what lies behind the batch is read by nobody."""
    o, x, y = out * capacity, a * capacity, b * capacity
    stop = n + (-n) % 16
    if operation == SPREAD:
        value = v.splat(f32(scalars[a]))
        for i in range(0, stop, 16):
            v.store(registers, o + i, value)
    elif operation == ADD:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.add(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == SUBTRACT:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.sub(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == MULTIPLY:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.mul(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == DIVIDE:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.div(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == MINIMUM:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.smaller(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == MAXIMUM:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.larger(v.load(registers, x + i), v.load(registers, y + i)))
    elif operation == TANH:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.tanh(v.load(registers, x + i)))
    elif operation == EXP:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.exp(v.load(registers, x + i)))
    elif operation == SQRT:
        for i in range(0, stop, 16):
            v.store(registers, o + i, v.sqrt(v.load(registers, x + i)))
    elif operation == LESS:
        for i in range(n):
            registers[o + i] = f32(1) if registers[x + i] < registers[y + i] else f32(0)
    elif operation == LESS_EQUAL:
        for i in range(n):
            registers[o + i] = f32(1) if registers[x + i] <= registers[y + i] else f32(0)
    elif operation == EQUAL:
        for i in range(n):
            registers[o + i] = f32(1) if registers[x + i] == registers[y + i] else f32(0)
    elif operation == NEGATIVE:
        for i in range(n):
            registers[o + i] = -registers[x + i]
    elif operation == ABSOLUTE:
        for i in range(n):
            registers[o + i] = abs(registers[x + i])
    elif operation == LOG:
        for i in range(n):
            registers[o + i] = np.log(registers[x + i])
    else:
        for i in range(n):
            registers[o + i] = registers[x + i] ** registers[y + i]


@inlined
def execute(code: Any, start: Any, stop: Any, n: Any, capacity: Any, registers: Any, scalars: Any) -> None:
    """Instructions from `start` up to `stop`, for a batch of n records."""
    for at in range(start, stop):
        operation = code[at, 0]
        if operation >= VECTOR:
            _vector(operation - VECTOR, n, code[at, 1], code[at, 2], code[at, 3], capacity, registers, scalars)
        else:
            scalars[code[at, 1]] = _scalar(operation, scalars[code[at, 2]], scalars[code[at, 3]])


@compiled
def evaluate(code: Any, start: Any, stop: Any, n: Any, capacity: Any, registers: Any, scalars: Any) -> None:
    """`execute`, called from Python: for comparing a recorded method with its own code."""
    execute(code, start, stop, n, capacity, registers, scalars)
