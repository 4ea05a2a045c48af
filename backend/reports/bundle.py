"""Rerun bundles: made from a study, compared with another server, and verified against what a rerun measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend import __version__
from backend.contracts.bundles import (
    Bundle,
    BundleCheck,
    BundlePart,
    BundleRun,
    BundleSeries,
    Difference,
    SeriesDeviation,
    Verification,
)
from backend.contracts.catalogue import Catalogue
from backend.contracts.expansion import expand
from backend.contracts.results import Problem
from backend.contracts.runs import Setting
from backend.contracts.spec import JobSpec
from backend.errors import Conflict, InvalidRequest
from backend.store import jobs, runs, workers
from backend.store._sql import now
from backend.store.tables import JobRunRow, MeasurementRow, RunRow, SeriesRow

#: Numbers that one bundle may carry.
MOST_NUMBERS = 2_000_000
#: Series that a verification names.
MOST_NAMED = 50


def make(session: Session, job_id: str, *, measurements: bool = True) -> Bundle:
    """The bundle of a study as it is now. Raises `Conflict` where it has no runs."""
    job = jobs.get(session, job_id)
    spec = JobSpec.model_validate(job.spec)
    rows = _runs(session, job_id)
    if not rows:
        raise Conflict("This study has no runs, so there is nothing to bundle.", fix="Retry it, or pick another one.")
    setting = Setting.model_validate(rows[0].setting.config)
    catalogue = workers.catalogue_of_engine(session, setting.engine_version)
    parts: dict[tuple[str, str], BundlePart] = {}
    for config in {row.setting_id: row.setting.config for row in rows}.values():
        for kind, part in Setting.model_validate(config).parts():
            parts[kind, part.name] = BundlePart(kind=kind, name=part.name, version=part.version)
    return Bundle(
        made_at=now(),
        release=__version__,
        spec=spec.model_copy(update={"seeds": spec.seed_list()}),
        data_hash=setting.data_hash,
        engine_version=setting.engine_version,
        metrics_version=setting.metrics_version,
        parts=[parts[key] for key in sorted(parts)],
        python=catalogue.python if catalogue else "",
        packages=dict(catalogue.packages) if catalogue else {},
        runs=[
            BundleRun(
                key=row.key, method=row.setting.method, epsilon=row.setting.epsilon, seed=row.seed, status=row.status
            )
            for row in rows
        ],
        series=_series(session, job_id, rows, _times(catalogue)) if measurements else [],
    )


def _runs(session: Session, job_id: str) -> list[RunRow]:
    query = select(RunRow).join(JobRunRow, JobRunRow.run_id == RunRow.id).where(JobRunRow.job_id == job_id)
    return list(session.scalars(query.order_by(JobRunRow.position)))


def _times(catalogue: Catalogue | None) -> set[str]:
    """Metrics that are times: no rerun has the same, and a comparison of them would say nothing."""
    found = catalogue.metrics if catalogue is not None else []
    return {metric.name for metric in found if metric.kind == "cost" and metric.unit == "s"}


def _series(session: Session, job_id: str, rows: Sequence[RunRow], left_out: Collection[str]) -> list[BundleSeries]:
    place = {row.id: number for number, row in enumerate(rows)}
    query = (
        select(MeasurementRow.series_id, MeasurementRow.run_id, MeasurementRow.value)
        .where(MeasurementRow.run_id.in_(select(JobRunRow.run_id).where(JobRunRow.job_id == job_id)))
        .limit(MOST_NUMBERS + 1)
    )
    columns: dict[int, list[float | None]] = {}
    count = 0
    for series_id, run_id, value in session.execute(query):
        count += 1
        column = columns.get(series_id)
        if column is None:
            column = columns[series_id] = [None] * len(rows)
        column[place[run_id]] = value
    if count > MOST_NUMBERS:
        problem = Problem(
            field="measurements",
            expected=f"false: a bundle carries at most {MOST_NUMBERS:,} numbers",
            got="true, for a study with more",
            fix="Leave the numbers out; they can be downloaded as CSV.",
        )
        raise InvalidRequest("The study has too many numbers for a bundle.", problems=[problem])
    wanted = select(SeriesRow).where(SeriesRow.id.in_(columns), SeriesRow.metric.not_in(left_out))
    known = {row.id: row for row in session.scalars(wanted)}
    named = [
        BundleSeries(metric=known[i].metric, subgroup=known[i].subgroup, split=known[i].split, values=values)
        for i, values in columns.items()
        if i in known
    ]
    return sorted(named, key=lambda one: (one.metric, one.subgroup, one.split))


def check(session: Session, bundle: Bundle, *, max_runs: int) -> BundleCheck:
    """What is not as it was when the bundle was made. Raises `InvalidRequest` where it cannot be submitted here."""
    catalogue = workers.catalogue(session)
    expansion = expand(bundle.spec, catalogue, max_runs=max_runs)
    differences = list(_differences(bundle, catalogue))
    wanted = {run.key for run in bundle.runs}
    same = [config for config in expansion.configs if config.key() in wanted]
    count = len(expansion.configs)
    if len(same) == count:
        sentence = f"All {count:,} runs are the same here, code and data included: they must give the same numbers."
    elif same:
        sentence = f"{len(same):,} of {count:,} runs are the same here; the others are trained by other code or data."
    else:
        sentence = f"None of the {count:,} runs is the same here: code or data differ, and numbers may."
    return BundleCheck(
        differences=differences,
        same_runs=len(same),
        measured=runs.measured(session, same),
        runs=count,
        sentence=sentence,
    )


def _differences(bundle: Bundle, catalogue: Catalogue) -> list[Difference]:
    found: list[Difference] = []

    def compare(what: str, then: str, here: str, *, matters: bool) -> None:
        if then != here:
            found.append(Difference(what=what, bundle=then or "not known", here=here or "not there", matters=matters))

    data = catalogue.find("dataset", bundle.spec.dataset.name)
    facts = data.dataset if data else None
    compare("data", bundle.data_hash or "", (facts.data_hash or "") if facts else "", matters=True)
    compare("engine", bundle.engine_version, catalogue.engine_version, matters=True)
    for part in bundle.parts:
        plugin = catalogue.find(part.kind, part.name)
        compare(f"{part.kind} {part.name}", part.version, plugin.version if plugin else "", matters=True)
    compare("Python", bundle.python, catalogue.python, matters=False)
    for name in sorted(set(bundle.packages) | set(catalogue.packages)):
        if bundle.packages:
            then, here = bundle.packages.get(name, ""), catalogue.packages.get(name, "")
            # Libraries whose version can change a result are part of the engine's version.
            compare(f"package {name}", then, here, matters=False)
    compare("release", bundle.release, __version__, matters=False)
    return found


def verify(bundle: Bundle, measured: Sequence[BundleSeries], rows: Sequence[BundleRun]) -> Verification:
    """A rerun's numbers against the bundle's. Runs are matched by their place in the study, which the spec decides."""
    if not bundle.series:
        raise ValueError("the bundle has no measurements: make it with them")
    if [(r.method, r.epsilon, r.seed) for r in rows] != [(r.method, r.epsilon, r.seed) for r in bundle.runs]:
        raise ValueError("the study has other runs than the bundle: submit the bundle itself, unchanged")
    there = {(one.metric, one.subgroup, one.split): one.values for one in measured}
    deviations: list[SeriesDeviation] = []
    compared = equal = missing = 0
    for one in bundle.series:
        then = np.array(one.values, np.float64)
        values = there.get((one.metric, one.subgroup, one.split))
        if values is None:
            missing += int(np.isfinite(then).sum())
            continue
        here = np.array(values, np.float64)
        same = (then == here) | (np.isnan(then) & np.isnan(here))
        lost = np.isfinite(then) & np.isnan(here)
        both = np.isfinite(then) & np.isfinite(here)
        missing += int(lost.sum())
        compared += len(then) - int(lost.sum())
        equal += int(same.sum())
        if not same.all():
            apart = np.where(both, np.abs(then - here), -1.0)
            worst = int(apart.argmax())
            deviations.append(
                SeriesDeviation(
                    metric=one.metric,
                    subgroup=one.subgroup,
                    split=one.split,
                    compared=len(then) - int(lost.sum()),
                    equal=int(same.sum()),
                    largest=float(apart[worst]) if apart[worst] >= 0 else None,
                    largest_run=rows[worst].key if apart[worst] >= 0 else None,
                )
            )
    deviations.sort(key=lambda d: -(d.largest if d.largest is not None else np.inf))
    count = f"{compared:,} number{'' if compared == 1 else 's'}"
    if missing:
        sentence = f"{missing:,} numbers of the bundle are not measured here; {equal:,} of {count} are the same."
    elif equal == compared:
        sentence = f"All {count} are the same, bit for bit."
    else:
        furthest = max((d.largest for d in deviations if d.largest is not None), default=None)
        most = f"; the largest difference is {furthest:.3g}" if furthest is not None else ""
        sentence = f"{equal:,} of {count} are the same{most}."
    return Verification(
        sentence=sentence,
        runs=len(rows),
        compared=compared,
        equal=equal,
        missing=missing,
        worst=deviations[:MOST_NAMED],
    )
