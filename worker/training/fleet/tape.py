"""Records what a method's array code does, so that kernels can repeat it without Python between two steps.

A method is called once with stand-ins for the gradient norms and for its state. Every arithmetic operation on a
stand-in is written down; the list (a `Program`) is what kernels run. A method that cannot be recorded, because it asks
for the value of a stand-in or uses a function that is not known here, loses nothing but speed: the engine then calls
its own code each step. What was recorded is compared with that code before it is used.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from worker.plugins import Method, Params, State
from worker.training.fleet import _interpreter as i
from worker.training.fleet._interpreter import Program

_UFUNCS: dict[Any, int] = {
    np.add: i.ADD, np.subtract: i.SUBTRACT, np.multiply: i.MULTIPLY, np.true_divide: i.DIVIDE, np.power: i.POWER,
    np.minimum: i.MINIMUM, np.maximum: i.MAXIMUM, np.less: i.LESS, np.less_equal: i.LESS_EQUAL, np.equal: i.EQUAL,
    np.negative: i.NEGATIVE, np.absolute: i.ABSOLUTE, np.tanh: i.TANH, np.exp: i.EXP, np.log: i.LOG, np.sqrt: i.SQRT,
}  # fmt: skip
_SWAPPED = {np.greater: i.LESS, np.greater_equal: i.LESS_EQUAL}
_UNARY = {i.NEGATIVE, i.ABSOLUTE, i.TANH, i.EXP, i.LOG, i.SQRT}
#: Relative difference up to which a recorded method counts as the same.
TOLERANCE = 2e-5


class NotRecordable(Exception):
    """The method's code does something that cannot be written down."""


@dataclass(frozen=True)
class Recorded:
    """A program, and the scalars it starts from: share, state, constants, then room for what it computes."""

    program: Program
    scalars: np.ndarray[Any, np.dtype[np.float64]]
    vectors: int
    names: tuple[str, ...]


#: Of a method that is not private: gradients are used whole.
WHOLE = Recorded(
    Program(
        np.zeros((0, 4), np.int64), np.int64(0), np.int64(-1), np.int64(-1), np.int64(-1), np.zeros(0, np.int64)
    ),
    np.zeros(1),
    1,
    (),
)  # fmt: skip


class _Tape:
    def __init__(self, states: int) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self.scalars = [0.0] * (1 + states)
        self.vectors = 1
        self.known: dict[Any, _Traced] = {}

    def constant(self, value: float) -> _Traced:
        key = ("constant", math.copysign(1.0, value), value)
        if key not in self.known:
            self.scalars.append(value)
            self.known[key] = _Traced(self, len(self.scalars) - 1, vector=False)
        return self.known[key]

    def spread(self, value: _Traced) -> _Traced:
        return value if value.vector else self.write(i.SPREAD, True, value.at, 0)

    def write(self, operation: int, vector: bool, a: int, b: int) -> _Traced:
        key = (operation, vector, a, b)
        if key not in self.known:
            if vector:
                at, self.vectors = self.vectors, self.vectors + 1
            else:
                at = len(self.scalars)
                self.scalars.append(0.0)
            self.code.append((operation + (i.VECTOR if vector else 0), at, a, b))
            self.known[key] = _Traced(self, at, vector=vector)
        return self.known[key]

    def operate(self, operation: int, *operands: Any) -> _Traced:
        values = [self.lift(one) for one in operands]
        vector = any(value.vector for value in values)
        if vector:
            values = [self.spread(value) for value in values]
        return self.write(operation, vector, values[0].at, values[-1].at if operation not in _UNARY else 0)

    def lift(self, value: Any) -> _Traced:
        if isinstance(value, _Traced):
            return value
        if isinstance(value, bool | int | float | np.number | np.bool_):
            return self.constant(float(value))
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return self.constant(float(value))
        raise NotRecordable(type(value).__name__)


class _Traced:
    """Stands for a number, or for one number per record."""

    def __init__(self, tape: _Tape, at: int, *, vector: bool) -> None:
        self.tape, self.at, self.vector = tape, at, vector

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> _Traced:
        if method != "__call__" or options:
            raise NotRecordable(f"{ufunc.__name__}.{method}")
        if ufunc in _SWAPPED:
            return self.tape.operate(_SWAPPED[ufunc], *inputs[::-1])
        if ufunc is np.square:
            return self.tape.operate(i.MULTIPLY, inputs[0], inputs[0])
        if ufunc not in _UFUNCS:
            raise NotRecordable(ufunc.__name__)
        return self.tape.operate(_UFUNCS[ufunc], *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> _Traced:
        if function is np.clip:
            return _Traced.clip(*args, **kwargs)
        raise NotRecordable(function.__name__)

    def clip(self, min: Any = None, max: Any = None) -> _Traced:
        value = self
        if min is not None:
            value = self.tape.operate(i.MAXIMUM, value, min)
        return value if max is None else self.tape.operate(i.MINIMUM, value, max)

    def as_share(self) -> _Traced:
        return self

    def sqrt(self) -> _Traced:
        return self.tape.operate(i.SQRT, self)

    def __neg__(self) -> _Traced:
        return self.tape.operate(i.NEGATIVE, self)

    def __abs__(self) -> _Traced:
        return self.tape.operate(i.ABSOLUTE, self)

    def __bool__(self) -> bool:
        raise NotRecordable("a branch on a value")

    def __float__(self) -> float:
        raise NotRecordable("the value of a number")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotRecordable("the values of an array")

    __hash__ = object.__hash__


def _binary(operation: int, swapped: bool) -> Callable[[_Traced, Any], _Traced]:
    def operate(self: _Traced, other: Any) -> _Traced:
        return self.tape.operate(operation, *((other, self) if swapped else (self, other)))

    return operate


for _name, _operation in (
    ("add", i.ADD), ("sub", i.SUBTRACT), ("mul", i.MULTIPLY), ("truediv", i.DIVIDE), ("pow", i.POWER),
):  # fmt: skip
    setattr(_Traced, f"__{_name}__", _binary(_operation, swapped=False))
    setattr(_Traced, f"__r{_name}__", _binary(_operation, swapped=True))
for _name, _operation, _swapped in (
    ("lt", i.LESS, False), ("le", i.LESS_EQUAL, False), ("gt", i.LESS, True), ("ge", i.LESS_EQUAL, True),
    ("eq", i.EQUAL, False),
):  # fmt: skip
    setattr(_Traced, f"__{_name}__", _binary(_operation, swapped=_swapped))


def record(method: Method[Any], params: Params) -> Recorded | None:
    """The method with these parameters as a program, or None where its own code has to be called."""
    return _record(method, params.model_dump_json())


@lru_cache(maxsize=256)
def _record(method: Method[Any], text: str) -> Recorded | None:
    params = method.Params.model_validate_json(text)
    with contextlib.suppress(NotRecordable, TypeError, AttributeError, ValueError):
        recorded = _trace(method, params)
        if _agrees(recorded, method, params):
            return recorded
    return None


def _trace(method: Method[Any], params: Params) -> Recorded:
    start = method.start(params)
    names = tuple(start)
    tape = _Tape(len(names))
    state: State = {name: _Traced(tape, 1 + place, vector=False) for place, name in enumerate(names)}
    norms = _Traced(tape, 0, vector=True)
    factors = tape.spread(tape.lift(method.scale(norms, state, params)))
    limit = tape.lift(method.sensitivity(state, params))
    if limit.vector:
        raise NotRecordable("a sensitivity per record")
    statistic = method.statistic(norms, state, params)
    share = None if statistic is None else tape.spread(tape.lift(statistic))
    split = len(tape.code)
    after = method.update(state, None if share is None else _Traced(tape, 0, vector=False), params)
    moved = {name: tape.lift(after[name]) for name in names}
    if set(after) != set(names) or any(value.vector for value in moved.values()):
        raise NotRecordable("a state that changes its kind")
    program = Program(
        code=np.array(tape.code, np.int64).reshape(-1, 4),
        split=np.int64(split),
        factors=np.int64(factors.at),
        limit=np.int64(limit.at),
        share=np.int64(-1 if share is None else share.at),
        next_state=np.array([moved[name].at for name in names], np.int64),
    )
    return Recorded(program, np.array(tape.scalars, np.float64), tape.vectors, names)


def _agrees(recorded: Recorded, method: Method[Any], params: Params) -> bool:
    """Whether the program gives what the method's code gives, over several states and norms of every size."""
    capacity = 48
    norms = np.concatenate([[0.0], np.geomspace(1e-30, 1e18, 40), [np.inf, 0.1, 1.0, 10.0, 3.0, 1e-6, 2.0]])
    program = recorded.program
    state: State = method.start(params)
    for share in (0.5, 0.1, 0.97, -0.4, 1.6):
        registers = np.zeros(recorded.vectors * capacity, np.float32)
        registers[:capacity] = norms
        scalars = recorded.scalars.copy()
        scalars[1 : 1 + len(recorded.names)] = [float(state[name]) for name in recorded.names]
        with np.errstate(all="ignore"):
            given = norms.astype(np.float32)
            expected = np.broadcast_to(method.scale(given, state, params), (capacity,))
            statistic = method.statistic(given, state, params)
            limit = float(method.sensitivity(state, params))
        i.evaluate(program.code, 0, int(program.split), capacity, capacity, registers, scalars)
        rows = registers.reshape(-1, capacity)
        if not _close(rows[int(program.factors)], expected) or not _close(scalars[int(program.limit)], limit):
            return False
        if statistic is not None and not np.array_equal(rows[int(program.share)], statistic):
            return False
        scalars[0] = share
        i.evaluate(program.code, int(program.split), len(program.code), 0, capacity, registers, scalars)
        state = method.update(state, None if statistic is None else share, params)
        if not _close(scalars[program.next_state], [float(state[name]) for name in recorded.names]):
            return False
    return True


def _close(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, np.asarray(expected, np.float64), rtol=TOLERANCE, atol=1e-30, equal_nan=True))
