"""A job's runs in groups, and as columns of chosen metrics: what its table shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import groups
from backend.analysis.plain import finite
from backend.analysis.table import Ints
from backend.api.services.tables import RunSet, run_set
from backend.contracts.public import GroupCell, RunColumns, RunGroup, RunGroups
from backend.contracts.results import Problem
from backend.errors import InvalidRequest
from backend.store import runs

#: What runs can be grouped by beside their parameters.
METHOD = "method"


def grouped(
    session: Session, job_id: str, by: Sequence[str], metrics: Sequence[str], subgroup: str, split: str
) -> RunGroups:
    """The job's runs in groups by method or parameters. Raises `InvalidRequest` for a parameter that none of them has.

    Parameters are those of settings, so groups are counted over settings; only numbers are looked up run by run.
    """
    counts = runs.status_counts(session, job_id)
    settings = runs.setting_params(session, job_id)
    known = sorted({name for _, _, params in settings.values() for name in params} | {METHOD})
    for place, name in enumerate(by):
        if name not in known:
            problem = Problem(
                field=f"by.{place}", expected="one of " + ", ".join(known), got=name, fix="Choose one of these."
            )
            raise InvalidRequest("The study's runs cannot be grouped by that.", problems=[problem])
    ids = sorted(settings, key=lambda one: settings[one][0])
    keys, index = groups.group_index([_key(settings[one], by) for one in ids])
    members: list[list[int]] = [[] for _ in keys]
    total: list[Counter[str]] = [Counter() for _ in keys]
    for setting, group in zip(ids, index.tolist(), strict=True):
        members[group].append(setting)
        total[group].update(counts.get(setting, {}))
    cells = _cells(run_set(session, [job_id]), ids, index, len(keys), metrics, subgroup, split)
    return RunGroups(
        by=list(by),
        can_group_by=known,
        metrics=list(metrics),
        items=[
            RunGroup(
                key=[json.loads(value) if value is not None else None for value in key],
                setting_ids=sorted(members[place]),
                runs=sum(total[place].values()),
                succeeded=total[place]["succeeded"],
                diverged=total[place]["diverged"],
                failed=total[place]["failed"],
                cells=[column[place] for column in cells],
            )
            for place, key in enumerate(keys)
        ],
    )


def _key(setting: tuple[int, str, dict[str, Any]], by: Sequence[str]) -> tuple[str | None, ...]:
    """Values as JSON: lists can be told apart, and a parameter that a method does not have is None."""
    _, method, params = setting
    return tuple(
        json.dumps(method) if name == METHOD else json.dumps(params[name], sort_keys=True) if name in params else None
        for name in by
    )


def _cells(
    found: RunSet, ids: list[int], index: Ints, count: int, metrics: Sequence[str], subgroup: str, split: str
) -> list[list[GroupCell]]:
    of = dict(zip(ids, index.tolist(), strict=True))
    of_run = np.array([of[setting] for setting in found.table.settings.tolist()], dtype=np.int64)
    columns = []
    for metric in metrics:
        values = found.column(metric, subgroup, split).values
        means = groups.over_seeds(values, of_run, found.table.seeds, count)
        columns.append(
            [
                GroupCell(
                    mean=finite(means.mean[i]),
                    low=finite(means.low[i]),
                    high=finite(means.high[i]),
                    seeds=int(means.seeds[i]),
                    runs=int(means.runs[i]),
                    balanced=bool(means.balanced[i]),
                )
                for i in range(count)
            ]
        )
    return columns


def columns(session: Session, job_id: str, metrics: Sequence[str], subgroup: str, split: str) -> RunColumns:
    """Chosen metrics of every run of the job that has a result."""
    found = run_set(session, [job_id])
    values = [[finite(value) for value in found.column(metric, subgroup, split).values.tolist()] for metric in metrics]
    return RunColumns(run_ids=list(found.table.keys), metrics=list(metrics), values=values)
