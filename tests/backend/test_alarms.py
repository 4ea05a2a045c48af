"""Alarms: raised by a p-value below 0.05 after correction for the audits of the job, and shown where it matters."""

import numpy as np
import pytest
from sqlalchemy import select

from backend.analysis.alarms import Audited, audited, of_job, of_run, refuted
from backend.api.services import alarms as service
from backend.store.tables import JobRunRow, MeasurementRow, RunRow, SeriesRow
from tests.backend import synthetic


def one(run, p, bound=3.0, claim=1.0):
    return Audited(run, "one_run_audit", p, bound, claim)


def test_the_rule():
    assert refuted([one("a", 0.049)])
    assert not refuted([one("a", 0.05)])
    assert not refuted([one("a", 0.049), one("b", 0.9)]), "two audits: below 0.025"
    assert [x.run for x in refuted([one("a", 0.024), one("b", 0.9)])] == ["a"]
    assert refuted([]) == []
    assert of_job([]) is None
    assert of_run([], "a") is None


def test_what_is_said():
    audits = [one("a", 0.001), one("b", 0.9)]
    said = of_run(audits, "a")
    assert "claimed ε of 1: it leaks at least ε = 3 (95 % confidence)" in said
    assert "probability 0.001 (alarm below 0.025, corrected for 2 audits)" in said
    assert of_run(audits, "b") is None
    assert of_job(audits).startswith("The audit of 1 run refutes its claimed ε (p below 0.025")
    assert of_job([one("a", 0.001), one("b", 0.001)]).startswith("Audits of 2 runs refute their")


def test_audits_are_found_among_figures():
    rows = [("a", "x_p_at_claim", 0.01), ("a", "x_epsilon", 4.0), ("a", "epsilon", 1.0), ("b", "x_p_at_claim", None)]
    assert audited(rows, {"a": 1.0}) == [Audited("a", "x", 0.01, 4.0, 1.0)]


@pytest.mark.parametrize(("p", "raised"), [(1e-6, True), (0.04, False)])
def test_the_api_shows_it_on_job_and_run(client, database, study, p, raised):
    keys = [run["id"] for run in client.get(f"/api/jobs/{study}/runs").json()["items"]]
    with database.write() as session:
        rows = {row.key: row.id for row in session.query(RunRow).filter(RunRow.key.in_(keys))}
        for metric in ("one_run_audit_p_at_claim", "one_run_audit_epsilon"):
            series = SeriesRow(metric=metric, subgroup="all", split="test")
            session.add(series)
            session.flush()
            for place, key in enumerate(keys):
                value = 3.0 if metric.endswith("epsilon") else p if place == 0 else 0.5
                session.add(MeasurementRow(series_id=series.id, run_id=rows[key], value=value))
    job = client.get(f"/api/jobs/{study}").json()
    listed = client.get("/api/jobs").json()["items"][0]
    runs = client.get(f"/api/jobs/{study}/runs").json()["items"]
    whole = client.get(f"/api/runs/{keys[0]}").json()
    assert (job["alarm"] is not None) == (listed["alarm"] is not None) == (whole["alarm"] is not None) == raised
    assert {run["id"] for run in runs if run["alarm"]} == ({keys[0]} if raised else set())
    assert whole["alarm"] == next(run["alarm"] for run in runs if run["id"] == keys[0])


@pytest.mark.parametrize("seed", range(4))
def test_counting_in_the_database_says_what_reading_every_audit_says(client, database, study, seed):
    """Jobs that share runs, runs with two audits, p-values that are absent: the same words as one by one."""
    random = np.random.default_rng(seed)
    more = client.post("/api/jobs", json=synthetic.spec(seeds=5)).json()["id"]
    synthetic.measure(database, more)
    with database.write() as session:
        ids = list(session.scalars(select(RunRow.id)))
        for audit in ("one_run_audit", "canary_audit"):
            p_series, bound = (
                SeriesRow(metric=f"{audit}{end}", subgroup="all", split="test") for end in ("_p_at_claim", "_epsilon")
            )
            session.add_all([p_series, bound])
            session.flush()
            for run in ids:
                if random.random() < 0.7:
                    p = None if random.random() < 0.1 else float(random.random() ** 3 / 4)
                    session.add(MeasurementRow(series_id=p_series.id, run_id=run, value=p))
                    session.add(MeasurementRow(series_id=bound.id, run_id=run, value=float(random.random() * 9)))
    with database.read() as session:
        jobs = [study, more]
        audits = service.audits_of(session, jobs)
        assert service.of_jobs(session, [*jobs, "nobody"]) == {job: of_job(audits[job]) for job in jobs}
        said = []
        for job in jobs:
            keys = list(session.scalars(select(RunRow.key).join(JobRunRow).where(JobRunRow.job_id == job)))
            expected = {key: of_run(audits[job], key) for key in keys}
            assert service.of_runs(session, job, keys) == expected
            assert service.of_runs(session, job, keys[:3]) == {key: expected[key] for key in keys[:3]}
            said += [one for one in expected.values() if one]
        assert said, "some are refuted"
