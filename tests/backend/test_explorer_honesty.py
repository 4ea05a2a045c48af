"""On data without any effect no figure's sentence claims one more often than its level; with one, it says so."""

import numpy as np
import pytest
from scipy import stats

from backend.analysis import alarms, findings
from backend.analysis.curves import Axis, points_of, series_of
from backend.analysis.intervals import mean_interval
from backend.analysis.labels import Words
from backend.analysis.table import Column, RunTable, SettingInfo
from backend.analysis.worst import worst
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
    # What subgroups of one run share makes their numbers no independent draws.
    shared = random.normal(size=SEEDS)
    for place, name in enumerate(CELLS):
        values = shared + random.normal(size=SEEDS) + effect * (place == 2)
        mean, low, high = mean_interval(values)
        marks[name] = Mark(name, mean, low, high, 500, SEEDS, [], values)
    line = Line("dp_sgd", "DP-SGD", False, False, marks)
    return subgroups_finding([line], WORDS.metric("loss"), WORDS, "") is not None


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
    others = [c.by_seed for c in cells if c is not cells[2]]
    p = max(stats.wilcoxon(worst, o, method="exact", alternative="greater").pvalue for o in others) * len(cells)
    assert p < 0.05
    said = intersections_finding(cells, WORDS.metric("loss"), WORDS, "DP-SGD")
    assert said.endswith(f"Holm-corrected p = {p:.2g} over {SEEDS} seeds")
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


# --- who is the worst off ---------------------------------------------------------------------------------------------


def by_hand(settings, sign):
    """The rule of `worst` with scipy's test and Holm's correction written out."""
    names = sorted(settings[0])
    p = []
    for name in names:
        own = [0.0]
        for one in settings:
            for other in names:
                if other != name:
                    a, b = sign * one[name], sign * one[other]
                    own.append(stats.wilcoxon(a, b, alternative="greater", method="exact").pvalue)
                    if (a - b).mean() <= 0:
                        own.append(1.0)
        p.append(max(own))
    order = sorted(range(len(p)), key=lambda i: p[i])
    running, corrected = 0.0, {}
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = running
    return (names[order[0]], corrected[order[0]]) if corrected[order[0]] < 0.05 else None


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("groups", "settings", "effect"), [(2, 1, 1.2), (4, 1, 2.0), (3, 2, 1.6)])
def test_the_worst_group_is_that_of_scipy_and_holm(sign, groups, settings, effect):
    said = 0
    for number in range(40):
        random = np.random.default_rng([number, groups, settings])
        drawn = [
            {f"g={i}": random.normal(size=9) + sign * effect * (i == 1) for i in range(groups)} for _ in range(settings)
        ]
        expected = by_hand(drawn, sign)
        found = worst(drawn, higher_is_better=sign < 0)
        assert (found is None) == (expected is None), number
        if found is not None and expected is not None:
            said += 1
            assert (found.subgroup, found.pairs) == (expected[0], 9)
            assert found.p == pytest.approx(expected[1], rel=1e-12)
    assert 0 < said < 40, "both answers are met"


@pytest.mark.parametrize("seeds", [6, 8, 12])
@pytest.mark.parametrize("groups", [2, 3, 8])
def test_equal_groups_are_told_apart_no_more_often_than_at_the_level(groups, seeds):
    claims, sets = 0, 1000
    for number in range(sets):
        random = np.random.default_rng([number, groups, seeds])
        # Skewed, with what all groups of a run share, and unequal spreads around equal centres.
        shared = random.exponential(size=seeds)
        drawn = {f"g={i}": shared + (1 + i) * random.standard_t(3, size=seeds) for i in range(groups)}
        claims += worst([drawn], higher_is_better=False) is not None
    assert stats.binomtest(claims, sets, 0.05, alternative="greater").pvalue > 0.01, f"{claims} of {sets}"


def test_fewer_than_six_shared_seeds_or_ranks_against_the_mean_leave_the_worst_unsaid():
    a = np.arange(8.0)
    b = a + 1 + a / 9
    assert worst([{"a": a, "b": b}], higher_is_better=False).subgroup == "b"
    assert worst([{"a": a, "b": b}], higher_is_better=True).subgroup == "a"
    holes = np.where(np.arange(8) < 3, np.nan, a)
    assert worst([{"a": holes, "b": b}], higher_is_better=False) is None
    # Nineteen of twenty seeds say the opposite of the mean.
    outlier = np.append(np.full(19, -0.1) - np.arange(19) / 1000, 100.0)
    assert worst([{"a": np.zeros(20), "b": outlier}], higher_is_better=False) is None
    assert worst([{"a": a}], higher_is_better=False) is None
    assert worst([], higher_is_better=False) is None
    assert worst([{"a": a, "b": b}, {"a": a, "c": b}], higher_is_better=False) is None
