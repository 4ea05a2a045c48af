"""What a GPU does for stacked models, as far as it can be tested without one: draws, compiled and captured programs."""

from __future__ import annotations

import logging
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.worker.stacks import CPU, HEADS, OPTIMIZERS, mixed
from worker.training import streams
from worker.training.fleet import philox, stack_device
from worker.training.fleet.stack import Stack, method_key
from worker.training.fleet.stack_plan import Course, Plan
from worker.training.streams import Purpose

KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.fixture(autouse=True)
def _hear_warnings(caplog):
    """Whatever level another test in this process left behind."""
    caplog.set_level(logging.WARNING)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers_of_random123(counter, key, answer):
    numbers = [torch.tensor([int(word, 16)]) for word in f"{counter} {key}".split()]
    found = philox.philox4x32(tuple(numbers[:4]), *numbers[4:])
    assert " ".join(f"{int(word):08x}" for word in found) == answer


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_draws_are_those_of_the_compiled_loops(names, step, count):
    keys = [streams.own_key(name) for name in names]
    place = torch.tensor([step])
    words = philox.words(philox.keys_of(keys, CPU), Purpose.NOISE, place, count)
    normals = philox.normals(philox.keys_of(keys, CPU), Purpose.NOISE, place, count)
    for run, key in enumerate(keys):
        assert np.array_equal(words[run].numpy(), streams.words(key, Purpose.NOISE, step, count))
        expected = streams.normals(key, Purpose.NOISE, step, count)
        np.testing.assert_allclose(normals[run].numpy(), expected, atol=1e-6, rtol=0)


def test_many_normals_agree_within_1e_6():
    keys = [streams.own_key(str(run)) for run in range(20)]
    drawn = philox.normals(philox.keys_of(keys, CPU), Purpose.NOISE, torch.tensor([5]), 100_000).numpy()
    for run, key in enumerate(keys):
        assert np.abs(drawn[run] - streams.normals(key, Purpose.NOISE, 5, 100_000)).max() < 1e-6


def test_a_compiled_update_that_fails_or_differs_is_left_aside(monkeypatch, caplog):
    def plain(target, factor):
        target.mul_(factor)

    def fused(compiled):
        monkeypatch.setattr(torch, "compile", lambda function, **_: compiled)
        chosen = stack_device.Fused(plain, torch.device("cuda"))
        value = torch.ones(3)
        chosen(value, 2.0)
        assert value.tolist() == [2, 2, 2]
        return chosen._chosen

    assert fused(plain) is plain
    good = lambda target, factor: target.copy_(target * factor)  # noqa: E731
    assert fused(good) is good
    assert not caplog.records
    assert fused(lambda target, factor: target.zero_()) is plain
    assert "differs" in caplog.text

    def failing(target, factor):
        raise RuntimeError("no compiler")

    assert fused(failing) is plain
    assert "no compiler" in caplog.text

    def scarce(target, factor):
        raise torch.OutOfMemoryError("a test")

    with pytest.raises(torch.OutOfMemoryError):
        fused(scarce)


class Listener(TorchDispatchMode):
    """Every operation, and the devices of what goes in and comes out."""

    def __init__(self):
        super().__init__()
        self.operations, self.devices = set(), set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        answer = function(*args, **(kwargs or {}))
        self.operations.add(str(function))
        tensors = [one for one in tree_leaves((args, kwargs, answer)) if isinstance(one, torch.Tensor)]
        self.devices |= {tensor.device.type for tensor in tensors}
        return answer


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_stays_on_its_device_and_waits_for_nothing(optimizer, activation, head):
    """What a graph cannot hold: tensors of another device, numbers that Python reads, sizes that depend on values.

    The meta device computes shapes only, and refuses to give a number out.
    """
    works = mixed(8, head=head, activation=activation, hidden=(16, 8), **OPTIMIZERS[optimizer])
    courses = sorted((Course.begin(one, Plan.of(one)) for one in works), key=lambda course: method_key(course.work))
    stack = Stack(courses, torch.device("meta"), draw_on_device=True)
    stack._feed()
    with Listener() as heard:
        stack._take_step()
    stack.close()
    assert heard.devices == {"meta"}
    reading = {"_local_scalar_dense", "nonzero", "masked_select", "unique", "lift_fresh", "index.Tensor"}
    assert not [name for name in heard.operations if any(one in name for one in reading)]


def test_what_a_step_reads_and_writes_stays_where_it_is():
    """As a graph needs it: replayed steps look for everything at the addresses of the captured one."""
    works = mixed(8, optimizer="adam", rows=400)
    courses = sorted((Course.begin(one, Plan.of(one)) for one in works), key=lambda course: method_key(course.work))
    stack = Stack(courses, CPU, draw_on_device=True)

    def addresses():
        holders = (stack, stack._room, stack._rows, *stack._groups)
        found = tree_leaves([list(vars(one).values()) for one in holders] + [tuple(stack._rates)])
        return [one.data_ptr() for one in found if isinstance(one, torch.Tensor)]

    stack.advance(1)
    before = addresses()
    stack.advance(works[0].schedule.steps)
    assert addresses() == before
    assert len(before) > 40
    stack.close()


@pytest.fixture
def captured(monkeypatch):
    """A step as a graph without a GPU: `replay` stands for what was captured; three numbers are the state."""

    class Stream:
        def wait_stream(self, other):
            pass

    def make(program, replay):
        state = torch.zeros(3)
        graph = type("Graph", (), {"replay": lambda self: replay(state)})
        cuda = {
            "Stream": Stream, "current_stream": Stream, "stream": nullcontext, "CUDAGraph": graph,
            "graph": nullcontext, "synchronize": lambda: None,
        }  # fmt: skip
        for name, stand_in in cuda.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        return state, stack_device.Captured(lambda: program(state), lambda: [state])

    return make


def add_one(state):
    state.add_(1)


def test_a_captured_step_is_replayed(captured):
    replayed = []
    state, step = captured(add_one, lambda state: (replayed.append(1), state.add_(1)))
    for done in (1, 2, 3):
        step()
        assert state.tolist() == [done] * 3
    assert len(replayed) == 4, "one more to compare it with the plain step"


def test_a_captured_step_that_differs_is_left_aside(captured, caplog):
    state, step = captured(add_one, lambda state: state.add_(2))
    for done in (1, 2):
        step()
        assert state.tolist() == [done] * 3
    assert caplog.text.count("differs") == 1


def test_a_step_that_cannot_be_captured_is_run_plainly(captured, caplog):
    calls = []

    def program(state):
        calls.append(1)
        if len(calls) == 2:
            state.add_(7)
            raise RuntimeError("operation not permitted when stream is capturing")
        state.add_(1)

    state, step = captured(program, add_one)
    for done in (1, 2):
        step()
        assert state.tolist() == [done] * 3
    assert caplog.text.count("not permitted") == 1


def test_memory_that_gives_out_while_capturing_is_told_and_the_state_is_as_before(captured):
    def program(state):
        state.add_(5)
        raise torch.OutOfMemoryError("a test")

    state, step = captured(program, add_one)
    with pytest.raises(torch.OutOfMemoryError):
        step()
    assert state.tolist() == [0, 0, 0]
