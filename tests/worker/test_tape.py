"""What is recorded of a method's code is what the code does; what cannot be recorded is called."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.methods._arrays import at_most, exp, tanh, within
from worker.plugins import Method, Params
from worker.registry import registry
from worker.training.fleet import _interpreter as interpreter
from worker.training.fleet.tape import record


class Knobs(Params):
    epsilon: float = 1.0
    clip: float = 0.7
    power: float = 3.0


class Base(Method[Knobs]):
    name = title = summary = "test"
    private = True
    Params = Knobs

    def start(self, params):
        return {"threshold": params.clip, "age": 0.0}

    def sensitivity(self, state, params):
        return state["threshold"]

    def scale(self, norms, state, params):
        return at_most(state["threshold"] / (norms + 1e-30), 1.0)

    def update(self, state, statistic, params):
        return {**state, "age": state["age"] + 1}


class Everything(Base):
    """Every operation that is known, on vectors and on scalars."""

    def scale(self, norms, state, params):
        c = state["threshold"]
        x = np.minimum(np.maximum(norms / c, 1e-12), 1e12)
        soft = tanh(x) / x
        hard = 1 / (1 + (norms / c).clip(max=1e4) ** params.power) ** (1 / params.power)
        low = (norms < c) * 0.5 + (norms <= c) * 0.25 + (norms > 2 * c) * 0.125 + (norms >= 3 * c) * 0.1
        root = np.sqrt(np.log(1 + exp(-np.abs(x - 2)))) * (-1) * (x == 1)
        return (0.1 * soft + 0.1 * hard + 0.01 * low + 0.01 * root - 0.0) * within(2 - c, 0.1, 1.0)

    def statistic(self, norms, state, params):
        return (norms <= state["threshold"]) * 1.0

    def update(self, state, statistic, params):
        moved = state["threshold"] * exp(-0.2 * (statistic - 0.5))
        return {"threshold": within(moved, 0.01, 10.0), "age": state["age"] ** 1 + 1}


class Branches(Base):
    def scale(self, norms, state, params):
        return norms * 0 + 1 if state["age"] > 3 else super().scale(norms, state, params)


class Asks(Base):
    def scale(self, norms, state, params):
        return super().scale(norms, {"threshold": math.sqrt(state["threshold"])}, params)


class MixesRecords(Base):
    def scale(self, norms, state, params):
        return norms * 0 + 1 / norms.max()


class Ages(Base):
    """Looks at a plain number that the stand-ins do not see: what was recorded once would be wrong later."""

    calls = 0

    def scale(self, norms, state, params):
        type(self).calls += 1
        return super().scale(norms, state, params) / (1 + type(self).calls)


@pytest.mark.parametrize("method", [Branches(), Asks(), MixesRecords(), Ages()], ids=lambda m: type(m).__name__)
def test_what_cannot_be_recorded_is_left_to_its_own_code(method):
    assert record(method, method.Params()) is None


@pytest.mark.parametrize("found", registry().all("method"), ids=lambda f: f.plugin.name)
def test_every_private_method_here_is_recorded(found):
    if found.plugin.attribute(found.plugin.Params()) is not None:
        assert record(found.plugin, found.plugin.Params()) is None
    elif found.plugin.private:
        assert record(found.plugin, found.plugin.Params()) is not None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=48),
    st.floats(0.01, 5),
    st.floats(1, 8),
    st.floats(-1, 2),
)
def test_a_program_repeats_the_method(norms, clip, power, share):
    method, params = Everything(), Knobs(clip=clip, power=power)
    recorded = record(method, params)
    assert recorded is not None
    program, count, capacity = recorded.program, len(norms), 48
    registers = np.zeros(recorded.vectors * capacity, np.float32)
    registers[:count] = norms
    scalars = recorded.scalars.copy()
    state = method.start(params)
    scalars[1:3] = [state["threshold"], state["age"]]
    given_norms = np.array(norms, np.float32)
    interpreter.evaluate(program.code, 0, int(program.split), count, capacity, registers, scalars)
    rows = registers.reshape(-1, capacity)[:, :count]
    expected = method.scale(given_norms, state, params)
    np.testing.assert_allclose(rows[int(program.factors)], expected, rtol=2e-5, atol=1e-7)
    assert np.array_equal(rows[int(program.share)], method.statistic(given_norms, state, params))
    scalars[0] = share
    interpreter.evaluate(program.code, int(program.split), len(program.code), 0, capacity, registers, scalars)
    after = method.update(state, share, params)
    assert scalars[program.next_state] == pytest.approx([after["threshold"], after["age"]])
