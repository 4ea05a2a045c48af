"""What a stack needs to know of its device: memory, and on a GPU how to have many small operations done as few.

The GPU's part has fall backs for everything: a program that cannot be compiled or captured, or gives something else
than its plain form, is run in its plain form, with one warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from worker import memory

log = logging.getLogger(__name__)

#: Largest difference between a step and its compiled or captured form, relative and absolute.
TOLERANCE = 1e-3, 1e-4


def available(device: torch.device) -> int:
    """Bytes that may be taken on the device now."""
    return memory.available("cpu" if device.type == "cpu" else f"cuda:{device.index or 0}")


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or the processor had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Gives memory that is no longer used back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


class Fused:
    """A function on tensors as one program by `torch.compile`; compared with its plain form when it is first called.

    The function works in place on some of its arguments, so the trial is on copies. `worth`: whether so much is to be
    computed that it pays to wait for the compiler.
    """

    def __init__(self, function: Callable[..., None], device: torch.device, *, worth: bool = True) -> None:
        self._plain = function
        self._chosen: Callable[..., None] | None = None if device.type == "cuda" and worth else function

    def __call__(self, *arguments: Any) -> None:
        """The same as the plain function within rounding."""
        if self._chosen is None:
            self._chosen = self._trial(arguments)
        self._chosen(*arguments)

    def _trial(self, arguments: tuple[Any, ...]) -> Callable[..., None]:
        try:
            # Not `dynamic=False`: a second number of runs is compiled for any number, and not for every one anew.
            compiled: Callable[..., None] = torch.compile(self._plain)
            ours, theirs = _copy(arguments), _copy(arguments)
            self._plain(*ours)
            compiled(*theirs)
            if _alike(_tensors(ours), _tensors(theirs)):
                return compiled
            log.warning("The compiled update differs from the plain one; the plain one is used.")
        except Exception as error:
            if out_of_memory(error):
                raise
            log.warning("The update could not be compiled (%s); the plain one is used.", error)
        return self._plain


class Captured:
    """A step as a CUDA graph: one launch instead of a hundred.

    `program` reads and writes tensors of fixed address only and waits for nothing. `state` are those that it changes
    and that outlive the step. At the first call the graph is compared with a plain step on the same state.
    """

    def __init__(self, program: Callable[[], None], state: Callable[[], Sequence[torch.Tensor]]) -> None:
        self._program, self._state = program, state
        self._chosen: Callable[[], None] | None = None

    def __call__(self) -> None:
        """One step."""
        if self._chosen is None:
            self._chosen = self._trial()
        self._chosen()

    def _trial(self) -> Callable[[], None]:
        state = list(self._state())
        before = [tensor.clone() for tensor in state]

        def restore() -> None:
            for tensor, old in zip(state, before, strict=True):
                tensor.copy_(old)

        try:
            stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._program()
            torch.cuda.current_stream().wait_stream(stream)
            plain = [tensor.clone() for tensor in state]
            restore()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._program()
            restore()
            graph.replay()
            torch.cuda.synchronize()
            same = _alike(plain, state)
            restore()
            if same:
                replay: Callable[[], None] = graph.replay
                return replay
            log.warning("The captured step differs from the plain one; the plain one is used.")
        except Exception as error:
            restore()
            if out_of_memory(error):
                raise
            log.warning("The step could not be captured (%s); it is run plainly.", error)
        return self._program


def _copy(arguments: Any) -> Any:
    if isinstance(arguments, torch.Tensor):
        return arguments.clone()
    if isinstance(arguments, tuple | list):
        return (
            type(arguments)(*map(_copy, arguments)) if hasattr(arguments, "_fields") else tuple(map(_copy, arguments))
        )
    return arguments


def _tensors(arguments: Any) -> list[torch.Tensor]:
    if isinstance(arguments, torch.Tensor):
        return [arguments]
    if isinstance(arguments, tuple | list):
        return [tensor for one in arguments for tensor in _tensors(one)]
    return []


def _alike(ones: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    relative, absolute = TOLERANCE
    return all(
        torch.allclose(one, other, rtol=relative, atol=absolute, equal_nan=True)
        for one, other in zip(ones, others, strict=True)
    )
