"""Workers, their catalogue, and the leases of duties that one process at a time holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from backend.contracts.catalogue import Catalogue
from backend.errors import CatalogueMissing
from backend.store._sql import insert_ignore, now
from backend.store.tables import Base, CatalogueRow, JobRow, LeaseRow, WorkerRow


def database_now(session: Session) -> datetime:
    """The database's clock: the one that all hosts share."""
    if session.get_bind().dialect.name == "sqlite":
        return now()  # One machine, one clock.
    moment: datetime = session.execute(select(func.now())).scalar_one()
    return moment


def register(
    session: Session, worker_id: str, *, host: str, pid: int, device: str, queues: Sequence[str], catalogue: str | None
) -> None:
    """Announces a worker process, or announces it again."""
    moment = database_now(session)
    row = session.get(WorkerRow, worker_id) or WorkerRow(id=worker_id)
    row.host, row.pid, row.device, row.queues = host, pid, device, list(queues)
    row.catalogue_version = catalogue
    row.started_at, row.heartbeat_at, row.stopped_at = moment, moment, None
    session.add(row)


def heartbeat(session: Session, worker_id: str) -> None:
    """Says that the worker is alive."""
    session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(heartbeat_at=database_now(session)))


def stop(session: Session, worker_id: str) -> None:
    """Says that the worker ended in order."""
    session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(stopped_at=database_now(session)))


def all_workers(session: Session) -> list[WorkerRow]:
    """Every worker ever heard of, latest first."""
    return list(session.scalars(select(WorkerRow).order_by(WorkerRow.heartbeat_at.desc())))


def online(session: Session, timeout_seconds: float) -> list[WorkerRow]:
    """Workers heard of within the timeout."""
    since = database_now(session) - timedelta(seconds=timeout_seconds)
    query = select(WorkerRow).where(WorkerRow.stopped_at.is_(None), WorkerRow.heartbeat_at >= since)
    return list(session.scalars(query))


def jobs_of_gone_workers(session: Session, timeout_seconds: float) -> list[JobRow]:
    """Running jobs whose worker is stopped or has not been heard of within the timeout."""
    since = database_now(session) - timedelta(seconds=timeout_seconds)
    gone = select(WorkerRow.id).where(or_(WorkerRow.stopped_at.is_not(None), WorkerRow.heartbeat_at < since))
    return list(session.scalars(select(JobRow).where(JobRow.status == "running", JobRow.worker_id.in_(gone))))


def publish_catalogue(session: Session, catalogue: Catalogue) -> None:
    """Stores what this worker's code can do and makes it the one that submissions are validated against."""
    body = catalogue.model_dump(mode="json")
    insert_ignore(
        session,
        Base.metadata.tables["catalogue"],
        [{"version": catalogue.version, "body": body, "published_at": now()}],
    )
    session.execute(
        update(CatalogueRow).where(CatalogueRow.version == catalogue.version).values(published_at=now(), body=body)
    )


def catalogue_version(session: Session) -> str | None:
    """Version of the newest catalogue, or None."""
    return session.scalar(select(CatalogueRow.version).order_by(CatalogueRow.published_at.desc()).limit(1))


def catalogue(session: Session) -> Catalogue:
    """The newest catalogue, or `CatalogueMissing`."""
    body = session.scalar(select(CatalogueRow.body).order_by(CatalogueRow.published_at.desc()).limit(1))
    if body is None:
        raise CatalogueMissing(
            "No worker has said yet what it can train.",
            fix="Wait a few seconds for the local worker, or start one with `equipoise worker`.",
        )
    return Catalogue.model_validate(body)


def catalogue_of_engine(session: Session, engine_version: str) -> Catalogue | None:
    """The newest catalogue of that engine version, None where no worker of it ever published here."""
    query = select(CatalogueRow.body).order_by(CatalogueRow.published_at.desc())
    for body in session.scalars(query):
        if body.get("engine_version") == engine_version:
            return Catalogue.model_validate(body)
    return None


def acquire_lease(session: Session, name: str, holder: str, seconds: float) -> bool:
    """Takes or renews a duty; False while somebody else holds it."""
    moment = database_now(session)
    insert_ignore(session, Base.metadata.tables["leases"], [{"name": name, "holder": holder, "expires_at": moment}])
    taken = session.execute(
        update(LeaseRow)
        .where(LeaseRow.name == name, or_(LeaseRow.holder == holder, LeaseRow.expires_at <= moment))
        .values(holder=holder, expires_at=moment + timedelta(seconds=seconds))
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]
