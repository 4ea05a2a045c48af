"""The engines there are, the preferred first."""

from __future__ import annotations

from worker.training.engine import Engine
from worker.training.fleet.cpu import FleetEngine
from worker.training.opacus_trainer import OpacusEngine

#: `engine.choose` takes the first that does not refuse; the last one takes everything.
ENGINES: tuple[Engine, ...] = (FleetEngine(), OpacusEngine())
