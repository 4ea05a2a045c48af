"""Figures: valid Plotly, one theme, nothing that a name could inject, nothing hidden."""

import itertools
import json
import math
import re
import statistics

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy import stats
from sqlalchemy import delete

from backend.analysis.labels import Words
from backend.figures import clipping as bending
from backend.figures import parts
from backend.figures.theme import KNOWN, LIGHT, THEMES, look, weakest
from backend.store import runs
from backend.store.tables import ExposedRow, RocRow
from tests.backend import synthetic

NAMES = ["tradeoff", "subgroups", "roc", "history", "clipping"]


def ask(client, name, **query):
    answer = client.get(f"/api/figures/{name}", params=query)
    assert answer.status_code == 200, answer.text
    figure = answer.json()
    check(figure)
    return figure


def check(figure):
    """What holds for every figure."""
    drawn = go.Figure(figure["figure"])  # Raises for anything that Plotly does not know.
    layout = figure["figure"]["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["showlegend"] is False
    assert layout["uirevision"]
    assert figure["title"]
    assert not figure["title"].endswith(".")
    assert "!" not in figure["title"] + figure["caption"]
    assert "NaN" not in json.dumps(figure)
    for row in figure["rows"]:
        assert len(row) == len(figure["columns"])
    for trace in drawn.data:
        assert trace.type != "scatter" or trace.x is None or len(trace.x) == len(trace.y)
    for axis in ("xaxis", "yaxis"):
        assert not any("overlaying" in one for name, one in layout.items() if name.startswith(("xaxis", "yaxis")))
        settings = layout[axis]
        if settings.get("type") == "log" and "range" in settings:
            assert all(math.isfinite(end) for end in settings["range"])
    return drawn


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_valid_in_both_themes(client, study, name, theme):
    figure = ask(client, name, job_id=study, theme=theme)
    assert figure["name"] == name
    assert figure["empty"] is None
    assert figure["figure"]["data"]
    assert figure["rows"]
    assert figure["figure"]["layout"]["font"]["color"] == THEMES[theme].text


@pytest.mark.parametrize("name", NAMES)
def test_every_colour_is_the_themes(client, study, name):
    light, dark = (json.dumps(ask(client, name, job_id=study, theme=t)["figure"]) for t in ("light", "dark"))
    found = {c.lower() for c in re.findall(r"#[0-9a-fA-F]{6}", light)}
    known = {LIGHT.text, LIGHT.muted, LIGHT.grid, LIGHT.line, LIGHT.hover, LIGHT.neutral.stroke, LIGHT.neutral.ink}
    known |= {c for shades in LIGHT.hues.values() for c in (shades.stroke, shades.ink)}
    assert found <= known
    assert LIGHT.text not in dark
    assert re.sub(r"#[0-9a-fA-F]{6}|rgba\([^)]*\)", "", light) == re.sub(r"#[0-9a-fA-F]{6}|rgba\([^)]*\)", "", dark)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_without_results_says_what_to_do(client, name):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    figure = ask(client, name, job_id=job)
    assert figure["empty"].endswith(".")
    assert figure["figure"]["data"] == []


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("method", ["sgd", "dp_sgd"])
def test_figures_of_one_run(client, study, name, method):
    run = client.get(f"/api/jobs/{study}/runs", params={"method": method}).json()["items"][0]["id"]
    figure = ask(client, name, run_id=run)
    assert run in figure["caption"]
    # What is not private clips nothing.
    assert (figure["empty"] is None) == ((name, method) != ("clipping", "sgd"))


# --- trade-off --------------------------------------------------------------------------------------------------------


def test_the_trade_off_over_epsilon(client, study):
    figure = ask(client, "tradeoff", job_id=study)
    layout = figure["figure"]["layout"]
    assert layout["xaxis"]["type"] == "log"
    assert layout["xaxis"]["ticktext"] == ["1", "2", "4"]
    assert layout["xaxis"]["title"]["text"] == "Privacy budget ε, lower is more private"
    assert layout["yaxis"]["title"]["text"] == "Loss gap by sex, nats, lower is fairer"
    traces = {(t["name"], t["mode"]): t for t in figure["figure"]["data"]}
    curve = traces["SoftAdaClip", "lines+markers"]
    assert [round(math.log10(x), 2) for x in curve["x"]] == pytest.approx([0, 0.6], abs=0.03)
    assert curve["error_y"]["array"][0] > 0
    assert "3 seeds, n\u00a0=\u00a03,000" in curve["hovertext"][0]
    assert "clip 1" in curve["hovertext"][0]
    assert len(traces["SoftAdaClip", "markers"]["x"]) == 6
    assert all(re.fullmatch("[0-9a-f]{20}", run) for run in curve["customdata"][0])
    baseline = traces["SGD", "lines"]
    assert baseline["line"]["dash"] == "dash"
    assert len(set(baseline["y"])) == 1
    labels = [a["text"] for a in layout["annotations"]]
    assert labels == ["SGD, not private", "Adaptive DP-SGD", "DP-SGD", "SoftAdaClip"]


def test_every_method_has_its_own_look(client, study):
    data = ask(client, "tradeoff", job_id=study)["figure"]["data"]
    curves = {t["name"]: t for t in data if t["mode"] == "lines+markers"}
    looks = {(t["line"]["color"], t["marker"]["symbol"][0], t["line"]["dash"]) for t in curves.values()}
    assert len(looks) == 3
    assert len({colour for colour, _, _ in looks}) == 3
    assert len({(one.hue, one.symbol) for one in KNOWN.values()}) == len(KNOWN)


def test_axes_stay_while_a_study_grows(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job, only=7, finish=False)
    before = ask(client, "tradeoff", job_id=job)["figure"]["layout"]
    synthetic.measure(database, job)
    after = ask(client, "tradeoff", job_id=job)["figure"]["layout"]
    assert before["uirevision"] == after["uirevision"]
    assert before["xaxis"]["range"] == after["xaxis"]["range"]


def test_two_metrics_with_the_frontier(client, study):
    figure = ask(client, "tradeoff", job_id=study, x="loss", y="loss_gap", frontier=True)
    data = figure["figure"]["data"]
    step = next(t for t in data if t["name"] == "Frontier")
    assert step["line"]["shape"] == "hv"
    assert step["x"] == sorted(step["x"])
    assert step["y"] == sorted(step["y"], reverse=True)
    assert any(t["name"] == "SGD" and "error_x" in t for t in data), "against a metric the baseline is a point"
    assert sum("on the frontier" in row[-1] for row in figure["rows"]) == len(step["x"])
    up = ask(client, "tradeoff", job_id=study, x="accuracy", y="loss_gap", frontier=True)["figure"]["data"]
    assert next(t for t in up if t["name"] == "Frontier")["line"]["shape"] == "vh"


def test_degenerate_and_small_are_marked(client, database):
    def degenerate(config):
        return config.setting.method.name == "soft_ada_clip"

    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job, degenerate=degenerate)

    def symbols(**query):
        data = ask(client, "tradeoff", job_id=job, **query)["figure"]["data"]
        return {t["name"]: set(t["marker"]["symbol"]) for t in data if t["mode"] == "lines+markers"}

    assert symbols()["SoftAdaClip"] == {"x-open"}
    assert symbols()["DP-SGD"] == {"square"}
    assert symbols(subgroup="race")["DP-SGD"] == {"square-open"}


def test_a_metric_that_was_not_measured_says_so(client, study):
    figure = ask(client, "tradeoff", job_id=study, y="accuracy", subgroup="sex=Unknown")
    assert "Choose another metric, subgroup or split" in figure["empty"]


def test_narrow_figures_break_their_labels(client, database):
    methods = [{"name": "adaptive_dp_sgd", "params": {"epsilon": [1, 4], "clip": [0.5, 2]}}]
    job = client.post("/api/jobs", json=synthetic.spec(methods=methods)).json()["id"]
    synthetic.measure(database, job)
    wide, narrow = (ask(client, "tradeoff", job_id=job, width=w)["figure"]["layout"] for w in (900, 390))
    assert max(len(line) for a in narrow["annotations"] for line in a["text"].split("<br>")) <= 16
    assert narrow["margin"]["l"] + narrow["margin"]["r"] < 250
    assert wide["margin"]["r"] <= 240


# --- subgroups, ROC, history ------------------------------------------------------------------------------------------


def test_subgroups_are_ordered_with_the_worst_on_top(client, study):
    figure = ask(client, "subgroups", job_id=study)
    axis = figure["figure"]["layout"]["yaxis"]
    assert axis["ticktext"][0].startswith("White")  # made up to lose most
    assert axis["tickvals"][0] == max(axis["tickvals"])
    assert "Everybody (n = 9,000)" in axis["ticktext"]
    assert figure["title"].startswith("Loss of each subgroup at ε = 1")
    accuracy = ask(client, "subgroups", job_id=study, metric="accuracy")["figure"]["layout"]["yaxis"]["ticktext"]
    assert accuracy[0].startswith("White")
    trace = figure["figure"]["data"][0]
    hollow = [s for s, text in zip(trace["marker"]["symbol"], trace["hovertext"], strict=True) if "Other" in text]
    assert hollow == ["circle-open"]
    family = ask(client, "subgroups", job_id=study, subgroup="sex")["figure"]["layout"]["yaxis"]["ticktext"]
    assert len(family) == 3
    at_four = ask(client, "subgroups", job_id=study, epsilon=4)
    assert "at ε = 4" in at_four["title"]


@pytest.mark.parametrize(("seeds", "named"), [(3, False), (8, True)])
def test_a_subgroup_is_named_only_where_seeds_hold_it_apart(client, database, seeds, named):
    spec = synthetic.spec(dataset={"name": "adult", "subgroups": ["sex"]}, seeds=seeds)
    job = client.post("/api/jobs", json=spec).json()["id"]
    synthetic.measure(database, job, noise=0.0001)
    doubtful = ask(client, "subgroups", job_id=job)
    assert doubtful["title"].endswith("worst first"), "a group of 12 rows is no evidence"
    assert not doubtful["supported"]
    clear = ask(client, "subgroups", job_id=job, subgroup="sex")
    assert clear["supported"] == named
    assert clear["title"].startswith("Male: highest loss of all subgroups at ε = 1") == named


def test_the_roc_is_logarithmic_with_chance_and_resolution(client, study):
    figure = ask(client, "roc", job_id=study)
    layout = figure["figure"]["layout"]
    assert layout["xaxis"]["type"] == layout["yaxis"]["type"] == "log"
    chance = figure["figure"]["data"][0]
    assert chance["name"] == "chance"
    assert chance["x"] == chance["y"]
    assert "with 9,000 non-members no rate below 0.011 % can be measured" in figure["caption"]
    for trace in figure["figure"]["data"][1:]:
        assert min(trace["x"]) > 0
        assert min(trace["y"]) > 0
    small = ask(client, "roc", job_id=study, subgroup="race=Other")
    assert "with 12 non-members" in small["caption"]
    assert small["rows"][0][1] is None, "0.1 % cannot be read from 12 rows"


def test_the_roc_says_where_shadow_models_are_missing(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job)
    keys = [run["id"] for run in client.get(f"/api/jobs/{job}/runs?method=sgd").json()["items"]]
    assert "shadow" not in ask(client, "roc", job_id=job)["caption"]
    with database.write() as session:
        for key, models, why in [(keys[0], 9, "Only 9 of 64."), (keys[1], 12, "Only 12 of 64."), (keys[2], 0, "No 8.")]:
            session.add(
                ExposedRow(
                    run_id=runs.get(session, key).id, attack="loss_threshold", models=models, left_out=1, unscored=0,
                    statement=why, records=[],
                )
            )  # fmt: skip
    caption = ask(client, "roc", job_id=job)["caption"]
    assert "no figures in 1 of 12 runs" in caption
    assert "in 2 of 12 runs shadow models diverged or failed, down to 9 shadow models" in caption
    assert "down to 12" in ask(client, "roc", run_id=keys[1])["caption"]
    with database.write() as session:
        session.execute(delete(RocRow))
    assert ask(client, "roc", run_id=keys[2])["empty"] == "No 8."


def test_histories_are_means_along_epochs(client, study):
    figure = ask(client, "history", job_id=study)
    assert figure["title"] == "Clipping threshold along training at ε = 1"
    assert figure["figure"]["layout"]["yaxis"]["type"] == "log"
    assert [row[1] for row in figure["rows"][:5]] == [1, 2, 3, 4, 5]
    loss = ask(client, "history", job_id=study, series="train_loss")
    assert loss["figure"]["layout"]["yaxis"].get("type") != "log"
    assert {row[0] for row in loss["rows"]} >= {"SGD", "DP-SGD"}


def test_clipping_names_whom_it_bends_and_when(client, study):
    figure = ask(client, "clipping", job_id=study, method="dp_sgd")
    assert figure["title"] == (
        "After epoch 1 the gradients of Female keep 33 % of their length, those of Male 63 %; "
        "direction: cosine 0.96 and 0.99 (DP-SGD at ε = 1)"
    )
    assert {row[0] for row in figure["rows"]} == {"Female", "Male"}
    layout = figure["figure"]["layout"]
    assert layout["yaxis4"]["type"] == "log"
    ends = sorted(tuple(layout[axis]["domain"]) for axis in ("yaxis", "yaxis2", "yaxis3", "yaxis4"))
    assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(ends)), "panels must not overlap"
    lines = [trace for trace in figure["figure"]["data"] if "markers" in trace["mode"]]
    assert len({trace["line"]["color"] for trace in lines}) == 1, "the hue is the method's"
    assert len({trace["line"]["dash"] for trace in lines}) == 2
    limit = [trace for trace in figure["figure"]["data"] if trace["name"].startswith("Longest")]
    assert limit[0]["y"] == pytest.approx([1.0, 0.8, 0.3])
    female = next(row for row in figure["rows"] if row[:2] == ["Female", 1])
    assert female[2] == pytest.approx(0.99 - 0.3 / 9)
    assert female[6:] == pytest.approx([0.7, 0.1, 0.8, 4.0, female[-1]])
    both = ask(client, "clipping", job_id=study, subgroup="sex & race")
    assert {row[0] for row in both["rows"]} == {"Female, Black"}
    everybody = ask(client, "clipping", job_id=study, subgroup="all")
    assert "Everybody" in {row[0] for row in everybody["rows"]}


def test_clipping_of_many_groups_has_bars_side_by_side_and_no_interval_beyond_what_can_be():
    epochs, rng = np.array([0.0, 1.0, 100.0]), np.random.default_rng(0)
    names = ["sex=a", "sex=b", "sex=c"]

    def course():
        return epochs, np.array([1.0, 0.99, 0.5]) - rng.uniform(0, [0.01, 0.02, 0.5])

    courses = {name: {series: [course() for _ in range(3)] for series in bending.SERIES} for name in names}
    words, theme = Words(), THEMES["light"]

    def draw(names):
        made = {name: courses[name] for name in names}
        asked = {"at": "", "caption": "", "width": None}
        figure = bending.clipping(made, [course()], "DP-SGD", "dp_sgd", ["r"], words, theme, **asked).model_dump()
        check(figure)
        panel = [trace for trace in figure["figure"]["data"] if trace["yaxis"] == "y" and "lines" in trace["mode"]]
        return figure, panel

    figure, bars = draw(names)
    assert [trace["name"] for trace in bars] == ["a", "b", "c"]
    assert figure["figure"]["layout"]["xaxis"]["ticktext"] == ["0", "1", "100"]
    for at in range(3):
        places = [trace["x"][at] for trace in bars]
        assert places == sorted(set(places)), "side by side"
        assert all(abs(place - at) < 0.5 for place in places), "nearer to their own look than to another"
    high, low = (np.array([trace["error_y"][end] for trace in bars]) for end in ("array", "arrayminus"))
    means = np.array([trace["y"] for trace in bars])
    for trace, name in zip(bars, names, strict=True):
        values = np.array([values for _, values in courses[name][bending.COSINE]])
        half = stats.t.ppf(0.975, 2) * stats.sem(values)
        assert trace["y"] == pytest.approx(values.mean(axis=0))
        assert trace["error_y"]["arrayminus"] == pytest.approx(half)
        assert trace["error_y"]["array"] == pytest.approx(np.minimum(half, 1 - values.mean(axis=0)))
    assert (means + high).max() <= 1 + 1e-12
    assert (low[:, -1] > high[:, -1]).any(), "one is cut off"
    _, two = draw(names[:2])
    assert [trace.get("fill") for trace in two] == ["toself", None, "toself", None]
    assert not any("error_y" in trace for trace in two)
    assert max(y for trace in two for y in trace["y"]) <= 1


def test_clipping_is_drawn_of_the_setting_that_is_best_in_validation(client, database):
    methods = [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 2], "clip": [0.5, 2, 8]}}]
    job = client.post("/api/jobs", json=synthetic.spec(methods=methods)).json()["id"]
    synthetic.measure(database, job, noise=0.2)
    picked = []
    for epsilon in (1, 2):
        figure = ask(client, "clipping", job_id=job, epsilon=epsilon)
        drawn = {run for trace in figure["figure"]["data"] for runs in trace.get("customdata", []) for run in runs}
        found = {}
        for run in client.get(f"/api/jobs/{job}/runs", params={"method": "dp_sgd", "limit": 200}).json()["items"]:
            whole = client.get(f"/api/runs/{run['id']}").json()
            if whole["epsilon"] == epsilon:
                (loss,) = [
                    m["value"] for m in whole["measurements"]
                    if (m["metric"], m["subgroup"], m["split"]) == ("loss", "all", "validation")
                ]  # fmt: skip
                found.setdefault(whole["setting"]["method"]["params"]["clip"], []).append((run["id"], loss))
        best = min(found, key=lambda clip: statistics.mean(loss for _, loss in found[clip]))
        assert len(found) == 3
        assert drawn == {run for run, _ in found[best]}
        assert f"DP-SGD, clipping threshold {best:g}" in figure["title"]
        picked.append(best)
        assert "of 3 settings of DP-SGD the best in validation loss" in figure["caption"]
        assert "3 seeds" in figure["caption"]
    assert picked != [0.5, 0.5], "the first would have been drawn without a choice"
    other = ask(client, "clipping", job_id=job, epsilon=1, choose="accuracy")
    assert "the best in validation accuracy" in other["caption"]


def test_clipping_says_nothing_of_groups_that_seeds_do_not_tell_apart(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    synthetic.measure(database, job, noise=5.0)
    assert ask(client, "clipping", job_id=job)["title"].startswith("What clipping does to the gradients")


def test_clipping_of_one_run_and_of_runs_without_it(client, study):
    runs = client.get(f"/api/jobs/{study}/runs", params={"limit": 200}).json()["items"]
    private = next(run for run in runs if run["method"] == "dp_sgd" and run["status"] == "succeeded")
    assert "After epoch 1" in ask(client, "clipping", run_id=private["id"])["title"]
    plain = next(run for run in runs if run["method"] == "sgd")
    assert "not private" in ask(client, "clipping", run_id=plain["id"])["empty"]
    answer = client.get("/api/figures/clipping", params={"job_id": study, "method": "sgd"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["problems"][0]["field"] == "method"


# --- injection --------------------------------------------------------------------------------------------------------

EVIL = '<img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>'


def test_markup_in_titles_is_drawn_as_text(client, database):
    from backend.store import workers

    catalogue = synthetic.catalogue()
    plugins = [
        p.model_copy(update={"title": EVIL}) if p.kind in ("method", "dataset", "attack") else p
        for p in catalogue.plugins
    ]
    metrics = [m.model_copy(update={"title": EVIL, "unit": EVIL}) for m in catalogue.metrics]
    with database.write() as session:
        workers.publish_catalogue(
            session, catalogue.model_copy(update={"plugins": plugins, "metrics": metrics, "version": "evil"})
        )
    job = client.post("/api/jobs", json=synthetic.spec(name=EVIL)).json()["id"]
    synthetic.measure(database, job)
    for name in NAMES:
        text = json.dumps(ask(client, name, job_id=job, width=390)["figure"])
        assert "<img" not in text
        assert "<a " not in text
        assert "&lt;" in text


def test_the_only_markup_is_ours():
    assert parts.hover("<b>", ["<i>"]) == "<b>&lt;b&gt;</b><br>&lt;i&gt;"
    assert parts.wrapped("<script> a b", 6) == "&lt;script&gt;<br>a b"


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda t: t.name)
def test_contrast_is_that_of_wcag_aa(theme):
    from backend.figures.theme import contrast

    for name, stroke, ink in weakest(theme):
        assert stroke >= 3, name
        assert ink >= 4.5, name
    assert contrast(theme.text, theme.page) >= 4.5
    assert contrast(theme.muted, theme.page) >= 4.5


def test_an_unknown_methods_look_is_fixed():
    assert look("somebody_elses") == look("somebody_elses")
    assert look("somebody_elses").hue in LIGHT.hues


def test_labels_are_moved_apart_and_keep_their_order():
    positions = [0.5, 0.5, 0.501, 0.1, 0.9]
    shifts = parts.spread(positions, 0.0, 1.0)
    at = [p * parts.PLOT_HEIGHT + s for p, s in zip(positions, shifts, strict=True)]
    ordered = sorted(at)
    assert all(b - a >= parts.LABEL_HEIGHT - 0.2 for a, b in itertools.pairwise(ordered))
    assert at[0] < at[2]
    assert shifts[3] == shifts[4] == 0
    assert parts.spread([], 0, 1) == []
    assert len(parts.spread([1.0, 1.0], 1.0, 1.0)) == 2


def test_intervals_of_several_labels_stay_near_their_curves():
    shifts = parts.spread([0.5, 0.5, 0.5], 0.0, 1.0)
    assert sorted(shifts) == [-parts.LABEL_HEIGHT, 0, parts.LABEL_HEIGHT]
