"""Measurements as pages and as a file; previews; the small addresses."""

import csv
import io
from datetime import datetime

import pytest

from backend.analysis.accounting import Schedule, default_delta, noise_multiplier
from backend.api.services.preview import duration
from backend.presets import load_presets
from backend.reports.csv import inert, write
from backend.store import workers
from tests.backend import synthetic


def everything(client, **filters):
    items, cursor = [], None
    while True:
        query = {**filters, "limit": 137} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/measurements", params=query).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_pages_are_complete_and_without_repetition(client, study):
    items = everything(client, job_id=study)
    per_run = len(synthetic.SUBGROUPS) * (3 * 2 + 1) + 2 * 2 + 2
    assert len(items) == 21 * per_run
    keys = {(m["run_id"], m["metric"], m["subgroup"], m["split"]) for m in items}
    assert len(keys) == len(items)


def test_filters_combine(client, study):
    found = everything(client, job_id=study, metric=["loss", "loss_gap"], subgroup=["sex", "sex=Female"], split="test")
    assert {(m["metric"], m["subgroup"]) for m in found} == {("loss", "sex=Female"), ("loss_gap", "sex")}
    assert {m["split"] for m in found} == {"test"}
    assert len(found) == 2 * 21
    one = found[0]["run_id"]
    assert {m["run_id"] for m in everything(client, run_id=one)} == {one}
    assert {m["method"] for m in everything(client, job_id=study, method="dp_sgd", metric="loss")} == {"dp_sgd"}
    assert everything(client, job_id=study, metric="nothing") == []
    assert everything(client, subgroup="sex' OR 1=1 --") == []


def test_the_file_holds_the_same_as_the_pages(client, study):
    answer = client.get("/api/measurements", params={"job_id": study, "format": "csv", "metric": "loss"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert f"measurements-{study}.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    items = everything(client, job_id=study, metric="loss")
    assert len(rows) == len(items)
    for row, item in zip(rows, items, strict=True):
        assert row["run_id"] == item["run_id"]
        assert float(row["value"]) == item["value"]
        assert row["epsilon"] == ("" if item["epsilon"] is None else str(item["epsilon"]))


def test_a_file_longer_than_one_portion(client, study, monkeypatch):
    monkeypatch.setattr("backend.reports.csv.PORTION", 50)
    text = client.get("/api/measurements", params={"job_id": study, "format": "csv"}).text
    assert len(text.splitlines()) == 1 + len(everything(client, job_id=study))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=cmd|" /C calc"!A0'])
def test_texts_that_a_spreadsheet_would_run_are_made_inert(text):
    assert inert(text) == "'" + text
    (cells,) = csv.reader(io.StringIO(write([[text, -0.5, None, "sex=Female", "-"]])))
    assert cells == ["'" + text, "-0.5", "", "sex=Female", "'-"]


# --- preview ----------------------------------------------------------------------------------------------------------


def preview(client, **changes):
    answer = client.post("/api/jobs/preview", json=synthetic.spec(**changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview_counts_and_stores_nothing(client, stored):
    before = stored()
    answer = preview(client)
    assert stored() == before
    assert (answer["runs"], answer["settings"], answer["seeds"], answer["measured"]) == (21, 7, 3, 0)
    assert answer["expected_seconds"] is None
    assert answer["sentence"] == "4 methods, 7 settings × 3 seeds = 21 runs"
    assert [(m["name"], m["settings"], m["runs"]) for m in answer["methods"]] == [
        ("sgd", 1, 3), ("dp_sgd", 2, 6), ("adaptive_dp_sgd", 2, 6), ("soft_ada_clip", 2, 6),
    ]  # fmt: skip
    assert answer["methods"][1]["swept"] == {"epsilon": [1.0, 4.0]}
    assert any("at least 6" in warning for warning in answer["warnings"])


def test_a_preview_shows_the_noise_that_the_worker_will_use(client):
    noise = preview(client)["noise"]
    assert len(noise) == 6
    first = noise[0]
    schedule = Schedule.of(27133, 256, 5)
    assert first["method"] == "dp_sgd"
    assert first["delta"] == default_delta(27133) == 1e-5
    assert first["steps"] == schedule.steps
    assert first["sampling_rate"] == schedule.sampling_rate
    expected = noise_multiplier(1.0, 1e-5, schedule.sampling_rate, schedule.steps)
    assert first["noise_multiplier"] == pytest.approx(expected)


def test_a_row_limit_changes_the_noise(client):
    whole = preview(client)["noise"][0]
    part = preview(client, dataset={"name": "adult", "params": {"limit": 2000}})["noise"][0]
    assert part["noise_multiplier"] > whole["noise_multiplier"]
    assert part["sampling_rate"] == pytest.approx(256 / 1200)


def test_a_preview_knows_what_is_measured_and_how_long_the_rest_takes(client, study):
    same = preview(client)
    assert same["measured"] == 21
    assert same["expected_seconds"] == 0
    assert same["sentence"].endswith("= 21 runs, all already measured")
    more = preview(client, seeds=5)
    assert (more["runs"], more["measured"]) == (35, 21)
    job = client.get(f"/api/jobs/{study}").json()
    started, finished = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    # Made-up runs say that they took half a second each; the study as a whole took as long as it took.
    ratio = (finished - started).total_seconds() / (21 * 0.5)
    assert more["expected_seconds"] == pytest.approx(14 * 0.5 * ratio)
    expected = duration(more["expected_seconds"])
    begins = "4 methods, 7 settings × 5 seeds = 35 runs, 21 already measured"
    assert more["sentence"] == f"{begins}, about {expected} on this machine"
    longer = preview(client, training={"epochs": 10})
    assert longer["expected_seconds"] == pytest.approx(21 * 1.0 * ratio)


def test_the_sentence_multiplies_only_where_it_may(client):
    private = [{"name": n, "params": {"epsilon": [1, 2, 4]}} for n in ("dp_sgd", "soft_ada_clip")]
    assert preview(client, methods=private, seeds=10)["sentence"] == "2 methods × 3 ε × 10 seeds = 60 runs"
    assert preview(client, methods=private[:1], seeds=1)["sentence"] == "1 method × 3 ε × 1 seed = 3 runs"
    plain = [{"name": "sgd"}, {"name": "dp_sgd"}]
    assert preview(client, methods=plain, seeds=2)["sentence"] == "2 methods × 2 seeds = 4 runs"


def test_warnings_say_what_one_regrets_later(client):
    warnings = " ".join(preview(client, seeds=1, methods=[{"name": "dp_sgd", "params": {"epsilon": 100}}])["warnings"])
    assert "One seed gives no interval" in warnings
    assert "ε = 100 promises little" in warnings
    assert "without a non-private one" in warnings
    assert preview(client, seeds=10)["warnings"] == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (100, "2 min"), (7200, "2 h"), (3e5, "3.5 days")]
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


# --- the small addresses ----------------------------------------------------------------------------------------------


def test_health_and_workers(client, database):
    assert client.get("/api/health").json()["status"] == "degraded"
    with database.write() as session:
        workers.register(session, "w1", host="h", pid=1, device="cpu", queues=["cpu"], catalogue="made-up-1")
        workers.register(session, "w2", host="h", pid=2, device="cpu", queues=["cpu"], catalogue="made-up-1")
        workers.stop(session, "w2")
    health = client.get("/api/health").json()
    assert health == {
        "status": "ok", "version": health["version"], "database": database.kind, "workers": 1,
        "catalogue": "made-up-1", "message": "",
    }  # fmt: skip
    listed = client.get("/api/workers").json()["items"]
    assert [(w["id"], w["status"]) for w in listed] == [("w1", "online"), ("w2", "stopped")]


def test_the_catalogue_is_what_the_worker_published(client):
    assert client.get("/api/catalogue").json() == synthetic.catalogue().model_dump(mode="json")


def test_presets_are_listed_with_the_one_for_beginners_first(client):
    page = client.get("/api/presets").json()
    assert [p["name"] for p in page["items"]] == [p.name for p in load_presets()]
    assert page["items"][0]["name"] == "quickstart"
    for preset in page["items"]:
        assert preset["spec"]["preset"] == preset["name"]
