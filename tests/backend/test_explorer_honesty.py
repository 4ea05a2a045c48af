"""On data without any effect no figure's sentence claims one more often than its level; with one, it says so."""

import numpy as np
import pytest
from scipy import stats

from backend.analysis import alarms, findings
from backend.analysis.curves import Axis, points_of, series_of
from backend.analysis.intervals import mean_interval
from backend.analysis.labels import Words
from backend.analysis.table import Column, RunTable, SettingInfo
from backend.figures.audit import Audit
from backend.figures.audit import finding as audit_finding
from backend.figures.intersections import Cross
from backend.figures.intersections import finding as intersections_finding
from backend.figures.parallel import Dimension, parallel_figure
from backend.figures.subgroups import Line, Mark
from backend.figures.subgroups import finding as subgroups_finding
from backend.figures.theme import LIGHT
from tests.backend import synthetic

DATASETS, SEEDS = 400, 10
WORDS = Words.of(synthetic.catalogue())
CELLS = [f"sex={sex} & race={race}" for sex in ("Female", "Male") for race in ("Black", "Other", "White")]


def tradeoff(random, effect=0.0):
    infos, rows = [], []
    for setting, (method, epsilon) in enumerate((m, e) for m in ("dp_sgd", "soft_ada_clip") for e in (1.0, 2.0, 4.0)):
        infos.append(SettingInfo(setting, method, epsilon, {}, "adult", "mlp", "same", method))
        rows += [(10 * setting + s, f"{setting}-{s}", s, "succeeded", False, setting) for s in range(SEEDS)]
    table = RunTable.of(rows, infos)
    # What seeds share, as splits and initial weights do, and what they do not.
    values = random.normal(size=SEEDS)[table.seeds] + random.normal(size=len(table))
    values += effect * (table.settings < 3)
    metric = WORDS.metric("loss")
    y = Axis(metric, "all", Column(values, np.full(len(table), 100)))
    x = Axis(WORDS.metric("epsilon"), "all", table.epsilon())
    found = findings.tradeoff(points_of(table, x, y), series_of(table, WORDS), x, y, None, WORDS)
    return "p = " in found.sentence


def subgroups(random, effect=0.0):
    marks = {}
    for place, name in enumerate(CELLS):
        values = random.normal(size=SEEDS) + effect * (place == 2)
        mean, low, high = mean_interval(values)
        marks[name] = Mark(name, mean, low, high, 500, SEEDS, [])
    line = Line("dp_sgd", "DP-SGD", False, False, marks)
    return "overlap no other" in subgroups_finding([line], WORDS.metric("loss"), WORDS, "")


def crosses(random, effect=0.0):
    shared = random.normal(size=SEEDS)
    found = []
    for place, name in enumerate(CELLS):
        values = shared + random.normal(size=SEEDS) + effect * (place == 2)
        found.append(Cross(name, *mean_interval(values), 500, values))
    return found


def intersections(random, effect=0.0):
    return intersections_finding(crosses(random, effect), WORDS.metric("loss"), WORDS, "DP-SGD") is not None


def audit(random, effect=0.0):
    audits = [alarms.Audited(f"run {i}", "one_run_audit", p, 2.0, 1.0) for i, p in enumerate(random.random(SEEDS))]
    if effect:
        audits[3] = alarms.Audited("run 3", "one_run_audit", 1e-6, 9.0, 1.0)
    bad = {one.run for one in alarms.refuted(audits)}
    drawn = [Audit(a.run, 1, "x", "dp_sgd", a.audit, 1.0, 2.0, a.p, a.run in bad, {}) for a in audits]
    return audit_finding(drawn).startswith("Audits refute")


COMPARED = [tradeoff, subgroups, intersections, audit]


@pytest.mark.parametrize("compared", COMPARED)
def test_no_effect_is_claimed_no_more_often_than_at_the_level(compared):
    claims = sum(compared(np.random.default_rng(i)) for i in range(DATASETS))
    assert stats.binomtest(claims, DATASETS, 0.05, alternative="greater").pvalue > 0.01, f"{claims} of {DATASETS}"


@pytest.mark.parametrize("compared", COMPARED)
def test_a_large_effect_is_claimed(compared):
    assert all(compared(np.random.default_rng(i), effect=5.0) for i in range(20))


def test_the_probability_is_that_of_the_weakest_comparison_times_the_number_of_cells():
    cells = crosses(np.random.default_rng(5), effect=3.0)
    worst = cells[2].by_seed
    p = max(stats.wilcoxon(worst, c.by_seed, method="exact").pvalue for c in cells if c is not cells[2]) * len(cells)
    assert p < 0.05
    said = intersections_finding(cells, WORDS.metric("loss"), WORDS, "DP-SGD")
    assert said.endswith(f"p = {p:.2g} over {SEEDS} seeds")
    assert "highest loss" in said


def test_few_rows_few_seeds_or_no_direction_leave_it_unsaid():
    cells = crosses(np.random.default_rng(5), effect=9.0)
    loss = WORDS.metric("loss")
    assert intersections_finding(cells, loss, WORDS, "DP-SGD")
    small = [Cross(c.subgroup, c.value, c.low, c.high, 19 if i == 4 else c.n, c.by_seed) for i, c in enumerate(cells)]
    few = [Cross(c.subgroup, c.by_seed[:5].mean(), c.low, c.high, c.n, c.by_seed[:5]) for c in cells]
    assert intersections_finding(small, loss, WORDS, "DP-SGD") is None
    assert intersections_finding(few, loss, WORDS, "DP-SGD") is None
    assert intersections_finding(cells[:2], loss, WORDS, "DP-SGD") is None
    assert intersections_finding(cells, WORDS.metric("selection_rate"), WORDS, "DP-SGD") is None


def test_parallel_lines_compare_nothing():
    values = np.random.default_rng(0).normal(size=(3, 40))
    dimensions = [Dimension(f"Metric {i}", "", v) for i, v in enumerate(values)]
    methods = ["dp_sgd"] * 20 + ["soft_ada_clip"] * 20
    drawn = parallel_figure(dimensions, list(range(40)), ["x"] * 40, methods, WORDS, LIGHT, caption="", width=None)
    assert drawn.title == "40 settings across metric 0, metric 1 and metric 2"
