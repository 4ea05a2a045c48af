"""Takes a review's snapshot: everything that the comparison of some settings rests on, copied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend import __version__
from backend.analysis.alarms import Audited
from backend.analysis.alarms import of_run as alarm_of_run
from backend.analysis.intervals import grouped
from backend.analysis.labels import Words, describe, differing, value_text
from backend.analysis.plain import finite
from backend.analysis.table import SettingInfo
from backend.api.services import alarms, review_tradeoff
from backend.api.services.tables import setting_info, words_of
from backend.contracts.results import ALL, Problem
from backend.contracts.review_history import size
from backend.contracts.reviews import (
    NewReview,
    Snapshot,
    SnapshotAudit,
    SnapshotCell,
    SnapshotJob,
    SnapshotPoint,
    SnapshotRun,
    SnapshotSeries,
    SnapshotSetting,
)
from backend.contracts.runs import Setting
from backend.contracts.spec import INTERSECTION
from backend.errors import InvalidRequest, NotFound
from backend.store import jobs
from backend.store._sql import CHUNK, now
from backend.store.tables import JobRunRow, MeasurementRow, OperatingPointRow, PersonRow, RunRow, SeriesRow, SettingRow

#: Numbers of single runs that a snapshot keeps at most: about 4 MB.
MOST_VALUES = 200_000
#: Runs of one review at most.
MOST_RUNS = 5_000
#: Bytes of the page's search parameters.
MOST_VIEW = 20_000


def take(session: Session, person: str, new: NewReview) -> Snapshot:
    """The snapshot. Raises `NotFound` for an unknown study, `InvalidRequest` for a setting without runs in them."""
    if (bytes_ := size(new.view)) > MOST_VIEW:
        problem = Problem(
            field="view", expected=f"at most {MOST_VIEW:,} bytes", got=f"{bytes_:,}", fix="Leave the selection out."
        )
        raise InvalidRequest("The page's search parameters are too long.", problems=[problem])
    listed = [SnapshotJob(id=job_id, name=jobs.get(session, job_id).name) for job_id in new.job_ids]
    settings = _settings(session, new)
    runs = _runs(session, new, settings)
    words = words_of(session)
    infos = {row.id: setting_info(row) for row in settings}
    series, cut = _series(session, [runs[row.id] for row in settings], words)
    labels = _labels(list(infos.values()), words)
    audits = alarms.audits_of(session, new.job_ids)
    frozen = [
        _setting(row, infos[row.id], labels[row.id], runs[row.id], place, series, audits, words)
        for place, row in enumerate(settings)
    ]
    names = sorted({name for row in settings for name in row.params})
    return Snapshot(
        review_id=jobs.new_job_id(),
        title=new.title,
        question=new.question,
        author=person,
        moment=now(),
        equipoise=__version__,
        required_approvals=new.required_approvals,
        jobs=listed,
        view=new.view,
        settings=frozen,
        metrics=[words.metric(name) for name in sorted({one.metric for one in series})],
        parameter_titles={name: _title(name, list(infos.values()), words) for name in names},
        subgroup_titles={name: words.subgroup(name) for name in sorted({one.subgroup for one in series})},
        series=series,
        cut=cut,
        operating_point=_point(session, new.operating_point, new.setting_ids),
        tradeoff=review_tradeoff.freeze(session, new, words),
    )


def _settings(session: Session, new: NewReview) -> list[SettingRow]:
    found = {row.id: row for row in session.scalars(select(SettingRow).where(SettingRow.id.in_(new.setting_ids)))}
    wrong = [(i, one) for i, one in enumerate(new.setting_ids) if one not in found]
    if wrong:
        raise _not_there(wrong)
    return [found[one] for one in new.setting_ids]


def _not_there(wrong: Sequence[tuple[int, int]]) -> InvalidRequest:
    problems = [
        Problem(
            field=f"setting_ids.{place}",
            expected="a setting that has runs in the studies of job_ids",
            got=str(one),
            fix="Choose it from these studies, or name its study too.",
        )
        for place, one in wrong
    ]
    return InvalidRequest("Some settings are not in the studies.", problems=problems)


def _runs(session: Session, new: NewReview, settings: Sequence[SettingRow]) -> dict[int, list[RunRow]]:
    """Runs of each setting in these studies, by seed."""
    inside = select(JobRunRow.run_id).where(JobRunRow.job_id.in_(new.job_ids))
    query = select(RunRow).where(RunRow.setting_id.in_(new.setting_ids), RunRow.id.in_(inside))
    found: dict[int, list[RunRow]] = {row.id: [] for row in settings}
    for run in session.scalars(query.order_by(RunRow.setting_id, RunRow.seed, RunRow.id).limit(MOST_RUNS + 1)):
        found[run.setting_id].append(run)
    wrong = [(place, one) for place, one in enumerate(new.setting_ids) if not found[one]]
    if wrong:
        raise _not_there(wrong)
    if sum(map(len, found.values())) > MOST_RUNS:
        problem = Problem(field="setting_ids", expected=f"at most {MOST_RUNS:,} runs", fix="Compare fewer settings.")
        raise InvalidRequest("The settings have too many runs.", problems=[problem])
    return found


def _title(name: str, infos: Sequence[SettingInfo], words: Words) -> str:
    owner = next((info for info in infos if name in info.params), infos[0])
    return words.param(owner, name)


def _labels(infos: Sequence[SettingInfo], words: Words) -> dict[int, str]:
    labels = {}
    for info in infos:
        names = differing([one for one in infos if one.method == info.method])
        epsilon = f"\u03b5 = {value_text(info.epsilon)}" if info.epsilon is not None else ""
        parts = [words.method(info.method), epsilon, describe(info, names, words)]
        labels[info.id] = ", ".join(part for part in parts if part)
    return labels


_SPLITS = {"test": 0, "validation": 1, "train": 2}


def _series(
    session: Session, runs: Sequence[Sequence[RunRow]], words: Words
) -> tuple[list[SnapshotSeries], str | None]:
    """Every series of these runs, `runs` per setting; and what had to be left out."""
    ids = [run.id for mine in runs for run in mine]
    place = {run.id: i for i, run in enumerate(run for mine in runs for run in mine)}
    setting = np.repeat(np.arange(len(runs)), [len(mine) for mine in runs]).astype(np.int64)
    starts = np.append(0, np.cumsum([len(mine) for mine in runs])).tolist()
    used: set[int] = set()
    for start in range(0, len(ids), CHUNK):
        part = MeasurementRow.run_id.in_(ids[start : start + CHUNK])
        used.update(session.scalars(select(MeasurementRow.series_id).where(part).distinct()))
    rows = list(session.scalars(select(SeriesRow).where(SeriesRow.id.in_(used))))
    order = {name: i for i, name in enumerate(words.metrics)}
    rows.sort(
        key=lambda row: (
            _SPLITS.get(row.split, 3),
            row.subgroup.count(INTERSECTION),
            order.get(row.metric, len(order)),
            row.metric,
            row.subgroup,
        )
    )
    kept = rows[: max(1, MOST_VALUES // max(1, len(ids)))]
    cut = None
    if len(kept) < len(rows):
        cut = (
            f"{len(kept):,} of {len(rows):,} series are kept, {MOST_VALUES:,} numbers of single runs at most: test "
            "rows come before validation and training rows, and single attributes before intersections."
        )
    at = {row.id: i for i, row in enumerate(kept)}
    values = np.full((len(kept), len(ids)), np.nan)
    counts = np.zeros((len(kept), len(ids)), dtype=np.int64)
    wanted = [row.id for row in kept]
    columns = (MeasurementRow.series_id, MeasurementRow.run_id, MeasurementRow.value, MeasurementRow.n)
    for start in range(0, len(ids), CHUNK):
        query = select(*columns).where(MeasurementRow.run_id.in_(ids[start : start + CHUNK]))
        if cut is not None:
            query = query.where(MeasurementRow.series_id.in_(wanted))
        for series_id, run_id, value, n in session.execute(query.execution_options(yield_per=5000)):
            values[at[series_id], place[run_id]] = np.nan if value is None else value
            counts[at[series_id], place[run_id]] = n or 0
    groups = (np.arange(len(kept))[:, None] * len(runs) + setting[None, :]).ravel()
    mean, low, high, n_seeds = grouped(values.ravel(), groups, len(kept) * len(runs))
    found = []
    for i, row in enumerate(kept):
        cells: list[SnapshotCell | None] = []
        for s in range(len(runs)):
            own = values[i, starts[s] : starts[s + 1]]
            seen = counts[i, starts[s] : starts[s + 1]]
            g = i * len(runs) + s
            if not n_seeds[g]:
                cells.append(None)
                continue
            cells.append(
                SnapshotCell(
                    mean=finite(mean[g]),
                    low=finite(low[g]),
                    high=finite(high[g]),
                    seeds=int(n_seeds[g]),
                    n=int(seen[seen > 0].min()) if (seen > 0).any() else None,
                    values=[finite(one) for one in own],
                )
            )
        if any(cell is not None for cell in cells):
            found.append(SnapshotSeries(metric=row.metric, subgroup=row.subgroup, split=row.split, cells=cells))
    return found, cut


def _setting(
    row: SettingRow,
    info: SettingInfo,
    label: str,
    runs: Sequence[RunRow],
    place: int,
    series: Sequence[SnapshotSeries],
    audits: Mapping[str, Sequence[Audited]],
    words: Words,
) -> SnapshotSetting:
    config = Setting.model_validate(row.config)
    keys = {run.key for run in runs}
    # A run that serves several studies has the same audit in each: it is listed once.
    own = {(one.run, one.audit): one for found in audits.values() for one in found if one.run in keys}
    claims: dict[str, float] = {}
    for one in series:
        cell = one.cells[place]
        of_all = one.subgroup == ALL and one.split == "test" and words.metric(one.metric).kind == "privacy"
        if of_all and cell is not None and cell.mean is not None:
            claims[one.metric] = cell.mean
    versions = {
        "engine": config.engine_version,
        "metrics": config.metrics_version,
        **{f"{kind} {part.name}": part.version for kind, part in config.parts()},
    }
    return SnapshotSetting(
        setting_id=row.id,
        hash=row.hash,
        label=label,
        method=row.method,
        method_title=words.method(row.method),
        epsilon=row.epsilon,
        params=row.params,
        configuration=row.config,
        context=info.context,
        data_hash=config.data_hash,
        versions=versions,
        runs=[
            SnapshotRun(
                id=run.key,
                config_hash=run.config_hash,
                seed=run.seed,
                status=run.status,
                engine=run.engine,
                degenerate=run.degenerate,
                wall_seconds=run.wall_seconds,
                message=run.message,
                finished_at=run.finished_at,
            )
            for run in runs
        ],
        claims=claims,
        audits=[_audit(one) for one in own.values()],
        alarms=_alarms(label, runs, audits, list(own.values())),
        degenerate=2 * sum(run.degenerate for run in runs) >= len(runs),
        diverged=sum(run.status == "diverged" for run in runs),
    )


def _audit(one: Audited) -> SnapshotAudit:
    return SnapshotAudit(
        run_id=one.run,
        audit=one.audit,
        bound=one.bound,
        claim=one.claim,
        p_at_claim=one.p,
        above_claim=_above(one),
    )


def _above(one: Audited) -> bool:
    return one.bound is not None and one.claim is not None and one.bound > one.claim


def _alarms(
    label: str, runs: Sequence[RunRow], audits: Mapping[str, Sequence[Audited]], own: Sequence[Audited]
) -> list[str]:
    """Alarms by the studies' rule; and bounds above the claim that the rule alone does not call refuted."""
    said: dict[str, str] = {}
    for run in runs:
        for found in audits.values():
            alarm = alarm_of_run(found, run.key)
            if alarm is not None:
                said.setdefault(run.key, f"{label}, seed {run.seed}: {alarm}")
    seeds = {run.key: run.seed for run in runs}
    number = sum(len(found) for found in audits.values())
    for one in own:
        if _above(one) and one.run not in said:
            said[one.run] = (
                f"{label}, seed {seeds[one.run]}: the audit's lower bound \u03b5 = {one.bound:.3g} (95 % confidence) "
                f"lies above the claimed {one.claim:.3g}. One in twenty honest audits does so by chance, and there are "
                f"{number}: audit it again before you rely on its privacy."
            )
    return list(said.values())


def _point(session: Session, point_id: str | None, setting_ids: Sequence[int]) -> SnapshotPoint | None:
    if point_id is None:
        return None
    query = select(OperatingPointRow, PersonRow.name).join(PersonRow, PersonRow.id == OperatingPointRow.person_id)
    found = session.execute(query.where(OperatingPointRow.id == point_id)).one_or_none()
    if found is None:
        raise NotFound(f"There is no operating point {point_id!r}.", fix="See the list of operating points.")
    row, person = found
    if row.setting_id not in setting_ids:
        problem = Problem(
            field="operating_point",
            expected="the choice of one of the compared settings",
            got=point_id,
            fix=f"Compare setting {row.setting_id} too.",
        )
        raise InvalidRequest("The operating point is of a setting that is not compared.", problems=[problem])
    return SnapshotPoint(
        id=row.id,
        setting_id=row.setting_id,
        rule=row.rule,
        numbers=row.numbers,
        reason=row.reason,
        person=person,
        created_at=row.created_at,
    )
