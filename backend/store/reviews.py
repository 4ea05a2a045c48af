"""Reviews: a row, a frozen snapshot, and a history that only grows.

Nothing here edits or removes an entry, and triggers in the database refuse it (migration 0003).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from backend.contracts.results import FINISHED
from backend.contracts.review_history import Entry, Header, State, entry_hash, fold, verify
from backend.contracts.reviews import EventType, Snapshot, Verification
from backend.contracts.runs import canonical_hash
from backend.errors import Conflict, NotFound
from backend.store import notifications, people
from backend.store._sql import decode_cursor, decode_positions, encode_cursor, malformed_cursor, now
from backend.store.tables import JobRow, JobRunRow, PersonRow, ReviewEventRow, ReviewRow, RunRow, SettingRow

#: Kind of the notification that new results have arrived.
NEW_RESULTS = "review_new_results"


@dataclass(frozen=True)
class Draft:
    """An entry before it is written."""

    type: EventType
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """A review as it is stored. The snapshot is None where it can no longer be read."""

    header: Header
    snapshot: Any
    entries: list[Entry]
    state: State

    def verification(self, head: str | None = None) -> Verification:
        """Recomputes every hash."""
        return verify(self.header, self.snapshot, self.entries, head)


def href(review_id: str) -> str:
    """Its page."""
    return f"/reviews/{review_id}"


def _json(text: str) -> Any:
    # Read as text: what somebody made of it by hand need not be JSON.
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_HEADER = (
    ReviewRow.id,
    ReviewRow.title,
    PersonRow.name,
    ReviewRow.created_at,
    ReviewRow.status,
    ReviewRow.snapshot_hash,
    ReviewRow.events,
    ReviewRow.head_hash,
)


def create(session: Session, author: str, snapshot: Snapshot, draft: Draft) -> None:
    """Stores the snapshot and the first entry."""
    person = people.named(session, author)
    body = snapshot.model_dump(mode="json")
    digest = canonical_hash(body)
    session.execute(
        insert(ReviewRow).values(
            id=snapshot.review_id,
            title=snapshot.title,
            status="open",
            person_id=person.id,
            created_at=snapshot.moment,
            snapshot=body,
            snapshot_hash=digest,
            events=0,
            head_hash=digest,
        )
    )
    _append(session, snapshot.review_id, author, draft, 0, digest)


def _append(session: Session, review_id: str, person: str, draft: Draft, events: int, previous: str) -> Entry:
    moment = now()
    data = dict(draft.data)
    digest = entry_hash(review_id, events + 1, draft.type, person, moment, data, previous)
    session.execute(
        insert(ReviewEventRow).values(
            review_id=review_id,
            number=events + 1,
            type=draft.type,
            person_id=people.named(session, person).id,
            created_at=moment,
            data=data,
            previous=previous,
            hash=digest,
        )
    )
    session.execute(update(ReviewRow).where(ReviewRow.id == review_id).values(events=events + 1, head_hash=digest))
    return Entry(events + 1, draft.type, person, moment, data, previous, digest)


def load(session: Session, review_id: str, *, lock: bool = False) -> Loaded:
    """The review whole, or `NotFound`. With `lock` nobody else appends until the transaction ends."""
    if lock:
        # On SQLite the transaction itself is the lock.
        session.execute(select(ReviewRow.id).where(ReviewRow.id == review_id).with_for_update())
    query = select(*_HEADER, cast(ReviewRow.snapshot, Text)).join(PersonRow, PersonRow.id == ReviewRow.person_id)
    row = session.execute(query.where(ReviewRow.id == review_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no review {review_id!r}.", fix="See the list of reviews.")
    entries = _entries(session, [review_id]).get(review_id, [])
    return Loaded(Header(*row[:8]), _json(row[8]), entries, fold(entries))


def _entries(
    session: Session,
    review_ids: Sequence[str],
    *,
    types: Sequence[str] = (),
    after: int = 0,
    limit: int | None = None,
) -> dict[str, list[Entry]]:
    query = (
        select(
            ReviewEventRow.review_id,
            ReviewEventRow.number,
            ReviewEventRow.type,
            PersonRow.name,
            ReviewEventRow.created_at,
            cast(ReviewEventRow.data, Text),
            ReviewEventRow.previous,
            ReviewEventRow.hash,
        )
        .join(PersonRow, PersonRow.id == ReviewEventRow.person_id)
        .where(ReviewEventRow.review_id.in_(review_ids), ReviewEventRow.number > after)
        .order_by(ReviewEventRow.review_id, ReviewEventRow.number)
    )
    if types:
        query = query.where(ReviewEventRow.type.in_(types))
    if limit is not None:
        query = query.limit(limit)
    found: dict[str, list[Entry]] = {}
    for review_id, number, type_, person, at, data, previous, digest in session.execute(query):
        found.setdefault(review_id, []).append(Entry(number, type_, person, at, _json(data), previous, digest))
    return found


def append(session: Session, review_id: str, person: str, command: Callable[[Loaded], Draft]) -> Loaded:
    """Adds an entry that `command` makes of the review as it is; two at once go one after the other.

    Raises `Conflict` where the review was altered outside of it: a history that is broken takes no more entries, so
    that it stays the evidence it is. Answers the review as it is afterwards.
    """
    loaded = load(session, review_id, lock=True)
    verification = loaded.verification()
    if not verification.intact:
        raise Conflict(
            f"Nothing can be added: {verification.sentence}", fix="Find out who altered it, and make a new review."
        )
    draft = command(loaded)
    header = loaded.header
    entry = _append(session, review_id, person, draft, header.events, header.head_hash)
    entries = [*loaded.entries, entry]
    state = fold(entries)
    if state.status() != header.status:
        session.execute(update(ReviewRow).where(ReviewRow.id == review_id).values(status=state.status()))
    after = Header(
        header.id,
        header.title,
        header.author,
        header.created_at,
        state.status(),
        header.snapshot_hash,
        entry.number,
        entry.hash,
    )
    return Loaded(after, loaded.snapshot, entries, state)


def events(session: Session, review_id: str, *, limit: int, cursor: str | None) -> tuple[list[Entry], str | None]:
    """A page of the history, oldest first."""
    (after,) = decode_positions(cursor, 1) if cursor else (0,)
    rows = _entries(session, [review_id], after=after, limit=limit + 1).get(review_id, [])
    following = encode_cursor(rows[limit - 1].number) if len(rows) > limit else None
    return rows[:limit], following


#: Entries that say who takes part and what was decided.
_ROLES = ("opened", "member_set", "member_removed", "decided", "withdrew", "task_created", "rated", "task_closed")


def page(
    session: Session, *, status: Sequence[str] = (), text: str | None = None, limit: int, cursor: str | None = None
) -> tuple[list[tuple[Header, State]], str | None]:
    """Newest first, without snapshots and comments."""
    query = select(*_HEADER).join(PersonRow, PersonRow.id == ReviewRow.person_id)
    if status:
        query = query.where(ReviewRow.status.in_(status))
    if text:
        pattern = "%" + text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(or_(func.lower(ReviewRow.title).like(pattern, escape="\\"), ReviewRow.id == text))
    if cursor:
        created, review_id = decode_cursor(cursor, 2)
        query = query.where(tuple_(ReviewRow.created_at, ReviewRow.id) < (_moment(cursor, created), str(review_id)))
    rows = session.execute(query.order_by(ReviewRow.created_at.desc(), ReviewRow.id.desc()).limit(limit + 1)).all()
    headers = [Header(*row) for row in rows[:limit]]
    following = encode_cursor(headers[-1].created_at, headers[-1].id) if len(rows) > limit else None
    found = _entries(session, [header.id for header in headers], types=_ROLES)
    return [(header, fold(found.get(header.id, []))) for header in headers], following


def _moment(cursor: str, text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise malformed_cursor(cursor) from error
    if moment.tzinfo is None:
        raise malformed_cursor(cursor)
    return moment


# --- what happened since ----------------------------------------------------------------------------------------------


def newer_runs(
    session: Session, job_ids: Sequence[str], setting_hashes: Sequence[str], since: datetime, limit: int = 50
) -> tuple[int, int, list[str]]:
    """Runs of these studies and settings that ended after a moment: all, those of the settings, the first keys."""
    of_setting = SettingRow.hash.in_(setting_hashes)
    of_jobs = RunRow.id.in_(select(JobRunRow.run_id).where(JobRunRow.job_id.in_(job_ids)))
    query = (
        select(RunRow.key, of_setting)
        .join(SettingRow, SettingRow.id == RunRow.setting_id)
        .where(or_(of_setting, of_jobs), RunRow.finished_at > since, RunRow.status.in_(FINISHED))
    )
    part = query.subquery()
    total = session.scalar(select(func.count()).select_from(part)) or 0
    matching = session.scalar(select(func.count()).select_from(part).where(part.c[1])) or 0
    keys = [row[0] for row in session.execute(query.order_by(of_setting.desc(), RunRow.finished_at).limit(limit))]
    return total, matching, keys


def existing_jobs(session: Session, job_ids: Sequence[str]) -> set[str]:
    """Which of these studies are still there."""
    return set(session.scalars(select(JobRow.id).where(JobRow.id.in_(job_ids))))


_MEMBERS = ("opened", "member_set", "member_removed")


def announce(session: Session, job_id: str) -> None:
    """Tells the members of reviews that this study brought new results to, once per review."""
    settings = select(RunRow.setting_id).join(JobRunRow, JobRunRow.run_id == RunRow.id)
    mine = set(session.scalars(settings.where(JobRunRow.job_id == job_id).distinct()))
    query = select(ReviewRow.id, ReviewRow.title, ReviewRow.created_at)
    rows = {row[0]: row for row in session.execute(query)}
    for review_id, found in _entries(session, list(rows), types=_MEMBERS).items():
        state = fold(found)
        _, title, since = rows[review_id]
        if job_id not in state.job_ids and mine.isdisjoint(state.setting_ids):
            continue
        wanted = [RunRow.setting_id.in_(state.setting_ids)]
        if job_id in state.job_ids:
            wanted.append(RunRow.id.in_(select(JobRunRow.run_id).where(JobRunRow.job_id == job_id)))
        newer = session.scalar(
            select(func.count())
            .select_from(RunRow)
            .where(or_(*wanted), RunRow.finished_at > since, RunRow.status.in_(FINISHED))
        )
        if not newer or notifications.told(session, NEW_RESULTS, href(review_id)):
            continue
        for name in state.members:
            text = f"New results since the review {title!r}: its numbers stay as they were frozen."
            notifications.add(session, people.named(session, name).id, NEW_RESULTS, text, href(review_id))
