"""What choosing costs: at the calculator, and among the trainings of a study."""

import numpy as np
import pytest

from backend.analysis import accountants, accounting, tuning
from backend.analysis.accounting import Schedule
from tests.backend import synthetic

ADULT = {"rows": 27_133, "batch_size": 256, "epochs": 10}
SCHEDULE = Schedule.of(27_133, 256, 10)


def ask(client, **more):
    answer = client.post("/api/accounting", json={**ADULT, "accountants": ["rdp"], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- the calculator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "shape"),
    [
        ({"mean": 12, "distribution": "logarithmic"}, 0.0),
        ({"mean": 12}, 1.0),
        ({"mean": 2.5, "distribution": "poisson"}, tuning.POISSON),
        ({"mean": 300, "distribution": "negative_binomial", "shape": 0.5}, 0.5),
    ],
)
def test_the_calculator_answers_after_choosing_and_back(client, tries, shape):
    found = ask(client, epsilons=[1, 8], sigmas=[0.8], tries=tries)["selection"]
    rest = 1e-5, SCHEDULE.sampling_rate, SCHEDULE.steps
    (cost,) = found["cost"]
    assert cost["one"] == accounting.epsilon(0.8, *rest)
    assert cost["selected"] == tuning.epsilon(0.8, *rest, mean=tries["mean"], shape=shape) > cost["one"]
    published = int(np.ceil(tries["mean"]))
    assert cost["all"] == accounting.epsilon(0.8, 1e-5, SCHEDULE.sampling_rate, SCHEDULE.steps * published)
    for asked, row in zip([1, 8], found["noise"], strict=True):
        assert 0.999 * asked <= row["selected"] <= asked
        assert row["one"] < asked
        back = ask(client, sigmas=[row["sigma"]], tries=tries)["selection"]["cost"][0]
        assert back == row
    plain = ask(client, epsilons=[1, 8], sigmas=[0.8])
    assert plain["selection"] is None
    assert plain["noise"] == ask(client, epsilons=[1, 8], sigmas=[0.8], tries=tries)["noise"], (
        "of one training, as ever"
    )


def test_one_training_costs_what_it_costs(client):
    (row,) = ask(client, sigmas=[0.8], tries={"mean": 1})["selection"]["cost"]
    assert row["one"] == row["selected"] == row["all"]


@pytest.mark.parametrize(
    ("tries", "field"),
    [
        ({"mean": 0.5}, "tries.mean"),
        ({"mean": "many"}, "tries.mean"),
        ({"mean": 1e12}, "tries.mean"),
        ({}, "tries.mean"),
        ({"mean": 3, "distribution": "uniform"}, "tries.distribution"),
        ({"mean": 3, "distribution": "negative_binomial", "shape": -1}, "tries.shape"),
        ({"mean": 3, "distribution": "negative_binomial"}, "tries"),
        ({"mean": 3, "shape": 2}, "tries"),
    ],
)
def test_a_number_of_trainings_that_cannot_be_is_named(client, tries, field):
    answer = client.post("/api/accounting", json={**ADULT, "sigmas": [1], "tries": tries})
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == field
    assert problem["expected"]
    assert problem["fix"]


def test_an_epsilon_that_choosing_puts_out_of_reach_is_named(client):
    body = {**ADULT, "epsilons": [1, 0.012], "accountants": ["rdp"]}
    assert client.post("/api/accounting", json=body).status_code == 200
    answer = client.post("/api/accounting", json={**body, "tries": {"mean": 1e6}})
    assert [one["field"] for one in answer.json()["problems"]] == ["epsilons.1"]


# --- along a training -------------------------------------------------------------------------------------------------


def test_the_figure_is_what_each_accountant_says_of_each_part(client):
    answer = client.post("/api/accounting/figure", json={**ADULT, "sigma": 0.8})
    assert answer.status_code == 200, answer.text
    figure = answer.json()
    assert [column["title"] for column in figure["columns"]][:2] == ["Epoch", "Step"]
    assert figure["rows"][-1][:2] == [10, 1060]
    assert len(figure["rows"]) == 7
    assert figure["rows"][0][1] == 1
    for epoch, step, *values in figure["rows"]:
        assert step == pytest.approx(epoch * 106)
        exact = [accountants.epsilon(n, 0.8, 1e-5, SCHEDULE.sampling_rate, step) for n in accountants.ACCOUNTANTS]
        assert values == exact
    for place, trace in enumerate(figure["figure"]["data"]):
        assert (trace["x"][0], trace["y"][0]) == (0, 0), "nothing is spent before the first step"
        assert trace["y"][1:] == [row[2 + place] for row in figure["rows"]]
        assert all(a < b for a, b in zip(trace["y"], trace["y"][1:], strict=False))
    rdp, _, pld = figure["rows"][-1][2:]
    assert (
        figure["title"]
        == f"With σ = 0.8, 10 epochs cost ε = {pld:.3g} by PLD; RDP says {100 * (rdp / pld - 1):.2g} % more"
    )
    assert "27,133 training rows" in figure["caption"]
    assert "δ = 1e-05" in figure["caption"]


@pytest.mark.parametrize(
    "change", [{"rows": 1, "batch_size": 1, "epochs": 1}, {"sigma": 1e4}, {"sigma": 0.05}, {"epochs": 1}]
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_odd_trainings_are_drawn_too(client, change, theme):
    from tests.backend.test_figures import check

    answer = client.post("/api/accounting/figure", json={**ADULT, "sigma": 1, "theme": theme, "width": 340, **change})
    assert answer.status_code == 200, answer.text
    check(answer.json())


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (3, 3), (106, 7), (20_000, 7), (20_001, 4), (200_000, 3)])
def test_long_trainings_have_fewer_places(client, monkeypatch, steps, points):
    calls = []
    monkeypatch.setattr(accountants, "epsilon", lambda name, *rest, **_: calls.append((name, rest)) or float(rest[-1]))
    body = {"rows": steps, "batch_size": 1, "epochs": 1, "sigma": 1}
    figure = client.post("/api/accounting/figure", json=body).json()
    assert len(figure["rows"]) == points
    assert len(calls) == 3 * points
    assert figure["rows"][-1][1] == steps


@pytest.mark.parametrize(
    ("change", "field"),
    [({"sigma": 0}, "sigma"), ({"batch_size": 30_000}, "batch_size"), ({"epochs": 90_000}, "epochs")],
)
def test_what_cannot_be_drawn_is_named(client, change, field):
    answer = client.post("/api/accounting/figure", json={**ADULT, "sigma": 1, **change})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["problems"]] == [field]


# --- among the trainings of a study -----------------------------------------------------------------------------------


def trained(client, database, **changes):
    job = client.post("/api/jobs", json=synthetic.spec(**changes)).json()["id"]
    synthetic.measure(database, job)
    return job


def runs_of(client, job, **query):
    return client.get(f"/api/jobs/{job}/runs", params={"limit": 500, **query}).json()["items"]


def choosing(client, run, **query):
    answer = client.get(f"/api/runs/{run['id']}/choosing", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_only_trainings_at_the_same_budget_are_counted(client, database):
    methods = [
        {"name": "sgd"},
        {"name": "dp_sgd", "params": {"epsilon": [1, 4], "clip": [0.5, 1.0, 2.0]}},
        {"name": "soft_ada_clip", "params": {"epsilon": [1, 4], "delta": 1e-5}},
        {"name": "adaptive_dp_sgd", "params": {"epsilon": [1, 4], "delta": 1e-7}},
    ]
    job = trained(client, database, methods=methods)
    runs = runs_of(client, job)
    assert choosing(client, next(run for run in runs if run["method"] == "sgd")) is None
    for run in runs:
        if run["epsilon"] is None:
            continue
        found = choosing(client, run)
        # 1e-5 is what an empty delta means for 27,133 rows.
        deltas = {one["id"]: one["params"]["method.delta"] or 1e-5 for one in runs if one["epsilon"] is not None}
        alike = [one for one in runs if one["epsilon"] == run["epsilon"] and deltas.get(one["id"]) == deltas[run["id"]]]
        assert found["trainings"] == len(alike) in (3, 12)
        assert found["settings"] == len({one["setting_id"] for one in alike})
        assert found["delta"] == deltas[run["id"]]
        assert found["all_epsilon"] == pytest.approx(len(alike) * run["epsilon"])
        assert found["all_delta"] == pytest.approx(len(alike) * deltas[run["id"]])


def test_the_random_figure_is_that_of_the_costliest_at_each_order(client, database):
    methods = [
        {"name": "dp_sgd", "params": {"epsilon": 2}},
        {"name": "soft_ada_clip", "params": {"epsilon": 2}, "training": {"epochs": 40, "batch_size": 64}},
    ]
    job = trained(client, database, methods=methods)
    found = choosing(client, runs_of(client, job)[0])
    assert found["trainings"] == 6
    epochs = synthetic.spec()["training"]["epochs"]
    batch = synthetic.spec()["training"].get("batch_size", 256)
    curves = []
    for schedule in (Schedule.of(27_133, batch, epochs), Schedule.of(27_133, 64, 40)):
        sigma = accounting.noise_multiplier(2.0, 1e-5, schedule.sampling_rate, schedule.steps)
        curves.append(accounting.rdp(sigma, schedule.sampling_rate, schedule.steps))
    assert (curves[0] > curves[1]).any()
    assert (curves[0] < curves[1]).any()
    shapes = {"geometric": 1.0, "logarithmic": 0.0, "poisson": tuning.POISSON}
    for one in found["random"]:
        whole = tuning.selected_rdp(np.maximum(*curves), mean=6, shape=shapes.pop(one["distribution"]))
        assert one["epsilon"] == pytest.approx(accounting.to_epsilon(whole, 1e-5), rel=1e-12)
    assert not shapes


def test_a_run_of_two_studies_is_counted_in_the_one_that_is_asked_for(client, database):
    first = trained(client, database)
    second = trained(client, database, seeds=5)
    run = next(run for run in runs_of(client, first) if run["epsilon"] is not None)
    assert choosing(client, run)["job_id"] == first
    few, many = (choosing(client, run, job_id=job) for job in (first, second))
    assert (few["job_id"], many["job_id"]) == (first, second)
    assert many["trainings"] * 3 == few["trainings"] * 5
    answer = client.get(f"/api/runs/{run['id']}/choosing", params={"job_id": "nope"})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["problems"]] == ["job_id"]


def test_what_was_not_trained_cannot_have_been_chosen(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    run = next(run for run in runs_of(client, job) if run["epsilon"] is not None)
    assert choosing(client, run) is None
    synthetic.measure(database, job, only=9, finish=False)
    done = [one for one in runs_of(client, job) if one["status"] == "succeeded" and one["epsilon"] is not None]
    for one in done:
        assert choosing(client, one)["trainings"] == sum(other["epsilon"] == one["epsilon"] for other in done)


def test_without_the_size_of_the_table_nothing_is_made_up(client, database):
    from sqlalchemy import delete

    from backend.store.tables import CatalogueRow

    methods = [
        {"name": "dp_sgd", "params": {"epsilon": 2, "delta": 1e-5}},
        {"name": "soft_ada_clip", "params": {"epsilon": 2}},
    ]
    job = trained(client, database, methods=methods)
    given, automatic = (next(r for r in runs_of(client, job) if r["method"] == m["name"]) for m in methods)
    assert choosing(client, given)["trainings"] == 6
    with database.write() as session:
        session.execute(delete(CatalogueRow))
    assert choosing(client, automatic) is None
    assert (choosing(client, given)["trainings"], choosing(client, given)["random"]) == (3, [])
