"""Jobs over HTTP: submit, list, cancel, retry, delete."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.store import jobs
from tests.backend import synthetic


def submit(client, key=None, **changes):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/api/jobs", json=synthetic.spec(**changes), headers=headers)


def test_a_job_is_stored_and_enqueued_at_once(client, queue):
    answer = submit(client, priority=3)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert job["status"] == "queued"
    assert job["runs"] == 21
    assert job["finished"] == 0
    assert job["methods"] == ["sgd", "dp_sgd", "adaptive_dp_sgd", "soft_ada_clip"]
    assert job["spec"]["training"] == {"epochs": 5}
    assert queue.enqueued == [(job["id"], 0, 3)]
    assert client.get(f"/api/jobs/{job['id']}").json() == job


def test_nothing_is_stored_when_the_queue_refuses(client, queue, stored, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise RuntimeError("the engine's tables are locked")

    monkeypatch.setattr(queue, "enqueue", refuse)
    before = stored()
    assert submit(client).status_code == 500
    assert stored() == before


def test_the_same_key_gives_the_same_job(client, queue, stored):
    first = submit(client, key="mine").json()
    again = submit(client, key="mine")
    assert again.status_code == 201
    assert again.json()["id"] == first["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(queue.enqueued) == 1
    before = stored()
    other = submit(client, key="mine", seeds=4)
    assert other.status_code == 422
    assert other.json()["problems"][0]["field"] == "Idempotency-Key"
    assert stored() == before


def test_the_same_key_from_many_at_once_makes_one_job(client, queue):
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: submit(client, key="ours"), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(client.get("/api/jobs").json()["items"]) == 1


def test_a_job_that_asks_for_nothing_new_ends_at_once(client, study, queue):
    again = submit(client).json()
    assert again["id"] != study
    assert again["status"] == "succeeded"
    assert (again["runs"], again["finished"], again["reused"]) == (21, 21, 21)
    assert [job for job, _, _ in queue.enqueued] == [study]


def test_a_job_reuses_what_it_shares(client, study):
    wider = submit(client, seeds=4).json()
    assert wider["status"] == "queued"
    assert (wider["runs"], wider["finished"], wider["reused"]) == (28, 21, 21)


def test_cancel_ends_a_waiting_job_once(client, queue):
    job = submit(client).json()["id"]
    answer = client.post(f"/api/jobs/{job}/cancel")
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert queue.cancelled == [(job, 0)]
    assert client.post(f"/api/jobs/{job}/cancel").status_code == 409


def test_cancel_asks_a_running_job_to_stop(client, database):
    job = submit(client).json()["id"]
    synthetic.measure(database, job, only=2, finish=False)
    answer = client.post(f"/api/jobs/{job}/cancel").json()
    assert answer["status"] == "running"
    assert answer["progress"]["message"] == "Stopping"
    assert answer["finished"] == 2


def test_cancel_does_not_depend_on_the_engine(client, queue, monkeypatch):
    job = submit(client).json()["id"]

    def refuse(*_args):
        raise RuntimeError("gone")

    monkeypatch.setattr(queue, "cancel", refuse)
    assert client.post(f"/api/jobs/{job}/cancel").json()["status"] == "cancelled"


def test_retry_puts_the_rest_back_on_the_queue(client, queue, database):
    job = submit(client).json()["id"]
    synthetic.measure(database, job, only=5, finish=False)
    with database.write() as session:
        jobs.finish(
            session, job, 1, "failed", {"type": "/problems/x", "title": "x", "status": 422, "detail": "No data."}
        )
    failed = client.get(f"/api/jobs/{job}").json()
    assert failed["problem"]["detail"] == "No data."
    answer = client.post(f"/api/jobs/{job}/retry")
    assert answer.status_code == 200
    retried = answer.json()
    assert retried["status"] == "queued"
    assert retried["problem"] is None
    assert retried["finished"] == 5
    assert queue.enqueued[-1] == (job, 1, 0)
    assert client.post(f"/api/jobs/{job}/retry").status_code == 409


def test_retry_expands_against_what_the_workers_offer_now(client, database):
    from backend.store import workers

    job = submit(client).json()["id"]
    client.post(f"/api/jobs/{job}/cancel")
    before = {run["id"] for run in client.get(f"/api/jobs/{job}/runs").json()["items"]}
    with database.write() as session:
        workers.publish_catalogue(session, synthetic.catalogue(version="made-up-2", engine_version="engine-2"))
    client.post(f"/api/jobs/{job}/retry")
    after = {run["id"] for run in client.get(f"/api/jobs/{job}/runs").json()["items"]}
    assert len(after) == 21
    assert not before & after


def test_delete_takes_only_an_ended_job_and_its_own_runs(client, study):
    shared = submit(client, seeds=4).json()["id"]
    assert client.delete(f"/api/jobs/{shared}").status_code == 409
    run = client.get(f"/api/jobs/{study}/runs").json()["items"][0]["id"]
    assert client.delete(f"/api/jobs/{study}").status_code == 204
    assert client.get(f"/api/jobs/{study}").status_code == 404
    assert client.get(f"/api/runs/{run}").json()["jobs"] == [shared]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/jobs/nope"),
        ("delete", "/api/jobs/nope"),
        ("post", "/api/jobs/nope/cancel"),
        ("post", "/api/jobs/nope/retry"),
        ("get", "/api/jobs/nope/runs"),
        ("get", "/api/jobs/nope/events"),
        ("get", "/api/runs/nope"),
        ("get", "/api/measurements?job_id=nope"),
        ("get", "/api/curves?job_id=nope"),
        ("get", "/api/frontier?job_id=nope"),
        ("get", "/api/figures/tradeoff?job_id=nope"),
        ("get", "/api/figures/roc?run_id=nope"),
        ("get", "/api/nothing"),
        ("post", "/api/nothing/at/all"),
    ],
)
def test_what_is_not_there_is_a_problem(client, method, path):
    answer = getattr(client, method)(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Not found"
    assert "nope" in answer.json()["detail"] or "nothing" in answer.json()["detail"]


# --- lists ------------------------------------------------------------------------------------------------------------


def pages(client, path, limit):
    items, cursor = [], None
    for _ in range(1000):
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = client.get(path, params=query).json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_are_complete_and_without_repetition(client, limit):
    made = [submit(client, name=f"study {i}", seeds=[i]).json()["id"] for i in range(7)]
    assert [job["id"] for job in pages(client, "/api/jobs", limit)] == made[::-1]
    runs = pages(client, f"/api/jobs/{made[0]}/runs", limit)
    assert len(runs) == len({run["id"] for run in runs}) == 7


def test_jobs_are_filtered(client, study):
    other = submit(client, name="Only 100 % DP", methods=[{"name": "dp_sgd"}], tags=["mine", "a&b"]).json()["id"]

    def found(**filters):
        return [job["id"] for job in client.get("/api/jobs", params=filters).json()["items"]]

    assert found(status="queued") == [other]
    assert found(status=["queued", "succeeded"]) == [other, study]
    assert found(method="soft_ada_clip") == [study]
    assert found(method="sgd") == [study]
    assert found(tag="a&b") == [other]
    assert found(tag="a") == []
    assert found(text="100 %") == [other]
    assert found(text="MADE-UP") == [study]
    assert found(text=study) == [study]
    assert found(text="_") == []
    assert found(dataset="adult") == [other, study]
    assert found(dataset="other") == []


def test_runs_of_a_job_are_filtered(client, study):
    base = f"/api/jobs/{study}/runs"
    assert len(client.get(base, params={"method": "sgd"}).json()["items"]) == 3
    assert client.get(base, params={"status": "failed"}).json()["items"] == []
    run = client.get(base).json()["items"][0]
    assert run["method"] == "sgd"
    assert run["epsilon"] is None
    assert run["params"]["training.epochs"] == 5
    assert run["reused"] is False


def test_a_run_is_shown_whole(client, study):
    key = client.get(f"/api/jobs/{study}/runs", params={"method": "dp_sgd"}).json()["items"][0]["id"]
    run = client.get(f"/api/runs/{key}").json()
    assert run["config_hash"].startswith(key)
    assert run["jobs"] == [study]
    assert run["setting"]["method"]["name"] == "dp_sgd"
    assert {m["metric"] for m in run["measurements"]} >= {"loss", "loss_gap", "epsilon"}
    assert {s["name"] for s in run["history"]} >= {"train_loss", "threshold", "gradient_cosine"}
    assert {r["subgroup"] for r in run["rocs"]} == set(synthetic.SUBGROUPS)


def test_a_job_lists_its_subgroups_with_everybody_first(client, study):
    subgroups = client.get(f"/api/jobs/{study}").json()["subgroups"]
    assert subgroups[0] == "all"
    assert {"sex", "race=Other"} <= set(subgroups)


# --- with the engine itself -------------------------------------------------------------------------------------------


def test_with_the_real_queue_a_job_is_on_it_or_was_never_stored(settings):
    from backend.main import create_app
    from backend.queue import JobQueue
    from backend.store import workers
    from tests.backend.conftest import TestClient

    app = create_app(settings)
    with TestClient(app, base_url="http://localhost") as client:
        context = app.state.context
        with context.database.write() as session:
            workers.publish_catalogue(session, synthetic.catalogue())
        first = submit(client).json()["id"]
        engine = context.queue()
        assert isinstance(engine, JobQueue)
        assert engine.entries([(first, 0)])[first, 0].place == "waiting"
        assert submit(client, seeds=0).status_code == 422
        assert client.post(f"/api/jobs/{first}/cancel").json()["status"] == "cancelled"
        assert engine.entries([(first, 0)])[first, 0].place == "ended"
        assert client.post(f"/api/jobs/{first}/retry").json()["status"] == "queued"
        assert engine.entries([(first, 1)])[first, 1].place == "waiting"
