"""Curves, frontier and findings, from the store to the answer."""

import numpy as np
import pytest

from backend.analysis.intervals import mean_interval
from tests.backend import synthetic


def ask(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def submit(client, database, *, how=None, **changes):
    job = client.post("/api/jobs", json=synthetic.spec(**changes)).json()["id"]
    synthetic.measure(database, job, **(how or {}))
    return job


def private(*names, epsilon=(1, 4), **more):
    return [{"name": name, "params": {"epsilon": list(epsilon)}, **more} for name in names]


def test_curves_are_means_with_intervals_over_seeds(client, study):
    answer = ask(client, "/api/curves", job_id=study)
    assert (answer["x"], answer["y"], answer["subgroup"], answer["x_subgroup"]) == ("epsilon", "loss_gap", "sex", "all")
    assert [c["title"] for c in answer["curves"]] == ["SGD", "Adaptive DP-SGD", "DP-SGD", "SoftAdaClip"]
    assert [c["baseline"] for c in answer["curves"]] == [True, False, False, False]
    items = client.get(
        "/api/measurements", params={"job_id": study, "metric": "loss_gap", "subgroup": "sex", "split": "test"}
    ).json()["items"]
    for curve in answer["curves"]:
        assert [p["epsilon"] for p in curve["points"]] == ([None] if curve["baseline"] else [1.0, 4.0])
        for point in curve["points"]:
            own = [
                m["value"] for m in items
                if m["method"] == curve["method"] and m["epsilon"] == point["epsilon"]
            ]  # fmt: skip
            assert (point["y"], point["y_low"], point["y_high"]) == pytest.approx(mean_interval(np.array(own)))
            assert sorted(point["y_seeds"]) == pytest.approx(sorted(own))
            assert len(point["run_ids"]) == point["seeds"] == 3
            assert point["x"] == point["epsilon"]
            assert point["x_low"] is None
            assert point["n"] == 3000
    assert "Adult (census income), test split" in answer["caption"]
    assert "3 seeds, mean with 95 % Student t interval" in answer["caption"]
    assert "with 3 seeds no paired test can reach p < 0.05" in answer["caption"]
    assert answer["finding"] == "Loss gap by sex at each ε, 3 private curves and the non-private baseline"


def test_one_seed_has_no_interval(client, database):
    answer = ask(client, "/api/curves", job_id=submit(client, database, seeds=1))
    points = [p for c in answer["curves"] for p in c["points"]]
    assert {p["y_low"] for p in points} == {None}
    assert "1 seed, no interval" in answer["caption"]


def test_a_job_without_results_has_empty_curves(client):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    assert ask(client, "/api/curves", job_id=job)["curves"] == []
    assert ask(client, "/api/frontier", job_id=job)["items"] == []


def test_jobs_are_drawn_together_and_shared_runs_once(client, study, database):
    wider = submit(client, database, seeds=5)
    alone = ask(client, "/api/curves", job_id=wider)
    both = ask(client, "/api/curves", job_id=[study, wider])
    assert alone["curves"] == both["curves"]
    assert {p["seeds"] for c in both["curves"] for p in c["points"]} == {5}


@pytest.mark.parametrize(
    ("metric", "asked", "drawn"),
    [
        ("loss_gap", None, "sex"),
        ("loss_gap", "all", "sex"),
        ("loss_gap", "race", "race"),
        ("accuracy", None, "all"),
        ("accuracy", "sex", "all"),
        ("accuracy", "sex=Female", "sex=Female"),
        ("accuracy", "sex=Other", "sex=Other"),
    ],
)
def test_the_subgroup_is_the_one_that_is_meant(client, study, metric, asked, drawn):
    query = {"job_id": study, "y": metric} | ({"subgroup": asked} if asked else {})
    answer = ask(client, "/api/curves", **query)
    assert answer["subgroup"] == drawn
    has_numbers = any(p["y"] is not None for c in answer["curves"] for p in c["points"])
    assert has_numbers == (drawn != "sex=Other")


def test_a_method_with_several_settings_has_several_named_curves(client, database):
    methods = [{"name": "dp_sgd", "params": {"epsilon": [1, 4], "clip": [0.5, 2]}}]
    answer = ask(client, "/api/curves", job_id=submit(client, database, methods=methods))
    assert [c["series"] for c in answer["curves"]] == ["DP-SGD, clipping threshold 0.5", "DP-SGD, clipping threshold 2"]
    assert [len(c["points"]) for c in answer["curves"]] == [2, 2]
    labels = [p["label"] for p in answer["curves"][0]["points"]]
    assert labels == ["DP-SGD, ε = 1, clipping threshold 0.5", "DP-SGD, ε = 4, clipping threshold 0.5"]


def test_many_settings_are_chosen_on_the_validation_split(client, database):
    rates = [0.01, 0.02, 0.05, 0.1, 0.2]
    methods = [{"name": "sgd"}, *private("dp_sgd")]
    job = submit(client, database, methods=methods, training={"epochs": 5, "learning_rate": rates}, how={"noise": 0.05})
    auto = ask(client, "/api/curves", job_id=job)
    assert [len(c["points"]) for c in auto["curves"]] == [1, 2]
    assert "per method and ε the setting of 5 with the best validation loss" in auto["caption"]
    losses = client.get(
        "/api/measurements",
        params={"job_id": job, "metric": "loss", "subgroup": "all", "split": "validation", "limit": 1000},
    ).json()["items"]
    by_run = {m["run_id"]: m["value"] for m in losses}
    every = ask(client, "/api/curves", job_id=job, choose="all")
    assert sum(len(c["points"]) for c in every["curves"]) == 15
    for curve in auto["curves"]:
        for point in curve["points"]:
            rivals = [
                p for c in every["curves"] for p in c["points"]
                if (p["method"], p["epsilon"]) == (point["method"], point["epsilon"])
            ]  # fmt: skip
            best = min(rivals, key=lambda p: np.mean([by_run[r] for r in p["run_ids"]]))
            assert best["setting_id"] == point["setting_id"]
    by_accuracy = ask(client, "/api/curves", job_id=job, choose="accuracy")
    assert "best validation accuracy" in by_accuracy["caption"]


def test_other_code_or_data_makes_another_curve(client, study, database):
    from backend.store import workers

    with database.write() as session:
        workers.publish_catalogue(session, synthetic.catalogue(version="made-up-2", engine_version="engine-2"))
    newer = submit(client, database)
    names = [c["series"] for c in ask(client, "/api/curves", job_id=[study, newer])["curves"]]
    assert sorted(names) == sorted(
        f"{title}{more}"
        for title in ("SGD", "DP-SGD", "Adaptive DP-SGD", "SoftAdaClip")
        for more in ("", ", version 2")
    )


def test_models_that_differ_are_named(client, study, database):
    wide = submit(client, database, model={"name": "mlp", "params": {"hidden": [128, 64]}})
    names = {c["series"] for c in ask(client, "/api/curves", job_id=[study, wide])["curves"]}
    assert {"DP-SGD, hidden layers 64", "DP-SGD, hidden layers 128-64"} <= names


def test_diverged_and_degenerate_runs_are_counted(client, database):
    def status(config):
        return "diverged" if config.seed == 2 and config.setting.method.name == "dp_sgd" else "succeeded"

    def degenerate(config):
        return config.setting.method.name == "soft_ada_clip"

    job = submit(client, database, how={"status": status, "degenerate": degenerate})
    answer = ask(client, "/api/curves", job_id=job)
    by_method = {c["method"]: c["points"] for c in answer["curves"]}
    assert [(p["diverged"], p["seeds"]) for p in by_method["dp_sgd"]] == [(1, 2), (1, 2)]
    assert all(p["degenerate"] for p in by_method["soft_ada_clip"])
    assert not any(p["degenerate"] for p in by_method["adaptive_dp_sgd"])
    assert "2 diverged runs left out" in answer["caption"]
    assert "6 runs of models that predict one class" in answer["caption"]
    detail = client.get(f"/api/jobs/{job}").json()
    assert (detail["diverged"], detail["degenerate"], detail["finished"]) == (2, 6, 21)


# --- frontier ---------------------------------------------------------------------------------------------------------


def test_the_frontier_leaves_degenerate_settings_out_and_says_so(client, database):
    def degenerate(config):
        return config.setting.method.name == "soft_ada_clip"

    job = submit(client, database, how={"degenerate": degenerate})
    answer = ask(client, "/api/frontier", job_id=job)
    assert [(p["method"], p["epsilon"]) for p in answer["items"]] == [("adaptive_dp_sgd", 1), ("adaptive_dp_sgd", 4)]
    assert (answer["considered"], answer["degenerate_left_out"]) == (4, 2)
    assert "2 degenerate settings left out" in answer["caption"]
    assert "1 setting without both figures not considered" in answer["caption"]
    whole = ask(client, "/api/frontier", job_id=job, degenerate=True)
    assert {p["method"] for p in whole["items"]} == {"soft_ada_clip"}
    assert whole["degenerate_left_out"] == 0


def test_the_frontier_follows_each_metrics_direction(client, study):
    for x, y in (("loss", "loss_gap"), ("accuracy", "loss_gap"), ("accuracy", "loss"), ("epsilon", "accuracy")):
        answer = ask(client, "/api/frontier", job_id=study, x=x, y=y)
        curves = ask(client, "/api/curves", job_id=study, x=x, y=y)
        points = [p for c in curves["curves"] for p in c["points"] if p["x"] is not None and p["y"] is not None]
        sign = {"loss": 1, "loss_gap": 1, "epsilon": 1, "accuracy": -1}

        def beats(p, q, x=x, y=y, sign=sign):
            a = (sign[x] * p["x"], sign[y] * p["y"])
            b = (sign[x] * q["x"], sign[y] * q["y"])
            return a[0] <= b[0] and a[1] <= b[1] and a != b

        expected = {q["setting_id"] for q in points if not any(beats(p, q) for p in points)}
        assert {p["setting_id"] for p in answer["items"]} == expected
        assert {p["setting_id"] for p in points if p["on_frontier"]} == expected
        best_first = [sign[x] * p["x"] for p in answer["items"]]
        assert best_first == sorted(best_first)


# --- findings ---------------------------------------------------------------------------------------------------------


def finding(client, job, **query):
    return ask(client, "/api/curves", job_id=job, **query)["finding"]


def test_a_difference_that_passes_its_test_is_said_with_its_test(client, database):
    job = submit(client, database, seeds=10, methods=[{"name": "sgd"}, *private("dp_sgd", "soft_ada_clip")])
    sentence = finding(client, job)
    assert sentence.startswith("At ε = ")
    assert "SoftAdaClip's loss gap by sex is" in sentence
    assert "% below DP-SGD's (Holm-corrected p = 0.0039, 10 seeds)" in sentence
    assert "; its mean loss is 0.3" in sentence
    caption = ask(client, "/api/curves", job_id=job)["caption"]
    assert "paired Wilcoxon signed-rank tests over seeds, Holm-corrected (2)" in caption


def test_where_nothing_passes_nothing_is_claimed(client, database):
    job = submit(client, database, seeds=8, methods=private("dp_sgd", "soft_ada_clip"), how={"noise": 0.3})
    sentence = finding(client, job)
    assert sentence.endswith("no difference between methods passes its test")
    assert "below" not in sentence


def test_too_few_seeds_claim_nothing(client, database):
    job = submit(client, database, seeds=5, methods=private("dp_sgd", "soft_ada_clip"))
    assert finding(client, job) == "Loss gap by sex at each ε, 2 private curves"


def test_degenerate_models_support_nothing(client, database):
    job = submit(client, database, seeds=8, methods=private("dp_sgd", "soft_ada_clip"), how={"degenerate": True})
    assert "predicts one class" in finding(client, job)

    def one(config):
        return config.setting.method.name == "soft_ada_clip"

    job = submit(
        client,
        database,
        seeds=[11, 12, 13, 14, 15, 16],
        methods=private("dp_sgd", "soft_ada_clip"),
        how={"degenerate": one},
    )
    assert "below" not in finding(client, job)


def test_several_settings_of_a_method_are_not_picked_from_by_eye(client, database):
    methods = [
        {"name": "dp_sgd", "params": {"epsilon": [1], "clip": [0.5, 2]}},
        *private("soft_ada_clip", epsilon=[1]),
    ]
    job = submit(client, database, seeds=10, methods=methods)
    assert finding(client, job).startswith("Loss gap by sex at each ε")


def test_other_data_are_not_compared(client, database):
    methods = private("dp_sgd", "soft_ada_clip", epsilon=[1])
    first = submit(client, database, seeds=10, methods=methods[:1])
    second = submit(client, database, seeds=10, methods=methods[1:], model={"name": "mlp", "params": {"hidden": [8]}})
    assert finding(client, [first, second]).startswith("Loss gap by sex at each ε")


def test_equal_values_support_nothing(client, database):
    job = submit(client, database, seeds=10, methods=private("dp_sgd", "soft_ada_clip"), how={"noise": 0.0})
    assert finding(client, job, y="accuracy") == "Accuracy at each ε, 2 private curves"


@pytest.mark.parametrize(
    ("metric", "a", "b", "words"),
    [
        ("accuracy", 0.84, 0.82, "2.0 points above"),
        ("accuracy", 0.5, 0.82, "32 points below"),
        ("loss_gap", 0.1, 0.2, "50 % below"),
        ("loss_gap", 0.4, 0.2, "100 % above"),
        ("loss_gap", 0.1, 0.0, "0.1 nats above"),
    ],
)
def test_differences_in_words(metric, a, b, words):
    from backend.analysis.curves import Axis
    from backend.analysis.findings import _difference
    from backend.analysis.labels import Words
    from backend.analysis.table import Column

    axis = Axis(Words.of(synthetic.catalogue()).metric(metric), "all", Column(np.array([]), np.array([])))
    assert _difference(a, b, axis) == words
