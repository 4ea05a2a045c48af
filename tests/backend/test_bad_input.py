"""Whatever is wrong with a request: a 4xx that says what to change, and nothing stored."""

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.backend import synthetic

JSON = {"Content-Type": "application/json"}


def refused(answer, field=None, status=422):
    """The problem, after checking its shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"].startswith(("/problems/", "about:blank"))
    for entry in problem.get("problems", []):
        assert entry["expected"], entry
        assert entry["fix"], entry
    if field is not None:
        assert field in [entry["field"] for entry in problem["problems"]], problem["problems"]
    return problem


def dp(**params):
    return [{"name": "dp_sgd", "params": params}]


BAD_SPECS = {
    "unknown dataset": ({"dataset": {"name": "adlut"}}, "dataset.name"),
    "unknown model": ({"model": {"name": "resnet"}}, "model.name"),
    "unknown method": ({"methods": [{"name": "dp_sdg"}]}, "methods.0.name"),
    "unknown attack": ({"evaluation": {"attacks": [{"name": "lira"}]}}, "evaluation.attacks.0.name"),
    "unknown parameter": ({"methods": dp(epsilom=1)}, "methods.0.params.epsilom"),
    "unknown training": ({"training": {"epoch": 1}}, "training.epoch"),
    "unknown field": ({"seed": 3}, "seed"),
    "out of range": ({"methods": dp(epsilon=-1)}, "methods.0.params.epsilon"),
    "one of a sweep out of range": ({"methods": dp(epsilon=[1, 0, 2])}, "methods.0.params.epsilon.1"),
    "too large": ({"methods": dp(epsilon=1e9)}, "methods.0.params.epsilon"),
    "wrong type": ({"methods": dp(epsilon="small")}, "methods.0.params.epsilon"),
    "list of lists": ({"methods": dp(epsilon=[[1], [2]])}, "methods.0.params.epsilon.0"),
    "object for a number": ({"methods": dp(epsilon={"a": 1})}, "methods.0.params.epsilon"),
    "boolean for a number": ({"training": {"epochs": True}}, "training.epochs"),
    "fraction of an epoch": ({"training": {"epochs": 1.5}}, "training.epochs"),
    "empty sweep": ({"methods": dp(epsilon=[])}, "methods.0.params.epsilon"),
    "repeated in a sweep": ({"methods": dp(epsilon=[1, 1.0])}, "methods.0.params.epsilon"),
    "sweep of what does not sweep": ({"methods": dp(delta=[1e-5, 1e-6])}, "methods.0.params.delta"),
    "absurd sweep": ({"methods": dp(epsilon=[i / 100 for i in range(1, 2000)])}, "methods"),
    "absurd number of seeds": ({"seeds": 9999}, "methods"),
    "more seeds than the limit": ({"seeds": 10_001}, "seeds"),
    "no seeds": ({"seeds": []}, "seeds"),
    "repeated seeds": ({"seeds": [1, 1]}, "seeds"),
    "negative seed": ({"seeds": [-1]}, "seeds.0"),
    "seeds in words": ({"seeds": "three"}, "seeds"),
    "no methods": ({"methods": []}, "methods"),
    "methods as a text": ({"methods": "sgd"}, "methods"),
    "a method without a name": ({"methods": [{"params": {}}]}, "methods.0.name"),
    "odd method name": ({"methods": [{"name": "../../etc/passwd"}]}, "methods.0.name"),
    "unknown subgroup": ({"dataset": {"name": "adult", "subgroups": ["gender"]}}, "dataset.subgroups.0"),
    "unknown in an intersection": (
        {"dataset": {"name": "adult", "subgroups": [["sex", "age"]]}},
        "dataset.subgroups.0",
    ),
    "attribute twice": ({"dataset": {"name": "adult", "subgroups": [["sex", "sex"]]}}, "dataset.subgroups.0"),
    "empty intersection": ({"dataset": {"name": "adult", "subgroups": [[]]}}, "dataset.subgroups.0"),
    "batch larger than the data": ({"training": {"batch_size": 30_000}}, "training.batch_size"),
    "epsilon out of reach": ({"methods": dp(epsilon=[1, 1e-7])}, "methods.0.params.epsilon.1"),
    "empty name": ({"name": ""}, "name"),
    "name too long": ({"name": "x" * 201}, "name"),
    "too many tags": ({"tags": [str(i) for i in range(21)]}, "tags"),
    "priority out of range": ({"priority": 101}, "priority"),
}


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/preview"])
@pytest.mark.parametrize("case", BAD_SPECS)
def test_a_bad_specification_is_refused_with_its_field(client, stored, queue, path, case):
    change, field = BAD_SPECS[case]
    before = stored()
    problem = refused(client.post(path, json=synthetic.spec(**change)), field)
    assert problem["type"] == "/problems/validation"
    assert stored() == before
    assert queue.enqueued == []


def test_everything_wrong_is_said_at_once_in_plain_words(client):
    change = {"methods": dp(epsilon=-1, clipp=2), "dataset": {"name": "adult", "subgroups": ["gender"]}}
    problem = refused(client.post("/api/jobs", json=synthetic.spec(**change)))
    by_field = {entry["field"]: entry for entry in problem["problems"]}
    assert by_field["methods.0.params.epsilon"]["expected"] == "a number > 0 and ≤ 1000"
    assert by_field["methods.0.params.epsilon"]["got"] == "-1"
    assert by_field["methods.0.params.clipp"]["fix"] == "Did you mean 'clip'?"
    assert "sex" in by_field["dataset.subgroups.0"]["fix"]
    assert problem["instance"] == "/api/jobs"


def test_a_limit_is_stated(client):
    problem = refused(client.post("/api/jobs", json=synthetic.spec(seeds=5000)))
    assert "5,000 runs" in problem["detail"]
    assert "EQUIPOISE_MAX_RUNS_PER_JOB" in problem["detail"]


NOT_JSON = {
    "nothing": b"",
    "text": b"hello",
    "half": b'{"name": ',
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "NaN": b'{"seeds": NaN}',
    "Infinity": b'{"methods": [{"name": "dp_sgd", "params": {"epsilon": Infinity}}]}',
    "a number beyond floats": b'{"methods": [{"name": "dp_sgd", "params": {"epsilon": 1e999}}]}',
    "a number of many digits": b'{"seeds": ' + b"9" * 5000 + b"}",
    "a number beyond 64 bits": b'{"seeds": ' + b"9" * 30 + b"}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff": 1}',
    "NUL": b'{"name": "a\\u0000b"}',
    "deep lists": b'{"name": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "moderately deep": b'{"dataset": {"name": "adult", "params": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}}",
    "unclosed": b"[" * 100_000,
}


@pytest.mark.parametrize("case", NOT_JSON)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/preview"])
def test_what_is_not_a_specification_is_refused(client, stored, path, case):
    before = stored()
    answer = client.post(path, content=NOT_JSON[case], headers={"Content-Type": "application/json"})
    refused(answer)
    assert stored() == before


def test_the_place_of_an_odd_value_is_named(client):
    body = json.dumps(synthetic.spec()).replace('"A made-up study"', '"\\u0000"')
    problem = refused(client.post("/api/jobs", content=body, headers={"Content-Type": "application/json"}), "name")
    assert "NUL" in problem["detail"]


def test_another_content_type_is_refused(client, stored):
    before = stored()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/api/jobs", content=json.dumps(synthetic.spec()), headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500
        refused(answer, status=answer.status_code)
    assert stored() == before


def test_a_body_of_50_megabytes_is_refused(client, stored):
    before = stored()
    body = b'{"name": "' + b"x" * 50_000_000 + b'"}'
    problem = refused(client.post("/api/jobs", content=body), status=413)
    assert "1,000,000 bytes" in problem["detail"]

    def endless():
        for _ in range(1000):
            yield b" " * 100_000

    refused(client.post("/api/jobs", content=endless()), status=413)
    assert stored() == before


def test_a_length_that_lies_is_refused(client):
    refused(client.post("/api/jobs", content=b"{}", headers={"Content-Length": "9" * 30}), status=413)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/jobs?limit=0", "limit"),
        ("/api/jobs?limit=100000", "limit"),
        ("/api/jobs?limit=many", "limit"),
        ("/api/jobs?status=done", "status.0"),
        ("/api/jobs?stauts=queued", "stauts"),
        ("/api/jobs?cursor=nonsense", "cursor"),
        ("/api/jobs?cursor=WzEsMl0", "cursor"),  # [1, 2]
        ("/api/jobs?cursor=W1tdLFtdXQ", "cursor"),  # [[], []]
        ("/api/measurements?cursor=WyJhIiwiYiJd", "cursor"),  # ["a", "b"]
        ("/api/measurements?cursor=WzFlOTk5LDFd", "cursor"),  # [1e999, 1]
        ("/api/measurements?split=holdout", "split"),
        ("/api/measurements?format=xlsx", "format"),
        ("/api/curves", "job_id"),
        ("/api/frontier", "job_id"),
        ("/api/figures/tradeoff", "job_id"),
        ("/api/figures/roc", "job_id"),
        ("/api/figures/pie?job_id=x", "name"),
        ("/api/figures/roc?run_id=x&theme=blue", "theme"),
        ("/api/figures/roc?run_id=x&epsilon=-1", "epsilon"),
        ("/api/figures/roc?run_id=x&epsilon=nan", "epsilon"),
        ("/api/health?verbose=1", "verbose"),
        ("/api/jobs?text=%00", ""),
    ],
)
def test_bad_query_parameters_name_themselves(client, path, field):
    refused(client.get(path), field)


@pytest.mark.parametrize("name", ["x", "y"])
def test_an_unknown_metric_is_refused_with_the_nearest(client, study, name):
    problem = refused(client.get("/api/curves", params={"job_id": study, name: "acuracy"}), name)
    assert "accuracy" in problem["detail"]


def test_a_frontier_needs_directions(client, study):
    answer = client.get("/api/frontier", params={"job_id": study, "x": "epsilon", "y": "selection_rate"})
    refused(answer, "y")


def test_settings_cannot_be_chosen_by_what_has_no_direction(client, study):
    for by in ("selection_rate", "wall_seconds", "nonsense"):
        refused(client.get("/api/curves", params={"job_id": study, "choose": by}), "choose")


def test_figures_refuse_what_is_not_there(client, study):
    base = {"job_id": study}
    refused(client.get("/api/figures/subgroups", params={**base, "metric": "acuracy"}), "metric")
    refused(client.get("/api/figures/subgroups", params={**base, "epsilon": 3}), "epsilon")
    refused(client.get("/api/figures/roc", params={**base, "attack": "lira"}), "attack")
    refused(client.get("/api/figures/history", params={**base, "series": "thresold"}), "series")


@pytest.mark.parametrize("event", ["-1", "x", "1e9", "9" * 30])
def test_an_odd_event_id_is_refused(client, study, event):
    refused(client.get(f"/api/jobs/{study}/events", headers={"Last-Event-ID": event}))
    refused(client.get(f"/api/jobs/{study}/events?last_event_id={event}"), "last_event_id")


def test_without_a_catalogue_nothing_can_be_submitted(bare):
    for path in ("/api/jobs", "/api/jobs/preview"):
        problem = refused(bare.post(path, json=synthetic.spec()), status=503)
        assert "equipoise worker" in problem["detail"]
    refused(bare.get("/api/catalogue"), status=503)
    health = bare.get("/api/health").json()
    assert health["status"] == "degraded"
    assert "equipoise worker" in health["message"]


def test_an_unforeseen_error_says_an_incident_and_no_more(client, monkeypatch):
    from backend.store import jobs

    def fail(*_args, **_kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(jobs, "page", fail)
    problem = refused(client.get("/api/jobs"), status=500)
    assert "incident" in problem["detail"]
    assert "secret" not in json.dumps(problem)
    assert "Traceback" not in json.dumps(problem)


def test_a_locked_database_is_a_503_and_leaves_nothing(client, stored, monkeypatch):
    import sqlite3

    from sqlalchemy.exc import OperationalError

    from backend.store import runs

    def locked(*_args, **_kwargs):
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))

    before = stored()
    monkeypatch.setattr(runs, "attach", locked)
    answer = client.post("/api/jobs", json=synthetic.spec())
    assert "locked" in refused(answer, status=503)["detail"]
    assert answer.headers["retry-after"]
    assert stored() == before


def test_methods_that_an_address_lacks_are_refused(client):
    refused(client.put("/api/jobs", json={}), status=405)
    refused(client.patch("/api/catalogue"), status=405)


ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["sgd", "dp_sgd", "epsilon", "all", "", "\ud800", "\x00", "1e999"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def places(value, at=()):
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*at, key))


@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(data=st.data())
def test_whatever_stands_anywhere_the_server_keeps_its_temper(client, data):
    document = synthetic.spec()
    where = data.draw(st.sampled_from(list(places(document))))
    value = data.draw(ODD)
    if where:
        parent = document
        for key in where[:-1]:
            parent = parent[key]
        parent[where[-1]] = value
    else:
        document = value
    answer = client.post("/api/jobs/preview", content=json.dumps(document).encode(), headers=JSON)
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        refused(answer)
