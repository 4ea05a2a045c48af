"""The database's tables.

jobs --< job_runs >-- runs >-- settings         a run may serve several jobs: it is trained once
runs --< measurements >-- series                one number of one run; a series is (metric, subgroup, split)
runs --< histories, rocs, exposed               arrays, one row each
jobs --< job_events                             what the event stream replays
workers, catalogue                              who is there and what they can do
people --< reviews --< review_events            what a team decides: a snapshot and its history, which only grows
people --< operating_points, links              a setting that somebody chose, with the reason; a view that was kept
notices, deliveries                             what people are told, and what still has to leave by webhook or mail

Measurements are clustered by (series, run): one axis of a chart over any number of runs is one range scan.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC on the way in and out; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Stores UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """Gives an aware datetime."""
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed so that migrations can name them."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, datetime: UtcDateTime}


Base.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class JobRow(Base):
    """A submitted study. `attempt` is the fence: writes of an older attempt change nothing."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16), index=True)
    spec: Mapped[dict[str, Any]]
    dataset: Mapped[str] = mapped_column(String(64), index=True)
    model: Mapped[str] = mapped_column(String(64))
    methods: Mapped[list[Any]]
    tags: Mapped[list[Any]]
    preset: Mapped[str | None] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    submission: Mapped[int] = mapped_column(default=0, doc="How often it was put on the queue: 0, then 1 per retry.")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    worker_id: Mapped[str | None] = mapped_column(String(64), index=True)
    progress: Mapped[dict[str, Any]]
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    archived_at: Mapped[datetime | None] = mapped_column(index=True, doc="Since when lists leave it out.")
    submitter: Mapped[str | None] = mapped_column(String(100), doc="Name of who submitted it, if they said so.")
    size: Mapped[int] = mapped_column(default=0, index=True, doc="Its runs, counted when they were attached.")


class SettingRow(Base):
    """Everything of a run but its seed."""

    __tablename__ = "settings"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    dataset: Mapped[str] = mapped_column(String(64), index=True)
    model: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(64), index=True)
    epsilon: Mapped[float | None]
    params: Mapped[dict[str, Any]] = mapped_column(doc="Flat: method.*, training.*, model.*, dataset.*.")
    config: Mapped[dict[str, Any]] = mapped_column(doc="contracts.runs.Setting.")
    context: Mapped[str] = mapped_column(String(16), server_default="", doc="Equal on the same data and model.")
    rest: Mapped[str] = mapped_column(String(16), server_default="", doc="Equal but for epsilon.")
    version: Mapped[str] = mapped_column(String(64), server_default="", doc="Of the code that trains.")


class RunRow(Base):
    """One training: a setting and a seed. `config_hash` is its identity."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(20), unique=True)
    config_hash: Mapped[str] = mapped_column(String(64), unique=True)
    setting_id: Mapped[int] = mapped_column(ForeignKey("settings.id"), index=True)
    seed: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), index=True)
    claimed_by: Mapped[str | None] = mapped_column(String(32), doc="Job that trains it now.")
    claimed_attempt: Mapped[int | None]
    engine: Mapped[str] = mapped_column(String(64), default="")
    wall_seconds: Mapped[float | None]
    degenerate: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)

    setting: Mapped[SettingRow] = relationship(lazy="joined", innerjoin=True)


class JobRunRow(Base):
    """A run that a job needs, in the job's order."""

    __tablename__ = "job_runs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    position: Mapped[int]
    reused: Mapped[bool] = mapped_column(default=False, doc="It was measured before this job asked for it.")

    __table_args__ = (Index("ix_job_runs_run_id", "run_id"), {"sqlite_with_rowid": False})


class SeriesRow(Base):
    """What a column of numbers means: metric, subgroup and split."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    metric: Mapped[str] = mapped_column(String(64))
    subgroup: Mapped[str] = mapped_column(String(300))
    split: Mapped[str] = mapped_column(String(16))

    __table_args__ = (UniqueConstraint("metric", "subgroup", "split"),)


class MeasurementRow(Base):
    """One number of one run."""

    __tablename__ = "measurements"

    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), primary_key=True, autoincrement=False)
    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    value: Mapped[float | None] = mapped_column(Float)
    n: Mapped[int | None]
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)

    __table_args__ = (Index("ix_measurements_run_id", "run_id"), {"sqlite_with_rowid": False})


class HistoryRow(Base):
    """A quantity along one run's training: `values` are a list, or one for each subgroup by its name, `all` among them.

    One row for all subgroups: they are written, and read, together.
    """

    __tablename__ = "histories"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    unit: Mapped[str] = mapped_column(String(32), default="")
    steps: Mapped[list[Any]]
    values: Mapped[list[Any] | dict[str, Any]] = mapped_column(JSON)


class RocRow(Base):
    """ROC of one attack on one subgroup of one run."""

    __tablename__ = "rocs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attack: Mapped[str] = mapped_column(String(64), primary_key=True)
    subgroup: Mapped[str] = mapped_column(String(300), primary_key=True)
    fpr: Mapped[list[Any]]
    tpr: Mapped[list[Any]]
    members: Mapped[int]
    non_members: Mapped[int]


class ExposedRow(Base):
    """What one attack says of single training rows of one run, as places in the table, or why it has no figures."""

    __tablename__ = "exposed"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attack: Mapped[str] = mapped_column(String(64), primary_key=True)
    models: Mapped[int]
    left_out: Mapped[int]
    unscored: Mapped[int]
    statement: Mapped[str | None] = mapped_column(Text)
    records: Mapped[list[Any]] = mapped_column(doc="contracts.results.ExposedRecord, the most exposed first.")


class JobEventRow(Base):
    """One entry of a job's event stream; `id` is what Last-Event-ID names."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(16))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_job_events_job_id_id", "job_id", "id"), {"sqlite_autoincrement": True})


class WorkerRow(Base):
    """A worker process; the heartbeat is by the database's clock."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(64))
    queues: Mapped[list[Any]]
    catalogue_version: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]


class CatalogueRow(Base):
    """The catalogue that the newest worker published; one row per version, the newest wins."""

    __tablename__ = "catalogue"

    version: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[dict[str, Any]]
    published_at: Mapped[datetime] = mapped_column(index=True)


class LeaseRow(Base):
    """A duty that one process at a time holds, such as reaping the jobs of gone workers."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]


class PersonRow(Base):
    """Somebody who comments, chooses or decides. On a server without accounts the name is what the person said."""

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[datetime]
    seen_notification: Mapped[int] = mapped_column(
        BigInteger, default=0, doc="The newest one that the person has seen."
    )


class LinkRow(Base):
    """A view under a short address: page, its search parameters, and the moment as of which results are drawn."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    path: Mapped[str] = mapped_column(String(200))
    search: Mapped[dict[str, Any]]
    as_of: Mapped[datetime]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime]


class OperatingPointRow(Base):
    """A setting that somebody chose under stated constraints: who, when, why, and the numbers that were seen."""

    __tablename__ = "operating_points"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    job_ids: Mapped[list[Any]]
    setting_id: Mapped[int] = mapped_column(ForeignKey("settings.id"), index=True)
    rule: Mapped[dict[str, Any]] = mapped_column(doc="Constraints and objectives.")
    numbers: Mapped[dict[str, Any]] = mapped_column(doc="What was measured of the setting when it was chosen.")
    reason: Mapped[str] = mapped_column(Text)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime] = mapped_column(index=True)
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    withdrawn_because: Mapped[str | None] = mapped_column(Text)


class ReviewRow(Base):
    """A team's frozen comparison. The snapshot never changes; all that is said of it are events.

    `events` and `head_hash` name the last event, so that a history that lost its end is noticed.
    """

    __tablename__ = "reviews"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime] = mapped_column(index=True)
    snapshot: Mapped[dict[str, Any]]
    snapshot_hash: Mapped[str] = mapped_column(String(64))
    events: Mapped[int] = mapped_column(default=0)
    head_hash: Mapped[str] = mapped_column(String(64))


class ReviewEventRow(Base):
    """One entry of a review's history. `hash` covers the entry and `previous`, the hash of the one before."""

    __tablename__ = "review_events"

    review_id: Mapped[str] = mapped_column(ForeignKey("reviews.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(32))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class NotificationRow(Base):
    """What a person is told in the page; without a person, everybody."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(Text)
    href: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime]
    passed_on: Mapped[bool] = mapped_column(default=False, index=True, doc="Its deliveries are in the outbox.")


class DeliveryRow(Base):
    """A notification on its way out of the server; tried again until it arrives or is given up."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    notice_id: Mapped[int] = mapped_column(ForeignKey("notices.id"))
    channel: Mapped[str] = mapped_column(String(16), doc="webhook or email")
    target: Mapped[str] = mapped_column(String(500), doc="An address, or which configured webhook: never its URL.")
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(index=True, doc="When it is tried next; None: it is over.")
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("notice_id", "channel", "target"),)
