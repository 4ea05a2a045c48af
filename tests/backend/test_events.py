"""The event stream: complete, resumable, ending, and cheap to keep open."""

import asyncio
import json
import threading
import time

import httpx
import pytest

from backend.api.stream import EventHub
from backend.store import jobs
from tests.backend import synthetic


def parse(text):
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


def read(client, job, **how):
    answer = client.get(f"/api/jobs/{job}/events", **how)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in answer.headers["cache-control"]
    return parse(answer.text)


def test_the_stream_tells_all_and_ends(client, study):
    events = read(client, study)
    ids = [event for event, _, _ in events]
    assert ids == sorted(set(ids))
    kinds = [kind for _, kind, _ in events]
    assert kinds.count("run") == 21
    assert [d["data"]["status"] for _, kind, d in events if kind == "status"] == ["queued", "running", "succeeded"]
    assert events[-1][2]["data"]["status"] == "succeeded"
    for number, kind, data in events:
        assert (data["id"], data["type"], data["job_id"]) == (number, kind, study)


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(client, study, how):
    everything = read(client, study)
    for cut in (0, 1, 10, len(everything) - 1, len(everything)):
        last = everything[cut - 1][0] if cut else 0
        request = {"headers": {"Last-Event-ID": str(last)}} if how == "header" else {"params": {"last_event_id": last}}
        assert read(client, study, **request) == everything[cut:]


def test_more_events_than_one_portion(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    with database.write() as session:
        for i in range(1234):
            jobs.add_event(session, job, "progress", {"done": i})
        jobs.request_cancel(session, job)
    events = read(client, job)
    assert [d["data"]["done"] for _, kind, d in events if kind == "progress"] == list(range(1234))
    assert events[-1][2]["data"]["status"] == "cancelled"


def test_new_events_arrive_while_the_stream_is_open(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]

    def work():
        time.sleep(0.3)
        synthetic.measure(database, job)

    worker = threading.Thread(target=work)
    worker.start()
    events = read(client, job)
    worker.join()
    assert sum(kind == "run" for _, kind, _ in events) == 21
    assert events[-1][2]["data"]["status"] == "succeeded"


def test_the_stream_of_a_deleted_job_ends(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]

    def delete():
        time.sleep(0.3)
        client.post(f"/api/jobs/{job}/cancel")
        client.delete(f"/api/jobs/{job}")

    thread = threading.Thread(target=delete)
    thread.start()
    read(client, job)
    thread.join()


def test_silence_is_broken_by_comments(database):
    async def listen():
        hub = EventHub(lambda: database, 0.02)
        stream = hub.stream(job, 0, heartbeat_seconds=0.05)
        seen = [await anext(stream) for _ in range(5)]
        await stream.aclose()
        assert hub.watched == 0
        hub.close()
        return seen

    with database.write() as session:
        job = jobs.create(session, _spec(), runs=1).id
    seen = asyncio.run(listen())
    assert seen[0].startswith("retry: ")
    assert "event: status" in seen[1]
    assert seen[2] == seen[3] == ": still here\n\n"


def test_hundreds_of_open_streams_hold_up_nobody(client, database):
    """All wait on one look at the database, none on a thread."""
    app = client.app
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    count = 300

    async def everything():
        hub = app.state.context.__dict__["events"] = EventHub(lambda: database, 0.05)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http:
            readers = [asyncio.create_task(http.get(f"/api/jobs/{job}/events")) for _ in range(count)]
            while hub.watched < count:
                await asyncio.sleep(0.01)
            threads = threading.active_count()
            slowest = 0.0
            for _ in range(10):
                start = time.perf_counter()
                assert (await http.get(f"/api/jobs/{job}")).status_code == 200
                slowest = max(slowest, time.perf_counter() - start)
            assert (await http.post(f"/api/jobs/{job}/cancel")).status_code == 200
            answers = await asyncio.gather(*readers)
            hub.close()
            return answers, threads, slowest

    answers, threads, slowest = asyncio.run(everything())
    assert all(parse(answer.text)[-1][2]["data"]["status"] == "cancelled" for answer in answers)
    assert threads < 100
    assert slowest < 2


def test_closing_the_hub_ends_open_streams(database):
    async def listen():
        hub = EventHub(lambda: database, 0.02)

        async def read_all():
            return [chunk async for chunk in hub.stream(job, 0)]

        reader = asyncio.create_task(read_all())
        await asyncio.sleep(0.2)
        hub.close()
        return await asyncio.wait_for(reader, 2)

    with database.write() as session:
        job = jobs.create(session, _spec(), runs=1).id
    assert len(asyncio.run(listen())) == 2


def _spec():
    from backend.contracts.spec import JobSpec

    return JobSpec.model_validate(synthetic.spec())
