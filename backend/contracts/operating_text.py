"""Constraints and objectives as short texts, in a shell and in an address: `accuracy@worst:sex/test>=0.8~sure`.

A constraint is METRIC[@[worst:|every:]SUBGROUP][/SPLIT], then <= or >= and a number, then ~sure or ~ and a share of the
seeds where it is not judged on the mean. An objective is the same subject, then ^high or ^low where the metric has no
better direction, *WEIGHT and ~TOLERANCE.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from backend.contracts.operating_points import Constraint, Objective

M = TypeVar("M", bound=BaseModel)

_OBJECTIVE = re.compile(r"(.+?)(?:\^(high|low))?(?:\*([^*~^]+))?(?:~([^*~^]+))?")
_SPLITS = ("train", "validation", "test")


def constraint(text: str) -> Constraint:
    """Reads one. Raises `ValueError` that says what was expected.

    >>> constraint("accuracy@worst:sex>=80 %").threshold, constraint("epsilon<=4").operator
    (0.8, '<=')
    """
    place = max(text.rfind("<="), text.rfind(">="))
    if place < 1:
        raise ValueError(f"{text!r} is no limit: expected a metric, <= or >=, and a number, such as epsilon<=4.")
    value, tilde, how = text[place + 2 :].partition("~")
    found: dict[str, Any] = {**_subject(text[:place]), "operator": text[place : place + 2], "threshold": _number(value)}
    if how.strip() == "sure":
        found["judge"] = "sure"
    elif tilde:
        found |= {"judge": "share", "share": _number(how)}
    return _checked(Constraint, text, found)


def objective(text: str) -> Objective:
    """Reads one. Raises `ValueError` that says what was expected.

    >>> objective("loss_gap@sex*2~0.01").weight
    2.0
    """
    match = _OBJECTIVE.fullmatch(text.strip())
    if match is None:
        raise ValueError("An objective needs a metric, such as accuracy.")
    name, side, weight, tolerance = match.groups()
    found = _subject(name)
    if side:
        found["higher"] = side == "high"
    if weight:
        found["weight"] = _number(weight)
    if tolerance:
        found["tolerance"] = _number(tolerance)
    return _checked(Objective, text, found)


def _subject(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    head, slash, split = text.strip().rpartition("/")
    if slash and split in _SPLITS:
        text, found["split"] = head, split
    metric, at, subgroup = text.strip().partition("@")
    found["metric"] = metric.strip()
    if at:
        kind, colon, rest = subgroup.partition(":")
        groups = kind if colon and kind in ("worst", "every") else "one"
        found |= {"groups": groups, "subgroup": (subgroup if groups == "one" else rest).strip()}
    return found


def _number(text: str) -> float:
    clean = text.strip()
    try:
        return float(clean[:-1]) / 100 if clean.endswith("%") else float(clean)
    except ValueError:
        raise ValueError(f"{clean!r} is no number: expected one such as 0.8 or 0.5 %.") from None


def _checked(model: type[M], text: str, found: dict[str, Any]) -> M:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{text!r}: {f'{where}: ' if where else ''}{said}.") from None
