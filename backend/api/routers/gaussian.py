"""The Gaussian task: membership privacy beside robustness, in closed form and simulated."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ERRORS, NoFiltersDep
from backend.api.services import gaussian
from backend.contracts.gaussian import Gaussian, GaussianRequest

router = APIRouter(prefix="/gaussian", tags=["gaussian"], responses=ERRORS)


@router.post("", name="calculate", summary="Leakage and robustness of a Gaussian task")
def calculate(_: NoFiltersDep, asked: GaussianRequest) -> Gaussian:
    """Expectations over trainings at one setting, along n and along epsilon, beside simulated trainings."""
    return gaussian.answer(asked)
