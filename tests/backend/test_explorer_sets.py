"""What the explorer keeps is never older than the database; its new figures say what was measured, and stay inert."""

import csv
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from backend.api.services import explorer, tables
from backend.figures import tradeoff
from backend.main import create_app
from backend.store import columns, workers
from backend.store.database import Database
from backend.store.tables import MeasurementRow, RunRow, SeriesRow, SettingRow
from tests.backend import synthetic
from tests.backend.conftest import Remembering, TestClient
from tests.backend.test_figures import ask


def add(database, metric, subgroup, values, n=None, split="test"):
    """Numbers of runs by key, beside those that their results had."""
    with database.write() as session:
        ids = dict(session.execute(select(RunRow.key, RunRow.id)).all())
        name = {"metric": metric, "subgroup": subgroup, "split": split}
        series = session.scalar(select(SeriesRow).filter_by(**name)) or SeriesRow(**name)
        session.add(series)
        session.flush()
        session.add_all(
            MeasurementRow(series_id=series.id, run_id=ids[key], value=value, n=n) for key, value in values.items()
        )


def runs_of(database, method, epsilon):
    with database.read() as session:
        query = select(RunRow.key, RunRow.seed, RunRow.setting_id).join(SettingRow)
        return session.execute(query.where(SettingRow.method == method, SettingRow.epsilon == epsilon)).all()


# --- figures with data ------------------------------------------------------------------------------------------------


def test_intersections_are_means_over_seeds(client, database, study):
    runs = runs_of(database, "dp_sgd", 1.0)
    assert len(runs) == 3
    values = {"Female": [0.7, 0.72, 0.77], "Male": [0.8, 0.81, 0.85]}
    for sex, own in values.items():
        keys = [run.key for run in runs]
        add(database, "accuracy", f"sex={sex} & race=Black", dict(zip(keys, own, strict=True)), n=410)
        add(database, "accuracy", f"sex={sex} & race=Other", dict(zip(keys, own, strict=True)), n=9)
    add(database, "accuracy", "sex=Male & race=White", dict.fromkeys([run.key for run in runs]), n=5000)
    figure = ask(client, "intersections", job_id=study, metric="accuracy", method="dp_sgd", epsilon=1)
    rows = {row[0]: row for row in figure["rows"]}
    (black,) = (row for name, row in rows.items() if "Female" in name and "Black" in name)
    mean, half = np.mean(values["Female"]), 4.302653 * np.std(values["Female"], ddof=1) / np.sqrt(3)
    assert black[1:6] == pytest.approx([mean, mean - half, mean + half, 410, 3], rel=1e-5)
    notes = {name: row[-1] for name, row in rows.items()}
    assert sum(note == "few rows" for note in notes.values()) >= 2
    assert sum(note == "withheld or not defined" for note in notes.values()) == 1
    assert "1 without a number" in figure["caption"]
    assert "1 without rows" in figure["caption"]
    (trace,) = figure["figure"]["data"]
    assert trace["meta"]["settings"] == [runs[0].setting_id]
    hatched = [shape for shape in figure["figure"]["layout"]["shapes"] if shape["type"] == "path"]
    # Two small cells, one withheld, one without rows, and the margin of everybody of race Other: 12 rows.
    assert len(hatched) == 5
    assert "not" not in figure["title"]


def test_several_settings_of_a_seed_are_one_observation(client, database):
    body = synthetic.spec()
    body["methods"] = [{"name": "dp_sgd", "params": {"epsilon": 1, "clip": [0.5, 1, 2]}}]
    job = client.post("/api/jobs", json=body).json()["id"]
    synthetic.measure(database, job)
    runs = runs_of(database, "dp_sgd", 1.0)
    assert len(runs) == 9
    for cell in ("sex=Female & race=Black", "sex=Male & race=Black"):
        add(database, "accuracy", cell, {run.key: 0.5 + 0.1 * (run.seed % 3) for run in runs}, n=100)
    figure = ask(client, "intersections", job_id=job, metric="accuracy", method="dp_sgd")
    cells = [row for row in figure["rows"] if "Female" in row[0] and "Black" in row[0]]
    assert [row[5] for row in cells] == [3], "three seeds, not nine runs"
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert cells[0][3] - cells[0][1] == pytest.approx(half, rel=1e-5)


def test_audits_stand_beside_their_claims(client, database, study):
    runs = [*runs_of(database, "dp_sgd", 1.0), *runs_of(database, "soft_ada_clip", 4.0)]
    keys = [run.key for run in runs]
    add(database, "one_run_audit_p_at_claim", "all", {k: 1e-6 if i == 0 else 0.4 for i, k in enumerate(keys)})
    add(database, "one_run_audit_epsilon", "all", {k: 3.0 if i == 0 else 0.2 for i, k in enumerate(keys)})
    add(database, "epsilon_rdp", "all", dict.fromkeys(keys, 0.9))
    figure = ask(client, "audit", job_id=study)
    assert figure["title"] == "Audits refute the claimed ε of 1 of 6 runs"
    assert [row[0] for row in figure["rows"] if row[-1] == "claim refuted"] == [keys[0]]
    assert figure["rows"][0][3:6] == [1.0, 3.0, 1e-6]
    marks = {t["name"]: t for t in figure["figure"]["data"]}
    assert sorted(marks["DP-SGD"]["y"]) == [0.2, 0.2, 3.0]
    assert set(marks["SoftAdaClip"]["x"]) == {4.0}
    assert set(marks["RDP"]["y"]) == {0.9}
    solid = [s for t in ("DP-SGD", "SoftAdaClip") for s in marks[t]["marker"]["symbol"] if s == "triangle-up"]
    assert len(solid) == 1
    assert marks["DP-SGD"]["meta"]["settings"] == [runs[0].setting_id] * 3


def test_audits_of_a_moment_are_corrected_for_those_there_were(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job)
    query = select(RunRow.key, RunRow.finished_at).join(SettingRow).where(SettingRow.epsilon.is_not(None))
    with database.read() as session:
        rows = session.execute(query.order_by(RunRow.finished_at)).all()
    audited = [row.key for row in rows][:3]
    moment = rows[0].finished_at.isoformat()
    add(database, "one_run_audit_p_at_claim", "all", dict.fromkeys(audited, 0.04))
    add(database, "one_run_audit_epsilon", "all", dict.fromkeys(audited, 9.0))
    assert ask(client, "audit", job_id=job)["title"] == "No audit refutes a claimed ε, 3 runs audited"
    then = ask(client, "audit", job_id=job, as_of=moment)
    assert then["title"] == "Audits refute the claimed ε of 1 of 1 run"


@pytest.mark.parametrize("name", ["roc", "history"])
def test_lines_say_of_which_setting_they_are(client, study, name):
    data = ask(client, name, job_id=study)["figure"]["data"]
    told = [t for t in data if "settings" in (t.get("meta") or {})]
    assert len({t["meta"]["settings"][0] for t in told}) == len(told) >= 3
    assert all(len(t["meta"]["settings"]) == len(t["x"]) and len(set(t["meta"]["settings"])) == 1 for t in told)


def test_the_caption_says_when_single_seeds_are_not_drawn(client, study, monkeypatch):
    assert "single seeds" not in ask(client, "tradeoff", job_id=study)["caption"]
    monkeypatch.setattr(tradeoff, "MOST_SEED_MARKS", 10)
    assert "single seeds not drawn" in ask(client, "tradeoff", job_id=study)["caption"]


def test_names_stay_text_in_figures_and_files(client, database, study):
    evil = ["<img src=x onerror=alert(1)>", '=HYPERLINK("http://x")', "@SUM(1)", "javascript:alert(1)"]
    keys = [run.key for run in runs_of(database, "dp_sgd", 1.0)]
    for value in evil:
        for sex in ("Female", "Male"):
            add(database, "accuracy", f"race={value} & sex={sex}", dict.fromkeys(keys, 0.5), n=100)
    add(database, "<b>x</b>_p_at_claim", "all", dict.fromkeys(keys, 0.5))
    add(database, "<b>x</b>_epsilon", "all", dict.fromkeys(keys, 0.5))
    for name in ("intersections", "audit", "parallel", "subgroups"):
        query = {"job_id": study, "epsilon": 1}
        figure = ask(client, name, **query, **({"metric": "accuracy"} if name != "audit" else {}))
        assert figure["empty"] is None
        drawn = json.dumps(figure["figure"])
        assert "<img" not in drawn
        assert "<b>x" not in drawn
        answer = client.get(f"/api/figures/{name}", params={**query, "format": "csv", "metric": "accuracy"})
        for row in csv.reader(io.StringIO(answer.text)):
            for cell in row:
                assert cell[:1] not in ("=", "@", "\t", "\r")
                assert cell[:1] not in ("+", "-") or np.isfinite(float(cell))


# --- what is kept -----------------------------------------------------------------------------------------------------


def points(client, job, **query):
    """Every number that the trade-off and the curves show."""
    figure = ask(client, "tradeoff", job_id=job, choose="all", **query)
    curves = client.get("/api/curves", params={"job_id": job, "choose": "all", **query}).json()
    return figure["rows"], curves["curves"]


def test_as_of_shows_what_was_there_then_and_goes_on_showing_it(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    before = datetime.now(UTC) - timedelta(seconds=5)
    synthetic.measure(database, job, only=6, finish=False)
    with database.read() as session:
        newest = max(session.scalars(select(RunRow.finished_at).where(RunRow.finished_at.is_not(None))))
    frozen, now = newest.isoformat(), points(client, job)
    then = points(client, job, as_of=frozen)
    assert then == now
    synthetic.measure(database, job)
    assert points(client, job, as_of=frozen) == then
    assert points(client, job) != then
    assert points(client, job, as_of=datetime.now(UTC).isoformat()) == points(client, job)
    assert ask(client, "tradeoff", job_id=job, as_of=before.isoformat())["empty"]
    assert client.get("/api/series", params={"job_id": job, "as_of": frozen}).json()["runs"] == 6


def test_two_servers_and_a_writer_agree_at_every_moment(settings, client, database):
    other = create_app(settings, queue=Remembering())
    writer = Database(settings.url())
    with TestClient(other, base_url="http://localhost") as second:
        job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
        for count in (3, 5, 99):
            synthetic.measure(writer, job, only=count, finish=count == 99)
            fresh = create_app(settings, queue=Remembering())
            with TestClient(fresh, base_url="http://localhost") as third:
                expected = points(third, job)
            assert points(client, job) == points(second, job) == expected
    writer.dispose()


def test_of_a_set_that_grew_only_what_is_new_is_read(client, database, monkeypatch):
    read = []
    original = columns.series_column

    def counted(session, job_ids, ordered, series):
        read.append(len(ordered))
        return original(session, job_ids, ordered, series)

    monkeypatch.setattr(columns, "series_column", counted)
    first, second = (
        client.post("/api/jobs", json=synthetic.spec(training={"epochs": epochs})).json()["id"] for epochs in (5, 6)
    )
    synthetic.measure(database, first, only=9, finish=False)
    query = {"x": "epsilon", "y": "loss"}
    ask(client, "tradeoff", job_id=first, **query)
    assert set(read) == {9}
    read.clear()
    synthetic.measure(database, first)
    grown = ask(client, "tradeoff", job_id=first, **query)
    assert set(read) == {12}
    read.clear()
    synthetic.measure(database, second)
    both = ask(client, "tradeoff", job_id=[first, second], choose="all", **query)
    assert set(read) == {21}
    read.clear()
    assert ask(client, "tradeoff", job_id=first, **query)["rows"] == grown["rows"]
    ask(client, "tradeoff", job_id=second, **query)
    assert ask(client, "tradeoff", job_id=[second, first], choose="all", **query)["rows"] == both["rows"]
    assert read == []
    fresh = create_app(client.app.state.context.settings, queue=Remembering())
    with TestClient(fresh, base_url="http://localhost") as third:
        assert ask(third, "tradeoff", job_id=[first, second], choose="all", **query)["rows"] == both["rows"]


def test_a_study_deleted_and_run_again_shows_its_new_results(client, database):
    old = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, old)
    before, _ = points(client, old, y="loss")
    with database.read() as session:
        ids = set(session.scalars(select(RunRow.id)))
    assert client.delete(f"/api/jobs/{old}").status_code in (200, 204)
    assert client.get("/api/figures/tradeoff", params={"job_id": old}).status_code == 404
    new = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, new, noise=0.3)
    with database.read() as session:
        again = set(session.scalars(select(RunRow.id)))
    assert database.kind != "sqlite" or again == ids, "the same rows, so that nothing old may be taken for new"
    after, _ = points(client, new, y="loss")
    fresh = create_app(client.app.state.context.settings, queue=Remembering())
    with TestClient(fresh, base_url="http://localhost") as third:
        assert after == points(third, new, y="loss")[0] != before


def test_kept_values_stay_within_their_bytes_and_the_least_used_goes_first():
    kept = tables.Kept(most_bytes=100)
    made = []

    def get(key, version=0, size=40):
        return kept.get(("set", key), version, lambda: made.append(key) or key, lambda _: size)

    for key in ("a", "b", "a", "c"):
        get(key)
    assert (made, kept.bytes, len(kept)) == (["a", "b", "c"], 80, 2)
    get("a")
    assert made == ["a", "b", "c"], "b was the least recently used"
    get("b")
    assert made[-1] == "b"
    get("huge", size=101)
    get("huge", size=101)
    assert made[-2:] == ["huge", "huge"]
    assert kept.bytes <= 100
    get("b", version=1, size=10)
    assert made[-1] == "b"
    assert kept.bytes == 50
    assert kept.peers("b") == ["b"]


def test_threads_that_ask_for_the_same_wait_for_one_another():
    kept, made, go = tables.Kept(), [], threading.Event()

    def make():
        go.wait(5)
        made.append(1)
        return "value"

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(kept.get, ("set", "key"), 0, make, lambda _: 1) for _ in range(8)]
        go.set()
        assert {one.result() for one in answers} == {"value"}
    assert made == [1]

    def fail():
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            kept.get(("set", "other"), 0, fail, lambda _: 1)


def test_charts_asked_by_many_while_results_arrive_are_never_torn(client, database):
    with database.read() as session:
        tables.shelf_of(session).kept.most_bytes = 1
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    failed, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            rows = ask(client, "tradeoff", job_id=job, choose="all")["rows"]
            if any(not 1 <= row[-2] <= 3 for row in rows):
                failed.append(rows)

    with ThreadPoolExecutor(4) as pool:
        lookers = [pool.submit(look) for _ in range(4)]
        for _ in range(4):
            synthetic.measure(database, job, only=5, finish=False)
        synthetic.measure(database, job)
        stop.set()
        for one in lookers:
            one.result()
    assert not failed
    assert sum(row[-2] for row in ask(client, "tradeoff", job_id=job, choose="all")["rows"]) == 21


def test_the_newest_studies_are_read_before_anybody_asks(settings, client, database, study, monkeypatch):
    from backend.api.services import explorer

    with database.write() as session:
        workers.publish_catalogue(session, synthetic.catalogue())
    fresh = Database(settings.url())
    explorer.warm_up(fresh)
    monkeypatch.setattr(columns, "series_column", lambda *_: pytest.fail("it was read already"))
    with fresh.read() as session:
        loaded = tables.run_set(session, [study])
        assert len(loaded.table) == 21
        assert not loaded.column("loss_gap", "sex", "test").empty
    fresh.dispose()


@pytest.mark.parametrize(("many", "waits"), [(1, True), (10**9, False)])
def test_a_server_with_many_runs_answers_once_they_are_read(
    client, database, settings, study, monkeypatch, many, waits
):
    began, go_on = threading.Event(), threading.Event()
    plain = explorer.warm_up

    def slow(database):
        began.set()
        go_on.wait(20)
        plain(database)

    monkeypatch.setattr(explorer, "warm_up", slow)
    monkeypatch.setattr("backend.main.MANY_RUNS", many)
    monkeypatch.setattr("backend.main.READ_AHEAD", 20.0)
    answered = threading.Event()

    def serve():
        with TestClient(
            create_app(settings, queue=client.app.state.context.queue()), base_url="http://localhost"
        ) as one:
            assert one.get("/api/health").status_code == 200
            answered.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert began.wait(20)
        assert answered.wait(1.0 if waits else 20.0) != waits
    finally:
        go_on.set()
        thread.join(20)
    assert answered.is_set()


def test_columns_of_runs_are_the_rows_one_by_one(database, client):
    """Runs that diverged or are degenerate, several settings and seeds: each flag stands with its own run."""
    random = np.random.default_rng(3)
    job = client.post("/api/jobs", json=synthetic.spec(seeds=6)).json()["id"]
    synthetic.measure(database, job)
    with database.write() as session:
        for row in session.scalars(select(RunRow)):
            row.degenerate = bool(random.random() < 0.3)
            row.status = str(random.choice(["succeeded", "diverged", "failed"]))
    with database.read() as session:
        rows = [row for row in session.scalars(select(RunRow)) if row.status != "failed"]
        rows.sort(key=lambda row: (row.setting_id, row.seed, row.id))
        read = columns.run_columns(session, [job])
        assert read.ids.tolist() == [row.id for row in rows]
        assert read.keys == [row.key for row in rows]
        assert read.seeds.tolist() == [row.seed for row in rows]
        assert read.settings.tolist() == [row.setting_id for row in rows]
        assert read.degenerate.tolist() == [row.degenerate for row in rows]
        assert read.diverged.tolist() == [row.status == "diverged" for row in rows]
        assert len(set(read.marks.tolist())) == len(rows)
        assert columns.run_columns(session, [job]).marks.tolist() == read.marks.tolist()
        assert len(columns.run_columns(session, ["nobody"]).ids) == 0
    with database.write() as session:
        row = session.get(RunRow, read.ids[0].item())
        row.finished_at = row.finished_at + timedelta(microseconds=1)
    with database.read() as session:
        again = columns.run_columns(session, [job])
        assert (again.marks != read.marks).tolist() == [True] + [False] * (len(rows) - 1)


def test_numbers_of_a_few_runs_are_those_of_the_whole_column(database, client, monkeypatch):
    random = np.random.default_rng(5)
    job = client.post("/api/jobs", json=synthetic.spec(seeds=8)).json()["id"]
    synthetic.measure(database, job)
    with database.write() as session:
        for row in session.scalars(select(MeasurementRow)):
            if random.random() < 0.2:
                row.value = None
    monkeypatch.setattr(columns, "FEW", 2)
    with database.read() as session:
        few = tables.run_set(session, [job])
        runs = len(few.table)
        masks = [np.isin(np.arange(runs), random.choice(runs, 5, replace=False)) for _ in range(4)]
        names = [
            ("loss", "all", "test"),
            ("loss_gap", "sex", "test"),
            ("epsilon", "all", "test"),
            ("none", "all", "test"),
        ]
        parts = {(name, i): few.part(*name, mask, i) for name in names for i, mask in enumerate(masks)}
        read = [name for name in names if few._shelf.kept.peers(name)]
        assert read == [], "no column was read whole"
        for (name, i), part in parts.items():
            whole = few.column(*name)
            np.testing.assert_array_equal(part.values, whole.values[masks[i]])
            np.testing.assert_array_equal(part.n, whole.n[masks[i]])
