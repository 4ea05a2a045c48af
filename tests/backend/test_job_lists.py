"""Lists of jobs: filtered, searched, ordered, changed; and a job's runs in groups."""

from __future__ import annotations

import itertools
import json
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats
from sqlalchemy import select, update

from backend.analysis import groups
from backend.client import Client
from backend.contracts.spec import JobSpec
from backend.store import jobs
from backend.store.tables import JobRow, MeasurementRow, RunRow, SeriesRow
from tests.backend import synthetic
from tests.backend.test_client import Through

NAMES = ["alpha", "Beta", "beta", "Ärger", "100% sure", "a_b", "<b>bold</b>", "=SUM(A1)"]


@pytest.fixture
def shelf(client, database):
    """40 jobs that are equal in some things and not in others, as plain dictionaries."""
    draw = random.Random(7)
    made = []
    with database.write() as session:
        for i in range(40):
            tags = draw.sample(["dp", "team a", "100%", "x_y"], draw.randrange(3))
            spec = JobSpec.model_validate(synthetic.spec(name=draw.choice(NAMES), tags=tags))
            job = jobs.create(session, spec, runs=draw.choice([0, 3, 3, 12]))
            job.status = draw.choice(["succeeded", "failed", "queued"])
            job.preset = draw.choice([None, "quickstart"])
            job.archived_at = draw.choice([None, None, datetime.now(UTC)])
            # Several were made at the same moment.
            job.created_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=i // 4)
            made.append(job.id)
        session.flush()
        rows = [session.get(JobRow, one) for one in made]
        return [
            {
                "id": r.id,
                "name": r.name,
                "status": r.status,
                "tags": r.tags,
                "preset": r.preset,
                "archived": r.archived_at is not None,
                "created": r.created_at,
                "runs": r.size,
            }
            for r in rows
        ]


def listed(client, **params):
    """All pages of a list, with how many it says there are."""
    items, cursor, total = [], None, None
    while True:
        page = client.get("/api/jobs", params={"limit": 7, **params, **({"cursor": cursor} if cursor else {})})
        assert page.status_code == 200, page.text
        total = page.json()["total"]
        items += page.json()["items"]
        cursor = page.json()["next"]
        if cursor is None:
            return items, total


@pytest.mark.parametrize(
    ("order", "ascending"), list(itertools.product(["created", "name", "status", "runs"], [True, False]))
)
def test_every_order_goes_through_all_jobs_once(client, shelf, order, ascending):
    items, total = listed(client, sort=order, ascending=ascending, archived="any")
    # SQLite folds the case of ASCII letters only, Postgres of all: neither changes how these compare.
    fold = {"name": lambda one: one["name"].lower().replace("ä", "Ä")}.get(order, lambda one: one[order])
    expected = sorted(shelf, key=lambda one: (fold(one), one["created"], one["id"]), reverse=not ascending)
    assert [one["id"] for one in items] == [one["id"] for one in expected]
    assert total == len(shelf)


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({}, lambda one: True),
        ({"status": ["failed", "queued"]}, lambda one: one["status"] in ("failed", "queued")),
        ({"tag": "team a"}, lambda one: "team a" in one["tags"]),
        ({"preset": "quickstart"}, lambda one: one["preset"] == "quickstart"),
        ({"method": "dp_sgd"}, lambda one: True),
        ({"method": "dp_sg"}, lambda one: False),
        ({"dataset": "nothing"}, lambda one: False),
        ({"text": "BETA"}, lambda one: one["name"].lower() == "beta"),
        ({"text": "100%"}, lambda one: "100%" in one["name"] or "100%" in one["tags"]),
        ({"text": "x_y"}, lambda one: "x_y" in one["tags"]),
        ({"text": "team beta"}, lambda one: "team a" in one["tags"] and one["name"].lower() == "beta"),
        ({"text": "%"}, lambda one: "%" in one["name"] or "100%" in one["tags"]),
        ({"tag": "dp", "status": "failed"}, lambda one: "dp" in one["tags"] and one["status"] == "failed"),
    ],
)
@pytest.mark.parametrize("archived", ["no", "yes", "any"])
def test_filters_find_what_a_plain_search_finds(client, shelf, params, fits, archived):
    items, total = listed(client, archived=archived, **params)
    kept = [one for one in shelf if archived == "any" or one["archived"] == (archived == "yes")]
    assert {one["id"] for one in items} == {one["id"] for one in kept if fits(one)}
    assert total == len(items)


def test_the_whole_id_finds_a_job(client, shelf):
    one = next(one for one in shelf if not one["archived"])
    assert [found["id"] for found in listed(client, text=one["id"])[0]] == [one["id"]]


def test_a_cursor_of_another_order_is_refused(client, shelf):
    following = client.get("/api/jobs", params={"limit": 3, "sort": "name"}).json()["next"]
    for params in ({"sort": "runs"}, {"sort": "name", "ascending": True}, {}):
        answer = client.get("/api/jobs", params={"limit": 3, "cursor": following, **params})
        assert answer.status_code == 422
        assert answer.json()["problems"][0]["field"] == "cursor"


def test_facets_count_what_a_plain_count_counts(client, shelf):
    found = client.get("/api/jobs/facets").json()
    assert {one["value"]: one["jobs"] for one in found["tag"]} == {
        tag: sum(tag in one["tags"] for one in shelf) for tag in ("dp", "team a", "100%", "x_y")
    }
    assert {one["value"]: one["jobs"] for one in found["status"]} == {
        status: sum(status == one["status"] for one in shelf) for status in ("succeeded", "failed", "queued")
    }
    # A method that a job trains twice counts once.
    assert {one["value"]: one["jobs"] for one in found["method"]}["dp_sgd"] == len(shelf)
    assert found["archived"] == sum(one["archived"] for one in shelf)
    assert [one["jobs"] for one in found["preset"]] == [sum(one["preset"] is not None for one in shelf)]


def test_tags_are_added_and_removed_and_the_specification_stays(client, study):
    before = client.get(f"/api/jobs/{study}").json()
    answer = client.patch(f"/api/jobs/{study}", json={"add_tags": ["b", " a ", "b"], "remove_tags": before["tags"]})
    assert answer.json()["tags"] == ["b", "a"]
    after = client.patch(f"/api/jobs/{study}", json={"remove_tags": ["b", "never there"]}).json()
    assert after["tags"] == ["a"]
    assert client.get(f"/api/jobs/{study}").json()["spec"] == before["spec"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"add_tags": [""]}, "add_tags.0"),
        ({"add_tags": ["x" * 51]}, "add_tags.0"),
        ({"add_tags": ["a\nb"]}, "add_tags.0"),
        ({"add_tags": ["a,b"]}, "add_tags.0"),
        ({"tags": ["a"]}, "tags"),
        ({"archived": "perhaps"}, "archived"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_by_name(client, study, body, field):
    before = client.get(f"/api/jobs/{study}").json()
    answer = client.patch(f"/api/jobs/{study}", json=body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"].endswith(field)
    assert client.get(f"/api/jobs/{study}").json() == before


def test_too_many_tags_are_refused_and_none_is_added(client, study):
    client.patch(f"/api/jobs/{study}", json={"add_tags": [f"t{i}" for i in range(19)]})
    kept = client.get(f"/api/jobs/{study}").json()["tags"]
    answer = client.patch(f"/api/jobs/{study}", json={"add_tags": ["one", "two", "three"]})
    assert answer.status_code == 422
    assert "at most 20" in answer.json()["problems"][0]["expected"]
    assert client.get(f"/api/jobs/{study}").json()["tags"] == kept


def test_several_jobs_are_changed_or_none(client, shelf):
    ids = [one["id"] for one in shelf[:5]]
    answer = client.post("/api/jobs/change", json={"ids": ids, "add_tags": ["kept"], "archived": True})
    assert [one["id"] for one in answer.json()["items"]] == ids
    assert all("kept" in one["tags"] and one["archived_at"] for one in answer.json()["items"])
    answer = client.post("/api/jobs/change", json={"ids": [*ids, "gone"], "add_tags": ["lost"]})
    assert answer.status_code == 404
    assert listed(client, archived="any", tag="lost")[1] == 0
    client.post("/api/jobs/change", json={"ids": ids, "archived": False})
    assert {one["id"] for one in listed(client, tag="kept")[0]} == set(ids)


def test_archiving_again_keeps_since_when(client, study):
    first = client.patch(f"/api/jobs/{study}", json={"archived": True}).json()["archived_at"]
    assert client.patch(f"/api/jobs/{study}", json={"archived": True}).json()["archived_at"] == first
    # Left out of the list, but there.
    assert listed(client)[1] == 0
    assert client.get(f"/api/jobs/{study}").status_code == 200


def test_several_jobs_are_deleted_or_none(client, shelf, stored):
    ended = [one["id"] for one in shelf if one["status"] != "queued"][:3]
    waiting = next(one["id"] for one in shelf if one["status"] == "queued")
    before = stored()
    assert client.post("/api/jobs/delete", json={"ids": [*ended, waiting]}).status_code == 409
    assert stored() == before
    assert client.post("/api/jobs/delete", json={"ids": [*ended, ended[0]]}).status_code == 204
    assert stored()["jobs"] == before["jobs"] - 3


# --- groups -----------------------------------------------------------------------------------------------------------


def naive(database, job_id, metric, by, subgroup="all", split="test"):
    """Per key: the mean within each seed, then mean, interval (scipy) and number of seeds, run by run."""
    cells: dict[tuple, dict[int, list[float]]] = {}
    with database.read() as session:
        for run in session.scalars(select(RunRow).order_by(RunRow.id)):
            value = session.scalar(
                select(MeasurementRow.value)
                .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
                .where(
                    MeasurementRow.run_id == run.id,
                    SeriesRow.metric == metric,
                    SeriesRow.subgroup == subgroup,
                    SeriesRow.split == split,
                )
            )
            key = tuple(run.setting.method if name == "method" else run.setting.params.get(name) for name in by)
            seeds = cells.setdefault(key, {})
            if value is not None and run.status in ("succeeded", "diverged"):
                seeds.setdefault(run.seed, []).append(value)
    answer = {}
    for key, seeds in cells.items():
        means = [float(np.mean(values)) for values in seeds.values()]
        mean = float(np.mean(means)) if means else None
        ends = (
            stats.t.interval(0.95, len(means) - 1, loc=mean, scale=stats.sem(means)) if len(means) > 1 else (None,) * 2
        )
        balanced = len({len(values) for values in seeds.values()}) <= 1
        answer[key] = (mean, *ends, len(means), sum(map(len, seeds.values())), balanced)
    return answer


@pytest.mark.parametrize(
    "by", [["method"], ["method", "method.epsilon"], ["training.learning_rate"], ["method.epsilon"]]
)
@pytest.mark.parametrize("hole", [False, True])
def test_groups_are_means_over_seeds_as_a_naive_loop_makes_them(client, database, study, by, hole):
    if hole:
        # Two runs without a number, and one that has not been trained: groups are no longer balanced.
        with database.write() as session:
            ids = list(session.scalars(select(RunRow.id).order_by(RunRow.id)))
            session.execute(update(MeasurementRow).where(MeasurementRow.run_id.in_(ids[1:3])).values(value=None))
            session.execute(update(RunRow).where(RunRow.id == ids[4]).values(status="queued"))
    params = {"by": by, "metric": ["loss", "loss_gap"]}
    found = client.get(f"/api/jobs/{study}/groups", params=params).json()
    assert found["metrics"] == ["loss", "loss_gap"]
    for place, metric in enumerate(found["metrics"]):
        expected = naive(database, study, metric, by)
        assert {tuple(one["key"]) for one in found["items"]} == set(expected)
        for one in found["items"]:
            cell = one["cells"][place]
            mean, low, high, seeds, runs, balanced = expected[tuple(one["key"])]
            for name, number in (("mean", mean), ("low", low), ("high", high)):
                assert cell[name] == (number if number is None else pytest.approx(number, rel=1e-9))
            assert (cell["seeds"], cell["runs"], cell["balanced"]) == (seeds, runs, balanced)
    job = client.get(f"/api/jobs/{study}").json()
    assert sum(one["runs"] for one in found["items"]) == job["runs"]
    assert sum(one["succeeded"] + one["diverged"] for one in found["items"]) == job["finished"]
    shown = [setting for one in found["items"] for setting in one["setting_ids"]]
    assert len(shown) == len(set(shown)) == 7


def test_a_group_that_has_no_such_parameter_has_none_as_its_value(client, study):
    found = client.get(f"/api/jobs/{study}/groups", params={"by": ["method.epsilon"]}).json()
    assert None in [one["key"][0] for one in found["items"]]
    assert "method.epsilon" in found["can_group_by"]


def test_what_cannot_be_grouped_by_is_named(client, study):
    answer = client.get(f"/api/jobs/{study}/groups", params={"by": ["method", "seed"]})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "by.1"
    assert "method.epsilon" in answer.json()["problems"][0]["expected"]
    assert client.get("/api/jobs/none/groups", params={"by": ["method"]}).status_code == 404


def test_columns_hold_every_runs_number(client, database, study):
    found = client.get(f"/api/jobs/{study}/columns", params={"metric": ["loss", "no_such"], "subgroup": "all"}).json()
    runs = client.get(f"/api/jobs/{study}/runs").json()["items"]
    assert sorted(found["run_ids"]) == sorted(run["id"] for run in runs)
    for run_id, value in zip(found["run_ids"], found["values"][0], strict=True):
        (one,) = client.get(
            "/api/measurements", params={"run_id": run_id, "metric": "loss", "subgroup": "all", "split": "test"}
        ).json()["items"]
        assert one["value"] == value
    assert set(found["values"][1]) == {None}


def test_means_over_seeds_by_hand_on_random_holes():
    draw = np.random.default_rng(3)
    for _ in range(50):
        size = int(draw.integers(0, 60))
        values = draw.normal(size=size)
        values[draw.random(size) < 0.2] = np.nan
        of, seeds = draw.integers(0, 5, size), draw.integers(-3, 4, size)
        found = groups.over_seeds(values, of, seeds, 6)
        for group in range(6):
            per: dict[int, list[float]] = {}
            for value, one, seed in zip(values, of, seeds, strict=True):
                if one == group and np.isfinite(value):
                    per.setdefault(int(seed), []).append(float(value))
            means = [np.mean(v) for v in per.values()]
            assert found.seeds[group] == len(means)
            assert found.balanced[group] == (len({len(v) for v in per.values()}) <= 1)
            if means:
                assert found.mean[group] == pytest.approx(np.mean(means))
            else:
                assert np.isnan(found.mean[group])
            if len(means) > 1:
                low, high = stats.t.interval(0.95, len(means) - 1, np.mean(means), stats.sem(means))
                assert (found.low[group], found.high[group]) == pytest.approx((low, high))
            else:
                assert np.isnan(found.low[group])


# --- from Python and from the shell -----------------------------------------------------------------------------------


@pytest.fixture
def equipoise(client):
    with Client("http://localhost", transport=Through(client)) as one:
        yield one


@pytest.mark.parametrize(
    ("arguments", "keep"),
    [
        ([], lambda one: not one["archived"]),
        (["--archived"], lambda one: one["archived"]),
        (["--tag", "team a"], lambda one: not one["archived"] and "team a" in one["tags"]),
        (["--state", "failed", "--state", "queued"], lambda one: not one["archived"] and one["status"] != "succeeded"),
        (["--search", "BETA"], lambda one: not one["archived"] and "beta" in one["name"].lower()),
        (["--preset", "quickstart", "--archived"], lambda one: one["archived"] and one["preset"]),
        (["--method", "no_such_method"], lambda one: False),
        (["--dataset", "adult"], lambda one: not one["archived"]),
    ],
)
def test_the_shell_filters_as_the_api_does(shelf, shell, arguments, keep):
    answer = shell("studies", "--limit", "100", "--json", *arguments)
    assert answer.exit_code == 0, answer.output
    assert {json.loads(line)["id"] for line in answer.stdout.splitlines()} == {one["id"] for one in shelf if keep(one)}


def test_the_shell_orders_and_asks_for_no_more_than_it_shows(shelf, shell, equipoise, monkeypatch):
    asked = []
    plain = Client._ask
    monkeypatch.setattr(Client, "_ask", lambda self, *a, **k: asked.append(k["params"]) or plain(self, *a, **k))
    lines = shell("studies", "--sort", "runs", "--ascending", "--limit", "5").stdout.splitlines()
    visible = sorted((one for one in shelf if not one["archived"]), key=lambda one: one["runs"])
    assert len(lines) == 5
    assert {line.split()[0] for line in lines} <= {one["id"] for one in visible if one["runs"] <= visible[4]["runs"]}
    assert [one["limit"] for one in asked] == [5]
    assert len(equipoise.jobs(most=3)) == 3
    assert len(equipoise.jobs()) == len(visible)


def test_studies_are_tagged_and_archived_from_shell_and_python(client, shelf, shell, equipoise):
    first, second = (one["id"] for one in shelf[:2])

    def now(job_id):
        found = client.get(f"/api/jobs/{job_id}").json()
        return set(found["tags"]), found["archived_at"] is not None

    before = now(first)[0]
    answer = shell("tag", first, second, "--tag", "shipped", "--tag", "2026")
    assert answer.stdout == "Tagged 2 studies.\n"
    assert now(first)[0] == before | {"shipped", "2026"}
    assert shell("untag", first, "--tag", "shipped").stdout == "Untagged 1 study.\n"
    assert now(first)[0] == before | {"2026"}
    assert "shipped" in now(second)[0]
    assert shell("archive", first).exit_code == 0
    assert now(first)[1]
    assert shell("unarchive", first).stdout == "Brought back 1 study.\n"
    assert not now(first)[1]
    none = shell("tag", first, "nobody", "--tag", "lost")
    assert none.exit_code == 1
    assert "no study 'nobody'" in none.output
    assert "lost" not in now(first)[0], "all or none"
    handle = equipoise.job(second)
    assert "mine" in handle.tag("mine").tags
    assert "mine" not in handle.untag("mine").tags
    assert handle.archive().archived_at is not None
    assert second in {job.id for job in equipoise.jobs(archived="yes")}
    assert handle.unarchive().archived_at is None


def test_names_and_tags_cannot_write_on_the_terminal(database, shell):
    with database.write() as session:
        jobs.create(session, JobSpec.model_validate(synthetic.spec(name="A \x1b[31mred one")), runs=0)
    shown = shell("studies").stdout
    assert "\x1b" not in shown
    assert "red one" in shown
