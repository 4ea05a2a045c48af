"""What has served its time is removed by age, and nothing else."""

import gc
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from backend.api.services import tables
from backend.queue import JobQueue, Reaper
from backend.settings import Settings
from backend.store import deliveries, housekeeping, links, notifications, people
from backend.store.deliveries import Outgoing
from backend.store.tables import DeliveryRow, LinkRow, NotificationRow
from tests.backend import synthetic

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=40), NOW - timedelta(days=20)


def notice(database, moment, *, passed_on=True, outgoing=None):
    """A notification of that age; `outgoing`: what became of its one delivery."""
    with database.write() as session:
        row = notifications.add(session, None, "test", "Something happened.", "/")
        session.flush()
        session.execute(
            update(NotificationRow).where(NotificationRow.id == row.id).values(created_at=moment, passed_on=passed_on)
        )
        if outgoing is not None:
            deliveries.put(session, [Outgoing(row.id, "webhook", "there", {})])
            values = {
                "waiting": {},
                "arrived": {"next_at": None, "delivered_at": moment},
                "given up": {"next_at": None},
            }
            query = update(DeliveryRow).where(DeliveryRow.notice_id == row.id)
            session.execute(query.values(created_at=moment, **values[outgoing]))
        return row.id


def ids(database, table):
    with database.read() as session:
        return set(session.scalars(select(table.id)))


def test_deliveries_that_are_over_go_with_their_notices_and_what_is_on_its_way_stays(database):
    gone = {
        notice(database, OLD),
        notice(database, OLD, outgoing="arrived"),
        notice(database, OLD, outgoing="given up"),
    }
    stays = {
        notice(database, OLD, passed_on=False),
        notice(database, OLD, outgoing="waiting"),
        notice(database, YOUNG, outgoing="arrived"),
        notice(database, YOUNG),
    }
    found = housekeeping.prune(database, NOW, notices=30, links=0)
    assert found == {"deliveries": 2, "notices": 3}
    assert ids(database, NotificationRow) == stays
    assert not gone & stays
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(DeliveryRow)) == 2
    assert housekeeping.prune(database, NOW, notices=30, links=0) == {"deliveries": 0, "notices": 0}
    assert housekeeping.prune(database, NOW + timedelta(days=9999), notices=0, links=0) == {}


def test_the_number_of_a_notice_is_never_given_away_again(database):
    old = [notice(database, OLD) for _ in range(3)]
    housekeeping.prune(database, NOW, notices=30, links=0)
    assert ids(database, NotificationRow) == {old[-1]}
    assert notice(database, NOW) > old[-1]
    with database.write() as session:
        person = people.named(session, "Ada").id
        notifications.see(session, person, old[-1])
        assert notifications.unseen(session, person, old[-1]) == 1


def test_many_rows_go_in_portions(database, monkeypatch):
    monkeypatch.setattr(housekeeping, "PORTION", 3)
    for _ in range(8):
        notice(database, OLD, outgoing="arrived")
    assert housekeeping.prune(database, NOW, notices=30, links=0) == {"deliveries": 8, "notices": 7}


def test_links_have_an_age_of_their_own(database):
    with database.write() as session:
        old, young = (links.keep(session, "/explore", {}, moment, None).id for moment in (OLD, YOUNG))
    assert housekeeping.prune(database, NOW, notices=0, links=30) == {"links": 1}
    assert ids(database, LinkRow) == {young} != {old}


@pytest.mark.parametrize("busy", [False, True])
def test_the_reaper_tidies_up_once_an_hour(database, client, tmp_path, busy):
    """With a clock of our own: notifications past their age go at its first look, and then not before an hour."""
    if busy:
        client.post("/api/jobs", json=synthetic.spec())
    queue = JobQueue(database)
    queue.prepare()
    moments = [NOW]
    settings = Settings(data_dir=tmp_path, keep_notices_days=30)
    reaper = Reaper(database, queue, settings, clock=lambda: moments[-1])
    try:
        first, newest = notice(database, OLD), notice(database, NOW)
        reaper.look()
        assert first not in ids(database, NotificationRow)
        second = notice(database, OLD)
        third = notice(database, NOW)
        moments.append(NOW + timedelta(minutes=59))
        reaper.look()
        assert second in ids(database, NotificationRow)
        moments.append(NOW + timedelta(minutes=61))
        reaper.look()
        assert second not in ids(database, NotificationRow)
        assert {newest, third} <= ids(database, NotificationRow)
    finally:
        queue.close()


def test_settings_that_no_kept_table_has_are_forgotten(client, database, study):
    with database.read() as session:
        shelf = tables.shelf_of(session)
        read = tables.run_set(session, [study])
        assert {info.id for info in shelf.infos.values()} == set(read.table.infos) != set()
        shelf.kept = tables.Kept()
        del read
        gc.collect()
        assert len(shelf.infos) == 0
