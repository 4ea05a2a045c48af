"""Decisions"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


#: What a review froze and what was said of it is not changed and not removed, by no program and no slip of a hand.
_FROZEN = ("id", "title", "person_id", "created_at", "snapshot", "snapshot_hash")
_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the history of a review only grows'); END"
        for table, name, when in (
            ("review_events", "no_update", "UPDATE"),
            ("review_events", "no_delete", "DELETE"),
            ("reviews", "no_update", f"UPDATE OF {', '.join(_FROZEN)}"),
            ("reviews", "no_delete", "DELETE"),
        )
    ],
    "postgresql": [
        "CREATE FUNCTION review_history_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the history of a review only grows'; END $$",
        "CREATE TRIGGER review_events_no_change BEFORE UPDATE OR DELETE ON review_events "
        "FOR EACH ROW EXECUTE FUNCTION review_history_only_grows()",
        f"CREATE TRIGGER reviews_no_change BEFORE DELETE OR UPDATE OF {', '.join(_FROZEN)} ON reviews "
        "FOR EACH ROW EXECUTE FUNCTION review_history_only_grows()",
    ],
}


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_notification", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("name", name=op.f("uq_people_name")),
    )
    op.create_table(
        "links",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("search", sa.JSON(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_links_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("href", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed_on", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_notices_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notices_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_notices_passed_on"), ["passed_on"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_deliveries_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("notice_id", "channel", "target", name=op.f("uq_deliveries_notice_id_channel_target")),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deliveries_next_at"), ["next_at"], unique=False)

    op.create_table(
        "operating_points",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("job_ids", sa.JSON(), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("withdrawn_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_operating_points_person_id")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["people.id"], name=op.f("fk_operating_points_withdrawn_by")),
        sa.ForeignKeyConstraint(["setting_id"], ["settings.id"], name=op.f("fk_operating_points_setting_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operating_points")),
    )
    with op.batch_alter_table("operating_points", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operating_points_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_operating_points_setting_id"), ["setting_id"], unique=False)

    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("snapshot_hash", sa.String(length=64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("head_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_reviews_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reviews_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_reviews_status"), ["status"], unique=False)

    op.create_table(
        "review_events",
        sa.Column("review_id", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_review_events_person_id")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.id"], name=op.f("fk_review_events_review_id")),
        sa.PrimaryKeyConstraint("review_id", "number", name=op.f("pk_review_events")),
    )
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)
    # Never in batch mode: SQLite would make the table anew, and what hangs on the old one would go with it.
    op.add_column("jobs", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("submitter", sa.String(length=100), nullable=True))
    op.add_column("jobs", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_jobs_archived_at"), "jobs", ["archived_at"], unique=False)
    op.create_index(op.f("ix_jobs_size"), "jobs", ["size"], unique=False)
    op.execute("UPDATE jobs SET size = (SELECT count(*) FROM job_runs WHERE job_runs.job_id = jobs.id)")
    for name, length in (("context", 16), ("rest", 16), ("version", 64)):
        op.add_column("settings", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    _fill_settings()


def _fill_settings() -> None:
    """What charts ask of every setting, worked out once from its configuration."""
    settings = sa.table(
        "settings", sa.column("id", sa.BigInteger), sa.column("config", sa.JSON),
        *(sa.column(name, sa.String) for name in ("context", "rest", "version")),
    )  # fmt: skip
    connection = op.get_bind()
    found = connection.execute(sa.select(settings.c.id, settings.c.config)).all()
    rows = [{"at": row_id, **_derived(config)} for row_id, config in found]
    if rows:
        values = {name: sa.bindparam(name) for name in ("context", "rest", "version")}
        connection.execute(settings.update().where(settings.c.id == sa.bindparam("at")).values(values), rows)


def _derived(config: dict[str, Any]) -> dict[str, str]:
    def digest(value: Any) -> str:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    dataset, model, method = (config.get(part, {}) for part in ("dataset", "model", "method"))
    context = {
        "dataset": dataset.get("name"),
        "dataset_params": dataset.get("params"),
        "data_hash": config.get("data_hash"),
        "model": model.get("name"),
        "model_params": model.get("params"),
    }
    params = {name: value for name, value in method.get("params", {}).items() if name != "epsilon"}
    return {
        "context": digest(context),
        "rest": digest({**config, "method": {**method, "params": params}}),
        "version": str(config.get("engine_version", "")),
    }


def downgrade() -> None:
    for name in ("version", "rest", "context"):
        op.drop_column("settings", name)
    op.drop_index(op.f("ix_jobs_size"), "jobs")
    op.drop_index(op.f("ix_jobs_archived_at"), "jobs")
    for name in ("size", "submitter", "archived_at"):
        op.drop_column("jobs", name)

    op.drop_table("review_events")
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reviews_status"))
        batch_op.drop_index(batch_op.f("ix_reviews_created_at"))

    op.drop_table("reviews")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION review_history_only_grows()")
    with op.batch_alter_table("operating_points", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operating_points_setting_id"))
        batch_op.drop_index(batch_op.f("ix_operating_points_created_at"))

    op.drop_table("operating_points")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deliveries_next_at"))

    op.drop_table("deliveries")

    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notices_passed_on"))
        batch_op.drop_index(batch_op.f("ix_notices_person_id"))

    op.drop_table("notices")
    op.drop_table("links")
    op.drop_table("people")
