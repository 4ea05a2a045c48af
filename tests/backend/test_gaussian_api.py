"""The Gaussian task over HTTP: what is answered, what is said of it, and what is wrong with a request."""

from __future__ import annotations

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from backend.analysis.gaussian_law import law
from backend.analysis.gaussian_sweep import SIMULATED_ROWS, sweeps, top
from backend.analysis.gaussian_task import Task, estimate, given
from backend.figures.theme import LIGHT, THEMES
from tests.backend.test_bad_input import refused

BASE = {"rows": 200, "dimensions": 100, "informative": 50, "epsilon": 0.24, "signal": 0.3}
SMALL = {"rows": 20, "dimensions": 10, "informative": 5, "epsilon": 0.2, "signal": 0.4}
MEASURES = ["auc", "advantage", "tpr_1", "tpr_01", "gap"]


def ask(client, **change):
    answer = client.post("/api/gaussian", json={**SMALL, **change})
    assert answer.status_code == 200, answer.text
    return answer.json()


def values(answer):
    return {one["quantity"]: one for one in answer["values"]}


def test_the_answer_is_that_of_the_laws(client):
    found = ask(client)
    task = Task(20, 10, 1.0, 0.2, 0.4, 5)
    shown = values(found)
    for place, shrink in (("standard", 0.0), ("robust", 0.2)):
        exact = law(20, shrink, 0.2, task)
        assert shown["auc"][place] == pytest.approx(exact.leak("auc")[0][0])
        assert shown["gap"][place] == pytest.approx(exact.gap[0])
        assert shown["robust_accuracy"][place] == pytest.approx(exact.accuracies()[1][0])
    assert shown["gap"]["standard"] == pytest.approx(10 / 20)
    assert found["norm"] == pytest.approx(0.4 * 5**0.5)
    for curve in found["curves"]:
        assert len(curve["x"]) == len(curve["expected"]) == len(curve["error"])
        at = curve["x"].index(20 if curve["along"] == "rows" else 0.2)
        assert curve["expected"][at] == pytest.approx(shown[curve["quantity"]][curve["estimator"]])
        for point in curve["simulated"]:
            assert point["low"] <= point["mean"] <= point["high"]
            assert point["x"] in curve["x"]
    assert {(c["along"], c["estimator"], c["quantity"]) for c in found["curves"]} == {
        (along, estimator, quantity)
        for along in ("rows", "epsilon")
        for estimator in ("standard", "robust")
        for quantity in ("auc", "accuracy", "robust_accuracy")
    }


def test_a_norm_is_spread_over_the_informative_coordinates(client):
    found = ask(client, signal_as="norm", signal=2.0, informative=4)
    assert (found["mean"], found["norm"]) == (1.0, 2.0)
    assert values(found) == values(ask(client, signal=1.0, informative=4))
    assert ask(client, informative=None)["norm"] == pytest.approx(0.4 * 10**0.5)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_valid_in_both_themes(client, measure, theme):
    for figure in ask(client, measure=measure, theme=theme)["figures"]:
        drawn = go.Figure(figure["figure"])
        layout = figure["figure"]["layout"]
        assert layout["font"]["color"] == THEMES[theme].text
        assert layout["showlegend"] is False
        assert figure["title"]
        assert not figure["title"].endswith(".")
        assert "!" not in figure["title"] + figure["caption"]
        assert "NaN" not in json.dumps(figure)
        assert all(len(row) == len(figure["columns"]) for row in figure["rows"])
        for trace in drawn.data:
            assert len(trace.x) == len(trace.y) == len(trace.hovertext)
        if theme == "light":
            found = {c.lower() for c in re.findall(r"#[0-9a-fA-F]{6}", json.dumps(figure["figure"]))}
            blue = LIGHT.hues["blue"]
            known = {LIGHT.text, LIGHT.muted, LIGHT.grid, LIGHT.line, LIGHT.hover, blue.stroke, blue.ink}
            assert found <= known | {LIGHT.neutral.stroke, LIGHT.neutral.ink}


def test_what_is_drawn_is_in_the_table_and_inside_the_axis(client):
    for measure in ("auc", "gap"):
        for figure in ask(client, measure=measure)["figures"]:
            low, high = figure["figure"]["layout"]["yaxis"]["range"]
            log = figure["figure"]["layout"]["yaxis"].get("type") == "log"
            cells = {round(cell, 6) for row in figure["rows"] for cell in row if isinstance(cell, float)}
            for trace in figure["figure"]["data"]:
                for y in trace["y"]:
                    assert round(y, 6) in cells or any(abs(y - cell) < 1e-6 for cell in cells)
                    assert low <= (np.log10(y) if log else y) <= high


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {},
            r"At n = 200 the robust estimator leaks more: AUC 0\.587 against 0\.562; up to about n = 50 it leaks less",
        ),
        (
            {"rows": 20},
            r"At n = 20 the robust estimator leaks less: AUC 0\.857 against 0\.874; from about n = 65 .* more",
        ),
        ({"informative": 5}, r"At n = 200 the robust estimator leaks less: AUC 0\.525 against 0\.641$"),
        ({"perturbation": "l2"}, r"At n = 200 the robust estimator leaks as much: AUC 0\.562 against 0\.562$"),
        ({"measure": "gap"}, r"At n = 200 the robust estimator overfits less: margin gap 0\.201 against 0\.5$"),
    ],
)
def test_the_sentence_says_who_leaks_more_and_where_it_turns(client, change, sentence):
    figure = client.post("/api/gaussian", json={**BASE, **change}).json()["figures"][0]
    assert re.match(sentence, figure["title"]), figure["title"]


def test_a_perturbation_beyond_the_separation_is_answered_with_a_word(client):
    beyond = ask(client, epsilon=0.5)
    assert any("at least as large as the separation of a coordinate, 0.4" in note for note in beyond["notes"])
    assert values(beyond)["robust_accuracy"]["standard"] < 0.5
    assert any("separation of the classes" in note for note in ask(client, epsilon=3.0, perturbation="l2")["notes"])
    assert any("as much" in note for note in ask(client, perturbation="l2")["notes"])
    assert any("No coordinate carries signal" in note for note in ask(client, signal=0.0)["notes"])
    gone = ask(client, epsilon=50.0)
    assert gone["zero"] == 1
    assert any(note.startswith("In 100 % of trainings the robust estimator is zero") for note in gone["notes"])
    assert values(gone)["auc"]["robust"] == 0.5
    assert ask(client)["notes"] == []


def test_what_is_too_large_to_simulate_is_drawn_without_points(client):
    found = ask(client, rows=10_000, dimensions=1000)
    assert any("too few trainings can be drawn" in note for note in found["notes"])
    assert all(one["simulated"] == [] for one in found["values"])
    assert 10_000 not in [p["x"] for c in found["curves"] if c["along"] == "rows" for p in c["simulated"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rows": 1}, "rows"),
        ({"rows": 20_000}, "rows"),
        ({"rows": 1.5}, "rows"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 5000}, "dimensions"),
        ({"informative": 11}, "informative"),
        ({"informative": 0, "signal_as": "norm"}, "informative"),
        ({"sigma": 0}, "sigma"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"epsilon": 1e9}, "epsilon"),
        ({"signal": "much"}, "signal"),
        ({"perturbation": "l1"}, "perturbation"),
        ({"measure": "luck"}, "measure"),
        ({"seed": -1}, "seed"),
        ({"mu": 3}, "mu"),
    ],
)
def test_a_bad_field_is_named_and_put_right(client, change, field):
    refused(client.post("/api/gaussian", json={**SMALL, **change}), field)


def test_the_same_question_has_the_same_answer_and_another_seed_other_points(client):
    one, again, other = ask(client), ask(client), ask(client, seed=5)
    assert one == again
    assert [v["standard"] for v in one["values"]] == [v["standard"] for v in other["values"]]
    assert one["values"][0]["simulated"] != other["values"][0]["simulated"]


def test_sweeps_hold_the_asked_setting_whatever_it_is():
    task = Task(33, 10, 1.0, 0.123, 0.4, 5)
    found = sweeps(task)
    assert 33.0 in found.rows.x
    assert 0.123 in found.epsilon.x
    assert found.epsilon.x[-1] == top(task) == 0.8
    assert {33.0, *map(float, SIMULATED_ROWS[:8])} <= set(found.rows.simulated)
    own, across = found.epsilon.simulated[0.123], found.rows.simulated[33.0]
    assert own.mean["auc"].tolist() == across.mean["auc"].tolist()
    # At epsilon 0 both estimators are the same.
    none = found.epsilon.simulated[0.0]
    assert none.mean["auc"][0] == none.mean["auc"][1]
    for name, expected in found.rows.expected.items():
        assert expected.shape == (2, len(found.rows.x)), name
        assert np.isfinite(expected).all()


def test_no_place_along_epsilon_stands_twice():
    for epsilon in (0.0, 0.18, 0.3, 0.54, 0.6, 1.0, 0.12345):
        x = sweeps(Task(20, 4, 1.0, epsilon, 0.3, 2)).epsilon.x
        assert epsilon in x
        assert np.diff(x).min() > 1e-6
        assert len(x) == 41 + (epsilon == 0.12345)


def test_no_linear_model_beats_a_coin_against_moves_beyond_the_separation():
    rng = np.random.default_rng(0)
    for norm, epsilon in (("linf", 0.4), ("l2", 0.4 * 5**0.5)):
        task = Task(20, 10, 1.0, epsilon, 0.4, 5, norm)
        theta = np.concatenate([rng.standard_normal((500, 10)), task.mu[None], estimate(task.mu, 0.1, norm)[None]])
        assert np.all(given(theta, 0.0, task).robust_accuracy <= 0.5 + 1e-12)
