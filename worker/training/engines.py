"""The engines there are, the preferred first."""

from __future__ import annotations

from functools import lru_cache

from worker.training.engine import Engine
from worker.training.fleet.stacked import StackedEngine
from worker.training.opacus_trainer import OpacusEngine
from worker.training.secure import HAS_NUMBA


@lru_cache(maxsize=8)
def engines(device: str) -> tuple[Engine, ...]:
    """Those that train on `device`: `engine.choose` takes the first that does not refuse; the last takes everything.

    On a processor the compiled engine comes first; without Numba stacked models in torch stand in for it. Nothing here
    touches the device yet.
    """
    if device != "cpu":
        return StackedEngine(device), OpacusEngine(device=device)
    return (*_compiled(), StackedEngine(device), OpacusEngine())


def _compiled() -> tuple[Engine, ...]:
    if not HAS_NUMBA:
        return ()
    from worker.training.fleet.cpu import FleetEngine

    return (FleetEngine(),)


#: Of the processor.
ENGINES = engines("cpu")
