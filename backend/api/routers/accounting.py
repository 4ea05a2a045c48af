"""The calculator of privacy budgets."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ERRORS, ContextDep, NoFiltersDep
from backend.api.services import accounting
from backend.contracts.accounting import Accounting, AccountingRequest, SpendingRequest
from backend.contracts.public import Figure

router = APIRouter(prefix="/accounting", tags=["accounting"], responses=ERRORS)


@router.post("", name="calculate", summary="Noise of an epsilon, epsilon of a noise")
def calculate(_: NoFiltersDep, asked: AccountingRequest, context: ContextDep) -> Accounting:
    """By up to three accountants, for adding or removing one record. Stores nothing but a cache of its answers."""
    return accounting.answer(context.settings, asked)


@router.post("/figure", name="spending", summary="Epsilon along a training, as a figure")
def spending(_: NoFiltersDep, asked: SpendingRequest, context: ContextDep) -> Figure:
    """What a noise multiplier costs after each part of the training, by the three accountants."""
    return accounting.spending(context.settings, asked)
