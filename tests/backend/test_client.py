"""The Python client against the application itself."""

import io
import threading

import httpx
import pytest
from pydantic import ValidationError

from backend.client import Client, ClientError, JobDidNotSucceed, RequestRefused, ServerUnreachable
from backend.contracts.spec import JobSpec
from backend.store import jobs
from tests.backend import synthetic


class Through(httpx.BaseTransport):
    """Hands requests to the test client of the application."""

    def __init__(self, inner):
        self.inner = inner

    def handle_request(self, request):
        answer = self.inner.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


@pytest.fixture
def equipoise(client):
    with Client("http://localhost", transport=Through(client)) as one:
        yield one


def test_a_study_from_submission_to_curves(equipoise, database):
    handle = equipoise.submit(JobSpec.model_validate(synthetic.spec()))
    assert handle.status() == "queued"
    assert repr(handle) == f"<study {handle.id} 'A made-up study': queued, 0 of 21 runs>"
    worker = threading.Thread(target=synthetic.measure, args=(database, handle.id))
    worker.start()
    shown = io.StringIO()
    assert handle.wait(every=0.02, output=shown) is handle
    worker.join()
    assert shown.getvalue().splitlines()[-1] == "A made-up study: Done, 21 of 21 runs"
    assert handle.url == f"http://localhost/studies/{handle.id}"
    assert len(handle.runs()) == 21
    assert len(handle.runs(method="sgd")) == 3
    assert len(handle.measurements(metric=["loss", "accuracy"], subgroup="all", split="test")) == 42
    assert len(handle.measurements()) > 1000, "more than one page"
    assert {c.method for c in handle.curves(y="loss", subgroup="all").curves} == set(synthetic.EFFECT)
    assert handle.frontier(x="loss", y="loss_gap").items
    assert handle.figure("tradeoff", theme="dark").figure["data"]
    assert equipoise.measurements_csv(job_id=handle.id).startswith("run_id,method,")
    run = equipoise.run(handle.runs()[0].id)
    assert run.jobs == [handle.id]
    assert equipoise.job(handle.id).job == handle.job
    assert [job.id for job in equipoise.jobs(status="succeeded")] == [handle.id]
    handle.delete()
    with pytest.raises(RequestRefused, match="Not found"):
        equipoise.job(handle.id)


def test_specifications_as_dictionaries_with_changes(equipoise):
    preview = equipoise.preview(synthetic.spec())
    assert preview.runs == 21
    one = equipoise.submit(synthetic.spec(), idempotency_key="k", seeds=1, name="Changed")
    assert (one.job.name, one.job.runs) == ("Changed", 7)
    assert equipoise.submit(synthetic.spec(), idempotency_key="k", seeds=1, name="Changed").id == one.id
    assert one.cancel().status == "cancelled"
    assert one.retry().status == "queued"


def test_presets_by_name(equipoise):
    assert next(p.name for p in equipoise.presets()) == "quickstart"
    with pytest.raises(ClientError, match="softadaclip-adult"):
        equipoise.submit("quikstart")
    with pytest.raises(RequestRefused, match="quantile"):
        equipoise.submit("quickstart")  # The made-up catalogue lacks that parameter.


def test_a_refusal_says_every_field(equipoise):
    with pytest.raises(RequestRefused) as error:
        equipoise.submit(synthetic.spec(seeds=0, colour="red"))
    text = str(error.value)
    assert "The request needs a change (HTTP 422)" in text
    assert "seeds: expected" in text
    assert "colour: expected no such field" in text
    assert error.value.status == 422
    assert {p.field for p in error.value.problems} == {"seeds", "colour"}


def test_waiting_for_a_study_that_fails_says_why(equipoise, database):
    handle = equipoise.submit(synthetic.spec())
    with database.write() as session:
        attempt = jobs.claim(session, handle.id, "w")
        problem = {"type": "/problems/data-missing", "title": "No data", "status": 422, "detail": "Put it there."}
        jobs.finish(session, handle.id, attempt, "failed", problem)
    with pytest.raises(JobDidNotSucceed, match="failed: Put it there"):
        handle.wait(progress=False)
    assert handle.wait(progress=False, check=False).job.status == "failed"


def test_waiting_has_an_end(equipoise):
    with pytest.raises(TimeoutError, match="still queued"):
        equipoise.submit(synthetic.spec()).wait(progress=False, timeout=0.05, every=0.01)


def test_nobody_there():
    with Client("http://127.0.0.1:9", timeout=2) as nobody, pytest.raises(ServerUnreachable, match="equipoise serve"):
        nobody.health()


def test_somebody_else_there():
    page = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>Bad gateway</html>"))
    with Client("http://localhost", transport=page) as other, pytest.raises(RequestRefused, match="Bad gateway"):
        other.health()
    odd = httpx.MockTransport(lambda _: httpx.Response(200, json={"hello": 1}))
    with Client("http://localhost", transport=odd) as other, pytest.raises(ClientError, match="different releases"):
        other.health()


def test_the_calculator_and_what_choosing_costs(equipoise, database):
    asked = {"rows": 27_133, "batch_size": 256, "epochs": 10, "sigmas": [0.8], "accountants": ["rdp"]}
    answer = equipoise.calculate(**asked, tries={"mean": 30})
    (row,) = answer.selection.cost
    assert row.one == answer.cost[0].epsilon < row.selected < row.all
    with pytest.raises(RequestRefused, match="batch_size"):
        equipoise.calculate(**{**asked, "batch_size": 30_000})
    with pytest.raises(ValidationError, match="mean"):
        equipoise.calculate(**asked, tries={"mean": 0})
    handle = equipoise.submit(JobSpec.model_validate(synthetic.spec()))
    synthetic.measure(database, handle.id)
    private = next(run for run in handle.runs() if run.epsilon is not None)
    assert equipoise.choosing(private.id).trainings == 9
    assert equipoise.choosing(private.id, job_id=handle.id) == equipoise.choosing(private.id)
    assert equipoise.choosing(handle.runs(method="sgd")[0].id) is None
