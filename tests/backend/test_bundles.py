"""Rerun bundles: made from a study, checked against another server, verified number by number."""

import json

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.client import Client, ClientError
from backend.contracts.bundles import Bundle
from backend.reports import bundle as bundles
from backend.store import workers
from tests.backend import synthetic
from tests.backend.test_client import Through

#: Before a test puts another in its place.
_Client = httpx.Client


@pytest.fixture
def equipoise(client):
    with Client("http://localhost", transport=Through(client)) as one:
        yield one


@pytest.fixture
def study(equipoise, database):
    handle = equipoise.submit(synthetic.spec(seeds=2))
    synthetic.measure(database, handle.id)
    return handle


def test_a_bundle_holds_seeds_code_data_packages_runs_and_every_number_but_times(study, equipoise):
    found = study.bundle()
    assert found.spec.seeds == [0, 1]
    assert found.spec.model_copy(update={"seeds": 2}) == equipoise.job(study.id).job.spec
    assert [run.key for run in found.runs] == [run.id for run in study.runs()]
    assert {part.name for part in found.parts if part.kind == "method"} == set(synthetic.EFFECT)
    everything = {(m.run_id, m.metric, m.subgroup, m.split): m.value for m in study.measurements()}
    # How long a training took is never the same again.
    measured = {key: value for key, value in everything.items() if key[1] != "wall_seconds"}
    assert len(measured) == len(everything) - len(found.runs)
    carried = {
        (run.key, one.metric, one.subgroup, one.split): value
        for one in found.series
        for run, value in zip(found.runs, one.values, strict=True)
    }
    assert {key: carried[key] for key in measured} == measured
    assert sum(value is not None for value in carried.values()) == sum(value is not None for value in measured.values())
    assert study.bundle(measurements=False).series == []


def test_the_same_server_finds_no_difference_and_every_run_measured(study, equipoise):
    check = equipoise.check(study.bundle())
    assert check.differences == []
    assert (check.runs, check.same_runs, check.measured) == (14, 14, 14)
    again = equipoise.rerun(study.bundle())
    assert again.job.status == "succeeded"
    answer = again.verify(study.bundle())
    assert (answer.missing, answer.worst) == (0, [])
    assert answer.equal == answer.compared > 100
    assert "All" in answer.sentence


def test_other_code_data_and_packages_are_named(study, equipoise, database):
    old = study.bundle()
    changed = synthetic.catalogue(engine_version="other", version="x", python="3.99", packages={"numpy": "9"})
    plugins = [
        plugin.model_copy(update={"version": "changed"}) if plugin.name == "dp_sgd" else plugin
        for plugin in changed.plugins
    ]
    with database.write() as session:
        workers.publish_catalogue(session, changed.model_copy(update={"plugins": plugins}))
    check = equipoise.check(old.model_copy(update={"packages": {"numpy": "2"}, "data_hash": "abc"}))
    found = {one.what: one for one in check.differences}
    assert {"engine", "method dp_sgd", "data", "Python", "package numpy"} <= set(found)
    assert (found["package numpy"].bundle, found["package numpy"].here) == ("2", "9")
    assert found["engine"].matters
    assert not found["package numpy"].matters
    assert (check.same_runs, check.measured) == (0, 0)
    assert "None of the 14" in check.sentence


def test_a_bundle_that_cannot_run_here_is_refused_and_says_which_field(study, equipoise, database):
    old = study.bundle(measurements=False).model_dump(mode="json")
    old["spec"]["methods"][1]["name"] = "gone"
    answer = equipoise._http.post("/api/bundles/check", json=old)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "methods.1.name"
    old["format"] = "equipoise-bundle-2"
    answer = equipoise._http.post("/api/bundles/check", json=old)
    assert [p["field"] for p in answer.json()["problems"]] == ["format"]


def test_every_kind_of_deviation_is_found_and_the_furthest_comes_first(study):
    found = study.bundle()
    naive = {}
    rng = np.random.default_rng(5)
    series = []
    for one in found.series:
        values = list(one.values)
        if one.metric == "loss":
            for place in rng.choice(len(values), 3, replace=False):
                if values[place] is not None:
                    values[place] += float(rng.normal()) * 1e-3
        series.append(one.model_copy(update={"values": values}))
    for before, after in zip(found.series, series, strict=True):
        apart = [
            abs(a - b)
            for a, b in zip(before.values, after.values, strict=True)
            if a is not None and b is not None and a != b
        ]
        if apart:
            naive[before.metric, before.subgroup, before.split] = (len(apart), max(apart))
    answer = bundles.verify(found, series, found.runs)
    assert {(d.metric, d.subgroup, d.split): (d.compared - d.equal, d.largest) for d in answer.worst} == naive
    assert [d.largest for d in answer.worst] == sorted((d.largest for d in answer.worst), reverse=True)
    total = sum(len(one.values) for one in found.series)
    assert (answer.compared, answer.missing) == (total, 0)
    assert answer.equal == total - sum(count for count, _ in naive.values())


def test_numbers_that_are_gone_and_numbers_that_are_new_are_not_called_the_same(study):
    found = study.bundle()
    first = next(one for one in found.series if all(value is not None for value in one.values))
    gone = [first.model_copy(update={"values": [None, *first.values[1:]]})]
    answer = bundles.verify(found.model_copy(update={"series": [first]}), gone, found.runs)
    assert (answer.missing, answer.equal) == (1, len(first.values) - 1)
    answer = bundles.verify(found.model_copy(update={"series": gone}), [first], found.runs)
    assert (answer.missing, answer.equal, answer.compared) == (0, len(first.values) - 1, len(first.values))
    answer = bundles.verify(found.model_copy(update={"series": [first]}), [], found.runs)
    assert (answer.missing, answer.equal) == (len(first.values), 0)


def test_another_study_is_not_verified(study, equipoise):
    other = equipoise.submit(synthetic.spec(seeds=1))
    with pytest.raises(ClientError, match="other runs"):
        other.verify(study.bundle())
    with pytest.raises(ClientError, match="no measurements"):
        study.verify(study.bundle(measurements=False))


def test_a_study_without_runs_has_no_bundle(equipoise):
    handle = equipoise.submit(synthetic.spec())
    assert len(handle.bundle().runs) == 21
    assert equipoise._http.get("/api/jobs/nowhere/bundle").status_code == 404


def test_too_many_numbers_are_refused_with_the_way_out(study, equipoise, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_NUMBERS", 10)
    answer = equipoise._http.get(f"/api/jobs/{study.id}/bundle")
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "measurements"
    assert study.bundle(measurements=False).runs


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "422"), ('{"format": "equipoise-bundle-1"}', "made_at"), ('{"format": 3}', "format"), ("[", "not JSON")],
)
def test_the_command_line_says_what_is_wrong_with_a_file(tmp_path, monkeypatch, client, content, said):
    monkeypatch.setattr("backend.client.httpx.Client", lambda **how: _http(client, **how))
    (tmp_path / "bundle.json").write_text(content)
    answer = CliRunner().invoke(app, ["submit", str(tmp_path / "bundle.json")])
    assert answer.exit_code == 1
    assert said in answer.output


def _http(client, **how):
    return _Client(base_url=how["base_url"].replace("127.0.0.1:8000", "localhost"), transport=Through(client))


def test_the_command_line_makes_submits_and_verifies(tmp_path, monkeypatch, client, study):
    monkeypatch.setattr("backend.client.httpx.Client", lambda **how: _http(client, **how))
    made = CliRunner().invoke(app, ["bundle", study.id])
    assert made.exit_code == 0
    file = tmp_path / "bundle.json"
    file.write_text(made.stdout)
    submitted = CliRunner().invoke(app, ["submit", str(file)])
    assert submitted.exit_code == 0
    assert "All 14 runs are the same here" in submitted.stderr
    again = submitted.stdout.strip()
    assert CliRunner().invoke(app, ["verify", str(file), again]).exit_code == 0
    changed = json.loads(file.read_text())
    changed["series"][0]["values"][0] = 123.0
    file.write_text(json.dumps(changed))
    answer = CliRunner().invoke(app, ["verify", str(file), again])
    assert answer.exit_code == 1
    assert changed["series"][0]["metric"] in answer.stderr
    assert Bundle.model_validate(changed).series[0].values[0] == 123.0
