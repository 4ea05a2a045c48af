"""Runs: trained once, shared by every job that needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session, selectinload

from backend.contracts.results import ALL, FINISHED, Exposed, Roc, RunResult, Series
from backend.contracts.runs import RunConfig, Setting
from backend.errors import NotFound
from backend.store import jobs
from backend.store._sql import CHUNK, decode_positions, encode_cursor, insert_ignore, now
from backend.store.tables import (
    Base,
    ExposedRow,
    HistoryRow,
    JobRow,
    JobRunRow,
    MeasurementRow,
    RocRow,
    RunRow,
    SeriesRow,
    SettingRow,
)

_TABLES = Base.metadata.tables


def flat_params(setting: Setting) -> dict[str, Any]:
    """All parameters of a setting under dotted names, for labels, filters and hover texts."""
    parts = {
        "method": setting.method.params,
        "training": setting.training,
        "model": setting.model.params,
        "dataset": setting.dataset.params,
    }
    return {f"{part}.{name}": value for part, params in parts.items() for name, value in params.items()}


def measured(session: Session, configs: Iterable[RunConfig]) -> int:
    """How many of these runs have a result already."""
    return len(measured_hashes(session, configs))


def measured_hashes(session: Session, configs: Iterable[RunConfig]) -> set[str]:
    """Configuration hashes of those of these runs that have a result already."""
    hashes = [config.hash() for config in configs]
    found: set[str] = set()
    for start in range(0, len(hashes), CHUNK):
        part = hashes[start : start + CHUNK]
        query = select(RunRow.config_hash).where(RunRow.config_hash.in_(part), RunRow.status.in_(FINISHED))
        found.update(session.scalars(query))
    return found


def attach(session: Session, job_id: str, configs: Sequence[RunConfig]) -> None:
    """Makes the job's runs exactly these, creating those that are new and reusing those that exist."""
    settings = {c.setting.hash(): c.setting for c in configs}
    insert_ignore(
        session,
        _TABLES["settings"],
        [
            {
                "hash": digest,
                "dataset": s.dataset.name,
                "model": s.model.name,
                "method": s.method.name,
                "epsilon": s.epsilon(),
                "params": flat_params(s),
                "config": s.model_dump(mode="json"),
                "context": s.context(),
                "rest": s.rest(),
                "version": s.engine_version,
            }
            for digest, s in settings.items()
        ],
    )
    setting_ids = _ids(session, SettingRow.hash, SettingRow.id, list(settings))
    hashes = [c.hash() for c in configs]
    insert_ignore(
        session,
        _TABLES["runs"],
        [
            {
                "key": digest[:20],
                "config_hash": digest,
                "setting_id": setting_ids[c.setting.hash()],
                "seed": c.seed,
                "status": "queued",
                "engine": "",
                "degenerate": False,
                "created_at": now(),
            }
            for digest, c in zip(hashes, configs, strict=True)
        ],
    )
    run_ids = _ids(session, RunRow.config_hash, RunRow.id, hashes)
    done: set[str] = set()
    for start in range(0, len(hashes), CHUNK):
        part = hashes[start : start + CHUNK]
        done.update(
            session.scalars(select(RunRow.config_hash).where(RunRow.config_hash.in_(part), RunRow.status.in_(FINISHED)))
        )
    session.execute(delete(JobRunRow).where(JobRunRow.job_id == job_id))
    rows = [
        {"job_id": job_id, "run_id": run_ids[digest], "position": position, "reused": digest in done}
        for position, digest in enumerate(dict.fromkeys(hashes))
    ]
    insert_ignore(session, _TABLES["job_runs"], rows)
    session.execute(update(JobRow).where(JobRow.id == job_id).values(size=len(rows)))
    failed = [run_ids[digest] for digest in hashes if digest not in done]
    for start in range(0, len(failed), CHUNK):
        # A run that failed or was cancelled under an earlier job gets another chance.
        session.execute(
            update(RunRow)
            .where(RunRow.id.in_(failed[start : start + CHUNK]), RunRow.status.in_(("failed", "cancelled")))
            .values(status="queued", message=None)
        )


def _ids(session: Session, key: Any, value: Any, wanted: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.execute(select(key, value).where(key.in_(wanted[start : start + CHUNK])))
        found.update({row[0]: row[1] for row in rows})
    return found


def pending(session: Session, job_id: str) -> list[RunConfig]:
    """The job's runs without a result, in the job's order."""
    query = (
        select(RunRow)
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id, RunRow.status.in_(("queued", "running")))
        .order_by(JobRunRow.position)
    )
    parsed: dict[int, Setting] = {}
    configs = []
    for run in session.scalars(query):
        if run.setting_id not in parsed:
            parsed[run.setting_id] = Setting.model_validate(run.setting.config)
        configs.append(RunConfig(setting=parsed[run.setting_id], seed=run.seed))
    return configs


def claim(session: Session, job_id: str, attempt: int, keys: Sequence[str]) -> set[str]:
    """Takes these runs for the job; answers those that it now holds.

    A run that another job trains at this moment stays that job's; one whose job ended or moved to a later
    attempt is free.
    """
    jobs.fence(session, job_id, attempt)
    alive = (
        select(JobRow.id)
        .where(JobRow.id == RunRow.claimed_by, JobRow.status == "running", JobRow.attempt == RunRow.claimed_attempt)
        .exists()
    )
    held: set[str] = set()
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        session.execute(
            update(RunRow)
            .where(
                RunRow.key.in_(part),
                or_(
                    RunRow.status == "queued",
                    and_(RunRow.status == "running", or_(RunRow.claimed_by == job_id, ~alive)),
                ),
            )
            .values(status="running", claimed_by=job_id, claimed_attempt=attempt)
            .execution_options(synchronize_session=False)
        )
        held.update(
            session.scalars(
                select(RunRow.key).where(
                    RunRow.key.in_(part),
                    RunRow.status == "running",
                    RunRow.claimed_by == job_id,
                    RunRow.claimed_attempt == attempt,
                )
            )
        )
    return held


def write_result(session: Session, job_id: str, attempt: int, result: RunResult) -> bool:
    """Stores all of a run's results at once, if this attempt owns the job and the run has none yet.

    Returns False where the run was finished already: its first result stands.
    """
    jobs.fence(session, job_id, attempt)
    run = session.scalar(select(RunRow).where(RunRow.key == result.key).with_for_update(of=RunRow))
    if run is None or run.status in FINISHED:
        return False
    run.status = result.status
    run.engine = result.engine
    run.wall_seconds = result.wall_seconds
    run.degenerate = result.degenerate
    run.message = result.message
    run.finished_at = now()
    run.claimed_by = None
    run.claimed_attempt = None
    for table in (MeasurementRow, HistoryRow, RocRow, ExposedRow):
        session.execute(delete(table).where(table.run_id == run.id))
    series = _series_ids(session, {(m.metric, m.subgroup, m.split) for m in result.measurements})
    if result.measurements:
        session.execute(
            insert(MeasurementRow),
            [
                {
                    "series_id": series[m.metric, m.subgroup, m.split],
                    "run_id": run.id,
                    "value": m.value,
                    "n": m.n,
                    "low": m.low,
                    "high": m.high,
                }
                for m in result.measurements
            ],
        )
    session.add_all(
        HistoryRow(
            run_id=run.id, name=h.name, unit=h.unit, steps=h.steps,
            values={ALL: h.values, **h.groups} if h.groups else h.values,
        )
        for h in result.history
    )  # fmt: skip
    session.add_all(RocRow(run_id=run.id, **roc.model_dump()) for roc in result.rocs)
    session.add_all(ExposedRow(run_id=run.id, **one.model_dump()) for one in result.exposed)
    jobs.add_event(session, job_id, "run", {"run_id": result.key, "status": result.status})
    return True


def failures(session: Session, job_id: str, limit: int = 10) -> list[str]:
    """What the job's failed runs say, in the job's order."""
    query = (
        select(RunRow.message)
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id, RunRow.status == "failed", RunRow.message.is_not(None))
        .order_by(JobRunRow.position)
        .limit(limit)
    )
    return [str(message) for message in session.scalars(query)]


def _series_ids(session: Session, wanted: set[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
    def known() -> dict[tuple[str, str, str], int]:
        metrics = {metric for metric, _, _ in wanted}
        rows = session.scalars(select(SeriesRow).where(SeriesRow.metric.in_(metrics)))
        return {(row.metric, row.subgroup, row.split): row.id for row in rows}

    found = known()
    missing = wanted - found.keys()
    if missing:
        rows = [{"metric": m, "subgroup": g, "split": s} for m, g, s in sorted(missing)]
        insert_ignore(session, _TABLES["series"], rows)
        found = known()
    return found


def get(session: Session, key: str) -> RunRow:
    """The run by its public id, or `NotFound`."""
    run = session.scalar(select(RunRow).where(RunRow.key == key))
    if run is None:
        raise NotFound(f"There is no run {key!r}.", fix="It may have been deleted with its study.")
    return run


def jobs_of(session: Session, run_id: int) -> list[str]:
    """Jobs that use this run."""
    query = select(JobRunRow.job_id).join(JobRow, JobRow.id == JobRunRow.job_id).where(JobRunRow.run_id == run_id)
    return list(session.scalars(query.order_by(JobRow.created_at)))


def page(
    session: Session,
    job_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    method: str | None = None,
    status: str | None = None,
) -> tuple[list[tuple[RunRow, bool]], str | None]:
    """Runs of a job in its order, each with whether it was reused."""
    query = (
        select(RunRow, JobRunRow.reused, JobRunRow.position)
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id)
        # Their settings at once, and without the whole configuration, which lists do not show.
        .options(selectinload(RunRow.setting).load_only(SettingRow.method, SettingRow.epsilon, SettingRow.params))
    )
    if method:
        query = query.join(SettingRow, SettingRow.id == RunRow.setting_id).where(SettingRow.method == method)
    if status:
        query = query.where(RunRow.status == status)
    if cursor:
        (position,) = decode_positions(cursor, 1)
        query = query.where(JobRunRow.position > position)
    rows = session.execute(query.order_by(JobRunRow.position).limit(limit + 1)).all()
    following = encode_cursor(rows[limit - 1].position) if len(rows) > limit else None
    return [(row[0], row[1]) for row in rows[:limit]], following


def status_counts(session: Session, job_id: str) -> dict[int, dict[str, int]]:
    """Per setting of a job: how many runs are in each status."""
    query = (
        select(RunRow.setting_id, RunRow.status, func.count())
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id)
        .group_by(RunRow.setting_id, RunRow.status)
    )
    found: dict[int, dict[str, int]] = {}
    for setting, status, count in session.execute(query):
        found.setdefault(setting, {})[status] = int(count)
    return found


def settings_of_budget(session: Session, job_id: str, epsilon: float) -> list[tuple[Setting, int]]:
    """Settings of a job that ask for this epsilon, each with how many of its runs were trained, however that went."""
    query = (
        select(SettingRow, func.count())
        .join(RunRow, RunRow.setting_id == SettingRow.id)
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(
            JobRunRow.job_id == job_id,
            SettingRow.epsilon == epsilon,
            RunRow.status.in_((*FINISHED, "failed")),
        )
        .group_by(SettingRow.id)
        .order_by(SettingRow.id)
    )
    return [(Setting.model_validate(row.config), int(count)) for row, count in session.execute(query)]


def setting_params(session: Session, job_id: str) -> dict[int, tuple[int, str, dict[str, Any]]]:
    """Per setting of a job: its first place in the job's order, its method and its flat parameters."""
    query = (
        select(RunRow.setting_id, func.min(JobRunRow.position))
        .join(JobRunRow, JobRunRow.run_id == RunRow.id)
        .where(JobRunRow.job_id == job_id)
        .group_by(RunRow.setting_id)
    )
    places = {setting: int(position) for setting, position in session.execute(query)}
    used = select(RunRow.setting_id).join(JobRunRow, JobRunRow.run_id == RunRow.id).where(JobRunRow.job_id == job_id)
    rows = session.execute(select(SettingRow.id, SettingRow.method, SettingRow.params).where(SettingRow.id.in_(used)))
    return {setting: (places[setting], method, params) for setting, method, params in rows}


def history(session: Session, run_id: int) -> list[Series]:
    """Quantities along the run's training."""
    rows = session.scalars(select(HistoryRow).where(HistoryRow.run_id == run_id).order_by(HistoryRow.name))
    return [_series(row) for row in rows]


def histories(session: Session, run_ids: Sequence[int], name: str) -> list[tuple[int, Series]]:
    """One quantity along the training of these runs, each with the run's row id."""
    return histories_of(session, run_ids, [name])


def histories_of(session: Session, run_ids: Sequence[int], names: Sequence[str]) -> list[tuple[int, Series]]:
    """Several quantities along the training of these runs, each with the run's row id."""
    rows = session.scalars(select(HistoryRow).where(HistoryRow.run_id.in_(run_ids), HistoryRow.name.in_(names)))
    return [(row.run_id, _series(row)) for row in rows]


def _series(row: HistoryRow) -> Series:
    groups = dict(row.values) if isinstance(row.values, dict) else {ALL: row.values}
    return Series(name=row.name, unit=row.unit, steps=row.steps, values=groups.pop(ALL), groups=groups)


def history_names(session: Session, run_ids: Sequence[int]) -> list[str]:
    """Quantities that any of these runs has a history of."""
    query = select(HistoryRow.name).where(HistoryRow.run_id.in_(run_ids)).distinct().order_by(HistoryRow.name)
    return list(session.scalars(query))


def roc_attacks(session: Session, run_ids: Sequence[int]) -> list[str]:
    """Attacks of which any of these runs has a ROC curve."""
    query = select(RocRow.attack).where(RocRow.run_id.in_(run_ids)).distinct().order_by(RocRow.attack)
    return list(session.scalars(query))


def rocs(
    session: Session, run_ids: Sequence[int], *, attack: str | None = None, subgroup: str | None = None
) -> list[tuple[int, Roc]]:
    """ROC curves of these runs, each with the run's row id."""
    query = select(RocRow).where(RocRow.run_id.in_(run_ids))
    if attack:
        query = query.where(RocRow.attack == attack)
    if subgroup:
        query = query.where(RocRow.subgroup == subgroup)
    return [
        (
            r.run_id,
            Roc(
                attack=r.attack, subgroup=r.subgroup, fpr=r.fpr, tpr=r.tpr, members=r.members, non_members=r.non_members
            ),
        )
        for r in session.scalars(query.order_by(RocRow.run_id, RocRow.attack, RocRow.subgroup))
    ]


def exposed(session: Session, run_id: int) -> list[Exposed]:
    """What each attack with shadow models says of single records of the run."""
    rows = session.scalars(select(ExposedRow).where(ExposedRow.run_id == run_id).order_by(ExposedRow.attack))
    return [Exposed(**{field: getattr(row, field) for field in Exposed.model_fields}) for row in rows]


def attack_statements(session: Session, run_ids: Sequence[int], attack: str | None) -> dict[int, tuple[int, str]]:
    """What is to be said of an attack, or any, on these runs, by row id: its shadow models (0: no figures), and why."""
    query = select(ExposedRow.run_id, ExposedRow.models, ExposedRow.statement).where(
        ExposedRow.run_id.in_(run_ids), ExposedRow.statement.is_not(None)
    )
    if attack is not None:
        query = query.where(ExposedRow.attack == attack)
    return {run: (int(models), str(statement)) for run, models, statement in session.execute(query)}


def mean_seconds(session: Session, limit: int = 2000) -> list[tuple[Setting, float]]:
    """Settings of the latest trained runs with their wall time in seconds: what estimates of cost stand on."""
    rows = session.scalars(
        select(RunRow).where(RunRow.wall_seconds.is_not(None)).order_by(RunRow.finished_at.desc()).limit(limit)
    )
    parsed: dict[int, Setting] = {}
    answer = []
    for run in rows:
        if run.setting_id not in parsed:
            parsed[run.setting_id] = Setting.model_validate(run.setting.config)
        answer.append((parsed[run.setting_id], float(run.wall_seconds or 0.0)))
    return answer


def elapsed_ratios(session: Session, limit: int = 10, without_attacks: Collection[str] = ()) -> list[float]:
    """Of the latest jobs that went through at the first attempt: time they took / sum of their runs' training times.

    It holds what training times alone do not: how many runs a worker trains at once, evaluation, and attacks. Jobs
    with one of `without_attacks`, which train models that are no runs, are left out.
    """
    trained = (
        select(JobRow.id, JobRow.started_at, JobRow.finished_at, func.sum(RunRow.wall_seconds).label("seconds"))
        .join(JobRunRow, JobRunRow.job_id == JobRow.id)
        .join(RunRow, RunRow.id == JobRunRow.run_id)
        .where(JobRow.status == "succeeded", JobRow.attempt == 1, JobRunRow.reused.is_(False))
        .group_by(JobRow.id, JobRow.started_at, JobRow.finished_at)
        .having(func.count() >= 4)
        .order_by(JobRow.finished_at.desc())
        .limit(10 * limit)
    )
    found = session.execute(trained).all()
    named = select(JobRow).where(JobRow.id.in_([row.id for row in found]))
    asked = {job.id: {one["name"] for one in job.spec["evaluation"]["attacks"]} for job in session.scalars(named)}
    return [
        (finished - started).total_seconds() / seconds
        for job_id, started, finished, seconds in found
        if started is not None and finished is not None and seconds
        if asked[job_id].isdisjoint(without_attacks)
    ][:limit]
