"""Operating points over the API: evaluated, drawn, chosen by a person, withdrawn."""

import importlib

import numpy as np
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from backend import cli
from backend.client import Client, RequestRefused
from backend.contracts import operating_text
from backend.contracts.operating_points import Constraint
from backend.store.tables import MeasurementRow, RunRow, SeriesRow, SettingRow
from tests.backend import synthetic
from tests.backend.test_client import Through

ABEL = {"Equipoise-Person": "Abel"}


def constraint(metric="epsilon", operator="<=", threshold=1.0, **more):
    return {"metric": metric, "operator": operator, "threshold": threshold, **more}


def evaluate(client, job, constraints=(), objectives=(), **more):
    body = {"job_ids": [job], "constraints": list(constraints), "objectives": list(objectives), **more}
    answer = client.post("/api/operating-points/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(answer):
    return {(v["method"], v["epsilon"]): v for v in answer["met"] + answer["others"]}


def values(client, job, metric, subgroup):
    found = {}
    query = {"job_id": job, "metric": metric, "subgroup": subgroup, "split": "test"}
    for one in client.get("/api/measurements", params=query).json()["items"]:
        found.setdefault((one["method"], one["epsilon"]), []).append(one["value"])
    return found


def test_settings_are_judged_on_the_numbers_that_were_measured(client, study):
    gaps = {key: np.mean(v) for key, v in values(client, study, "loss_gap", "sex").items()}
    threshold = float(np.median(list(gaps.values())))
    answer = evaluate(
        client,
        study,
        [constraint(threshold=4), constraint("loss_gap", threshold=threshold, subgroup="sex")],
        [{"metric": "loss"}],
    )
    found = listed(answer)
    assert set(found) == set(gaps)
    for (method, epsilon), one in found.items():
        feasible = epsilon is not None and gaps[method, epsilon] <= threshold
        assert one["status"] == ("feasible" if feasible else "infeasible")
        assert one["checks"][1]["mean"] == pytest.approx(gaps[method, epsilon])
        assert bool(one["reasons"]) != feasible
    assert found["sgd", None]["reasons"][0] == "Not private: no ε bounds it, at most 4 asked"
    assert answer["settings"] == 7
    assert answer["feasible"] + answer["infeasible"] == 7
    losses = {key: np.mean(v) for key, v in values(client, study, "loss", "all").items()}
    assert answer["met"][0]["setting_id"] == answer["winner"]
    assert answer["met"][0]["objectives"] == [
        pytest.approx(losses[answer["met"][0]["method"], answer["met"][0]["epsilon"]])
    ]
    assert answer["headline"].startswith(f"{answer['feasible']} of 7 settings meet both constraints")


def test_every_group_and_the_worst_group_are_those_of_the_attribute(client, study):
    answer = evaluate(
        client,
        study,
        [
            constraint("accuracy", ">=", 0.5, subgroup="race", groups="every"),
            constraint("accuracy", ">=", 0.5, subgroup="race", groups="worst"),
        ],
    )
    groups = [values(client, study, "accuracy", name) for name in synthetic.RACES]
    for key, one in listed(answer).items():
        means = {name: np.mean(g[key]) for name, g in zip(synthetic.RACES, groups, strict=True)}
        every, worst = one["checks"]
        assert every["value"] == pytest.approx(min(means.values()))
        assert every["group"] == min(means, key=means.get)
        assert worst["value"] == pytest.approx(
            np.mean([min(seed) for seed in zip(*(g[key] for g in groups), strict=True)])
        )


def test_what_was_not_measured_is_unknown_and_never_feasible(client, study):
    answer = evaluate(client, study, [constraint("accuracy", ">=", 0.0, subgroup="age=old")])
    assert (answer["feasible"], answer["unknown"]) == (0, 7)
    assert answer["others"][0]["reasons"] == ["Unknown: accuracy, old was not measured on the test split"]
    assert "7 settings unknown" in answer["sentences"][0]
    assert answer["headline"] == "No setting is known to meet the constraint"
    assert "was not measured" in answer["constraints"][0]["sentence"]


def test_degenerate_settings_are_left_out_unless_accepted(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job, degenerate=lambda config: config.setting.method.name == "dp_sgd")
    answer = evaluate(client, job, [constraint(threshold=1)], [{"metric": "loss"}])
    one = listed(answer)["dp_sgd", 1.0]
    assert one["status"] == "excluded"
    assert one["reasons"] == [
        "Left out: predicts one class for nearly everybody on 3 of 3 seeds: its figures mean nothing"
    ]
    assert "Left out: 2 degenerate or diverged settings" in answer["sentences"]
    nobody = client.post("/api/jobs", json=synthetic.spec(name="None is sound")).json()["id"]
    with database.write() as session:
        session.execute(update(RunRow).values(degenerate=True))
    assert evaluate(client, nobody)["headline"] == "All 7 settings are left out"
    again = evaluate(client, job, [constraint(threshold=1)], accept_degenerate=True)
    assert listed(again)["dp_sgd", 1.0]["status"] == "feasible"


def test_diverged_seeds_count_as_failures_of_a_new_training(client, database):
    job = client.post("/api/jobs", json=synthetic.spec(seeds=4)).json()["id"]
    synthetic.measure(
        database,
        job,
        status=lambda c: "diverged" if c.setting.method.name == "dp_sgd" and c.seed == 0 else "succeeded",
    )
    answer = evaluate(
        client, job, [constraint("loss", "<=", 10), constraint("loss", "<=", 10, judge="share", share=0.9)]
    )
    one = listed(answer)["dp_sgd", 1.0]
    assert one["diverged"] == 1
    assert (one["chance"]["held"], one["chance"]["seeds"]) == (3, 4)
    assert one["status"] == "infeasible"
    assert "diverged on too many of the 4 seeds" in one["reasons"][0]
    assert listed(answer)["soft_ada_clip", 1.0]["status"] == "feasible"


def test_a_setting_whose_claim_an_audit_refutes_is_left_out_until_accepted(client, study, database):
    with database.write() as session:
        run = session.scalars(
            select(RunRow).join(SettingRow).where(SettingRow.method == "dp_sgd", SettingRow.epsilon == 1).limit(1)
        ).one()
        for metric, value in (("one_run_audit_p_at_claim", 1e-6), ("one_run_audit_epsilon", 2.5)):
            series = SeriesRow(metric=metric, subgroup="all", split="test")
            session.add(series)
            session.flush()
            session.add(MeasurementRow(series_id=series.id, run_id=run.id, value=value))
        setting = run.setting_id
    one = listed(evaluate(client, study, [constraint()]))["dp_sgd", 1.0]
    assert one["status"] == "excluded"
    assert "An audit refutes the claimed ε" in one["reasons"][0]
    alarm = {"setting_id": setting, "label": one["label"], "alarm": one["alarm"], "accepted": False}
    assert evaluate(client, study, [constraint()])["alarms"] == [alarm]
    answer = evaluate(client, study, [constraint()], accept_alarms=[setting])
    assert answer["alarms"] == [{**alarm, "accepted": True}]
    accepted = listed(answer)["dp_sgd", 1.0]
    assert accepted["status"] == "feasible"
    assert "refutes" in accepted["alarm"]


def test_relaxing_says_what_is_gained_and_tightening_what_is_free(client, study):
    answer = evaluate(client, study, [constraint(threshold=2)], [{"metric": "loss"}])
    relax, tighten = answer["sensitivity"]
    assert (relax["kind"], relax["threshold"]) == ("relax", 4)
    assert (tighten["kind"], tighten["threshold"]) == ("tighten", 1)
    winner = answer["met"][0]
    other = next(v for v in answer["others"] if v["setting_id"] == relax["setting_id"])
    losses = values(client, study, "loss", "all")
    a, b = (np.array(losses[v["method"], v["epsilon"]]) for v in (winner, other))
    assert relax["gains"][0]["difference"] == pytest.approx((a - b).mean())
    assert relax["gains"][0]["pairs"] == 3
    assert relax["sentence"].startswith("Relax ε to 4 and gain")
    # What the sentence promises is what happens.
    again = evaluate(client, study, [constraint(threshold=4)], [{"metric": "loss"}])
    assert again["winner"] == relax["setting_id"]
    assert evaluate(client, study, [constraint(threshold=1)], [{"metric": "loss"}])["winner"] == answer["winner"]


def test_where_nothing_is_feasible_the_nearest_say_what_would_admit_them(client, study):
    rules = [constraint(threshold=0.5), constraint("accuracy", ">=", 0.99)]
    answer = evaluate(client, study, rules, [{"metric": "loss"}])
    assert answer["feasible"] == 0
    near = answer["nearest"][0]
    assert answer["headline"].startswith("No setting meets both constraints; the nearest is")
    moved = [{**rule, "threshold": t} for rule, t in zip(rules, near["thresholds"], strict=True)]
    admitted = evaluate(client, study, moved)
    assert near["setting_id"] in [v["setting_id"] for v in admitted["met"]]


def test_weights_say_how_far_they_may_move(client, study):
    goals = [{"metric": "loss", "weight": 3}, {"metric": "loss_gap", "subgroup": "sex", "weight": 1}]
    answer = evaluate(client, study, [constraint(threshold=4)], goals, rule="weighted")
    assert [w["weight"] for w in answer["weights"]] == [0.75, 0.25]
    for w in answer["weights"]:
        assert w["low"] <= w["weight"] <= w["high"]
        assert w["normalised_from"] < w["normalised_to"]
    assert answer["met"][0]["score"] == max(v["score"] for v in answer["met"])


def test_the_lists_are_bounded_and_the_counts_are_not(client, study):
    answer = evaluate(client, study, [constraint(threshold=1)], limit=1)
    assert (len(answer["met"]), len(answer["others"])) == (1, 1)
    assert answer["feasible"] + answer["infeasible"] == 7


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"constraints": [constraint("acuracy")]}, "constraints.0.metric"),
        ({"constraints": [constraint(operator="<")]}, "constraints.0.operator"),
        ({"constraints": [constraint(groups="worst")]}, "constraints.0"),
        ({"constraints": [constraint(share=0)]}, "constraints.0.share"),
        ({"constraints": [constraint()] * 21}, "constraints"),
        ({"objectives": [{"metric": "selection_rate"}]}, "objectives.0.higher"),
        ({"objectives": [{"metric": "loss", "low": 1, "high": 0}]}, "objectives.0"),
        ({"objectives": [{"metric": "loss", "weight": 0}]}, "objectives.0.weight"),
        ({"job_ids": []}, "job_ids"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_rule_that_makes_no_sense_names_its_field(client, study, change, field):
    answer = client.post("/api/operating-points/evaluate", json={"job_ids": [study], **change})
    assert answer.status_code == 422, answer.text
    assert any(p["field"].startswith(field) for p in answer.json()["problems"]), answer.text


def test_a_study_without_results_has_an_empty_answer_and_figure(client):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    answer = evaluate(client, job, [constraint()], [{"metric": "loss"}])
    assert (answer["settings"], answer["headline"]) == (0, "No results yet")
    figure = client.post("/api/operating-points/figure", json={"job_ids": [job], "constraints": [constraint()]})
    assert figure.json()["empty"]


def test_the_figure_lights_what_is_feasible_and_shades_the_rest(client, study):
    body = {
        "job_ids": [study],
        "constraints": [constraint(threshold=2), constraint("loss", "<=", 9)],
        "objectives": [{"metric": "loss"}],
        "x": "epsilon",
        "y": "loss",
    }
    drawn = client.post("/api/operating-points/figure", json=body).json()
    answer = evaluate(client, study, body["constraints"], body["objectives"])
    traces = {t["name"]: t for t in drawn["figure"]["data"]}
    assert set(traces["Feasible"]["meta"]["settings"]) == {v["setting_id"] for v in answer["met"]}
    others = set(traces["Not feasible"]["meta"]["settings"])
    baseline = [t for t in drawn["figure"]["data"] if t["mode"] == "lines"]
    assert others | {baseline[0]["meta"]["settings"][0]} == {v["setting_id"] for v in answer["others"]}
    assert all("at most 2 asked" in text for text in traces["Not feasible"]["hovertext"])
    assert len(traces["Best"]["x"]) == 1
    region = drawn["figure"]["layout"]["shapes"][0]
    assert region["x0"] == 2
    assert "ε\u00a0at most 2".replace("\u00a0", " ") in [a["text"] for a in drawn["figure"]["layout"]["annotations"]]
    assert drawn["title"] == answer["headline"]


def test_of_many_settings_the_far_ones_say_which_constraints_they_miss(client, study, monkeypatch):
    """The same settings, with less told of each and without the runs behind a mark."""
    monkeypatch.setattr(importlib.import_module("backend.api.services.operating_points.figure"), "MOST_TOLD", 1)
    monkeypatch.setattr("backend.figures.feasible.MANY_MARKS", 3)
    rule = [constraint(threshold=2), constraint("loss", "<=", 0.001)]
    texts = ["ε at most 2", "loss at most 0.001"]
    body = {"job_ids": [study], "constraints": rule, "x": "loss", "y": "accuracy"}
    figure = client.post("/api/operating-points/figure", json=body).json()["figure"]
    answer = evaluate(client, study, rule)
    missed = {
        one["setting_id"]: {text for text, check in zip(texts, one["checks"], strict=True) if check["holds"] is False}
        for one in [*answer["met"], *answer["others"]]
    }
    assert len({frozenset(one) for one in missed.values()}) == 2, "some miss one, some both"
    (trace,) = figure["data"]
    assert trace["type"] == "scattergl"
    assert "customdata" not in trace
    places = trace["meta"]["settings"]
    assert set(places) == set(missed)
    plain = [text.replace("<br>", " ").replace("\u00a0", " ") for text in trace["hovertext"]]
    assert sum("asked" in text for text in plain) == 1, "the nearest says by how much"
    for setting, text in zip(places, plain, strict=True):
        if "asked" not in text:
            assert {one for one in texts if one.lower() in text.lower()} == missed[setting]


# --- choices ----------------------------------------------------------------------------------------------------------


def choose(client, job, setting, *, headers=ABEL, constraints=(), **more):
    body = {"job_ids": [job], "setting_id": setting, "constraints": list(constraints), "reason": "It is fair.", **more}
    return client.post("/api/operating-points", json=body, headers=headers)


def test_a_choice_keeps_who_when_why_and_the_numbers_of_its_moment(client, study, database):
    rule = [constraint(threshold=4)]
    answer = evaluate(client, study, rule, [{"metric": "loss"}])
    made = choose(client, study, answer["winner"], constraints=rule, objectives=[{"metric": "loss"}])
    assert made.status_code == 201, made.text
    point = made.json()
    assert (point["person"], point["reason"], point["withdrawn"]) == ("Abel", "It is fair.", None)
    assert point["numbers"]["verdict"] == answer["met"][0]
    assert point["numbers"]["constraints"] == ["ε at most 4"]
    assert len(point["numbers"]["setting_hash"]) == 64
    with database.write() as session:
        session.execute(update(MeasurementRow).values(value=0.0))
    assert client.get(f"/api/operating-points/{point['id']}").json() == point
    assert client.get("/api/operating-points", params={"job_id": study}).json()["items"] == [point]
    other = client.post("/api/jobs", json=synthetic.spec(training={"epochs": 9})).json()["id"]
    assert client.get("/api/operating-points", params={"job_id": other}).json()["items"] == []


def test_what_is_not_feasible_is_chosen_only_if_that_is_said(client, study, stored):
    rule = [constraint(threshold=0.1)]
    setting = evaluate(client, study, rule)["others"][0]["setting_id"]
    before = stored()
    refused = choose(client, study, setting, constraints=rule)
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["field"] == "although"
    assert "at most 0.1 asked" in refused.json()["detail"]
    assert choose(client, study, 10**9).json()["problems"][0]["field"] == "setting_id"
    assert stored() == before
    made = choose(client, study, setting, constraints=rule, although=True)
    assert made.status_code == 201
    assert made.json()["numbers"]["verdict"]["status"] == "infeasible"


@pytest.mark.parametrize(
    ("headers", "change", "field"),
    [({}, {}, "Equipoise-Person"), (ABEL, {"reason": "  "}, "reason"), (ABEL, {"setting_id": 0}, "setting_id")],
)
def test_a_choice_without_a_person_or_a_reason_is_refused(client, study, stored, headers, change, field):
    setting = evaluate(client, study)["met"][0]["setting_id"]
    before = stored()
    answer = client.post(
        "/api/operating-points",
        json={"job_ids": [study], "setting_id": setting, "reason": "x", **change},
        headers=headers,
    )
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == field
    assert stored() == before


def test_a_choice_is_withdrawn_once_and_stays_in_the_list(client, study):
    setting = evaluate(client, study)["met"][0]["setting_id"]
    point = choose(client, study, setting).json()
    path = f"/api/operating-points/{point['id']}/withdraw"
    assert client.post(path, json={"reason": "x"}).status_code == 422
    gone = client.post(path, json={"reason": "New data."}, headers={"Equipoise-Person": "Bea"}).json()
    assert gone["withdrawn"]["person"] == "Bea"
    assert gone["withdrawn"]["reason"] == "New data."
    assert {**gone, "withdrawn": None} == point
    again = client.post(path, json={"reason": "Me too."}, headers=ABEL)
    assert again.status_code == 409
    assert client.get("/api/operating-points").json()["items"] == [gone]
    assert client.post("/api/operating-points/none/withdraw", json={"reason": "x"}, headers=ABEL).status_code == 404


def test_choices_are_listed_page_by_page_newest_first(client, study):
    setting = evaluate(client, study)["met"][0]["setting_id"]
    ids = [choose(client, study, setting).json()["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get("/api/operating-points", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [p["id"] for p in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert client.get("/api/operating-points", params={"cursor": "nonsense"}).status_code == 422


# --- the client and the shell -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epsilon<=4", {"metric": "epsilon", "operator": "<=", "threshold": 4}),
        ("accuracy@worst:sex & race/validation>=80 %~sure",
         {"metric": "accuracy", "subgroup": "sex & race", "groups": "worst", "split": "validation", "operator": ">=",
          "threshold": 0.8, "judge": "sure"}),
        ("loss@age=<=30<=1~0.9",
         {"metric": "loss", "subgroup": "age=<=30", "operator": "<=", "threshold": 1, "judge": "share", "share": 0.9}),
    ],
)  # fmt: skip
def test_limits_are_read_as_the_address_has_them(text, expected):
    assert operating_text.constraint(text) == Constraint.model_validate(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epsilon", "such as epsilon<=4"),
        ("epsilon<=four", "is no number"),
        ("loss<=1~2", "share"),
        ("loss@worst:all<=1", "needs an attribute"),
    ],
)
def test_what_is_no_limit_says_what_was_expected(text, said):
    with pytest.raises(ValueError, match=said):
        operating_text.constraint(text)


def test_objectives_are_read_with_side_weight_and_tolerance():
    found = operating_text.objective("selection_rate@sex^low*2~0.01")
    assert (found.metric, found.subgroup, found.higher, found.weight, found.tolerance) == (
        "selection_rate", "sex", False, 2, 0.01,
    )  # fmt: skip
    with pytest.raises(ValueError, match="is no number"):
        operating_text.objective("loss*heavy")


def test_the_client_evaluates_chooses_lists_and_withdraws(client, study):
    with Client("http://localhost", transport=Through(client)) as equipoise:
        rule = {"constraints": [operating_text.constraint("epsilon<=2")], "objectives": [{"metric": "loss"}]}
        answer = equipoise.evaluate(study, **rule)
        assert answer.winner is not None
        chosen = equipoise.choose(study, setting_id=answer.winner, reason="It holds", person="Zoë", **rule)
        assert (chosen.person, chosen.setting_id) == ("Zoë", answer.winner)
        assert equipoise.choices(study) == [chosen]
        other = next(one for one in answer.others if one.status == "infeasible")
        with pytest.raises(RequestRefused, match="although"):
            equipoise.choose(study, setting_id=other.setting_id, reason="No", person="Zoë", **rule)
        assert equipoise.withdraw(chosen.id, reason="Newer data", person="Ben").withdrawn is not None
        assert [one.withdrawn is not None for one in equipoise.choices(study)] == [True]


def test_the_shell_shows_and_chooses(client, study, monkeypatch):
    monkeypatch.setattr(cli, "_client", lambda url: Client("http://localhost", transport=Through(client)))
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["choose", study, "--limit", "epsilon<=2", "--best", "loss"])
    assert shown.exit_code == 0, shown.output
    assert "settings meet the constraint; best in loss" in shown.output
    assert "Relax ε to 4" in shown.output
    first = shown.output.split("\n\n")[1].split()[0]
    done = runner.invoke(
        cli.app, ["choose", study, "--limit", "epsilon<=2", "--setting", first, "--reason", "It holds", "--as", "Ada"]
    )
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Ada chose ")
    assert runner.invoke(cli.app, ["choose", study, "--limit", "epsilon<=0.001"]).exit_code == 1
    refused = runner.invoke(cli.app, ["choose", study, "--setting", first])
    assert refused.exit_code != 0
    assert "--reason and --as" in refused.output
    assert "no limit" in runner.invoke(cli.app, ["choose", study, "--limit", "epsilon"]).output
