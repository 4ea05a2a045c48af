"""Attack figures against scikit-learn's ROC, and what few rows cannot resolve."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from worker.attacks import _report as report
from worker.datasets._table import SensitiveAttribute
from worker.metrics._figures import measurements
from worker.metrics._predictions import Groups


def reported(attack, scores, members, groups):
    """Measurements and curves of one run."""
    figures, (curves,) = report.report(attack, scores, members, groups)
    (found,) = measurements(figures, (), "test")
    return found, curves


def crossfitted(scores, members):
    """Advantage with each half's best threshold, read on the other half; row by row."""
    halves = np.arange(len(scores)) % 2
    found = []
    for half in (0, 1):
        best, threshold = 0, np.inf
        mine, other = halves == half, halves != half
        for level in np.unique(scores)[::-1]:
            named = scores >= level
            tp, fp = (named & mine & members).sum(), (named & mine & ~members).sum()
            gain = tp * (mine & ~members).sum() - fp * (mine & members).sum()
            if gain > best:
                best, threshold = gain, level
        named = scores >= threshold
        found.append(named[other & members].mean() - named[other & ~members].mean())
    return np.mean(found)


def tpr_at(fpr, tpr, rate):
    return max(t for f, t in zip(fpr, tpr, strict=True) if f <= rate * (1 + 1e-12))


@st.composite
def scored(draw):
    rows = draw(st.integers(60, 400))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    members = random.random(rows) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    members[:10], members[-10:] = True, False
    scores = random.normal(size=rows) + members * draw(st.sampled_from([0.0, 0.5, 4.0]))
    return (np.round(scores, 1) if draw(st.booleans()) else scores), members


@settings(max_examples=150, deadline=None)
@given(scored())
def test_figures_equal_those_from_the_roc_of_scikit_learn(case):
    scores, members = case
    fpr, tpr, _ = sk.roc_curve(members, scores, drop_intermediate=False)
    everybody = Groups(("all",), np.ones((1, len(scores)), bool), {})
    listed, (roc,) = reported("loss_threshold", scores, members, everybody)
    found = {m.metric.removeprefix("loss_threshold_"): m for m in listed}
    assert found["auc"].value == pytest.approx(sk.auc(fpr, tpr))
    assert found["advantage"].value == pytest.approx(crossfitted(scores, members))
    assert found["balanced_accuracy"].value == pytest.approx((1 + crossfitted(scores, members)) / 2)
    for name, rate in report.LOW_FPR.items():
        if (~members).sum() * rate < 1:
            assert found[name].value is None
        else:
            assert found[name].value == pytest.approx(tpr_at(fpr, tpr, rate))
    assert (roc.fpr[0], roc.tpr[0], roc.fpr[-1], roc.tpr[-1]) == (0, 0, 1, 1)
    for f, t in zip(roc.fpr, roc.tpr, strict=True):
        assert np.min(np.abs(fpr - f) + np.abs(tpr - t)) < 1e-5, "every point drawn is one of the curve"
    assert np.all(np.diff(roc.fpr) >= 0)
    assert np.all(np.diff(roc.tpr) >= 0)


def test_low_false_positive_rates_need_enough_non_members():
    random = np.random.default_rng(0)
    members = np.arange(1998) < 999
    scores = random.normal(size=1998)
    everybody = Groups(("all",), np.ones((1, 1998), bool), {})
    found = {m.metric: m for m in reported("a", scores, members, everybody)[0]}
    assert found["a_tpr_at_1pct_fpr"].value is not None
    assert found["a_tpr_at_0_1pct_fpr"].value is None
    assert "at least 1000 non-members" in report.unresolved(999, 0.001)
    assert report.unresolved(1000, 0.001) is None
    assert report.unresolved(100, 0.01) is None


def test_a_perfect_and_a_useless_attack():
    members = np.arange(4000) < 2000
    everybody = Groups(("all",), np.ones((1, 4000), bool), {})
    perfect = {m.metric: m.value for m in reported("a", members.astype(float), members, everybody)[0]}
    assert perfect.pop("a_tpr_at_0_01pct_fpr") is None
    assert set(perfect.values()) == {1.0}
    useless = {m.metric: m.value for m in reported("a", np.zeros(4000), members, everybody)[0]}
    assert useless == {"a_auc": 0.5, "a_advantage": 0, "a_balanced_accuracy": 0.5,
                       "a_tpr_at_1pct_fpr": 0, "a_tpr_at_0_1pct_fpr": 0, "a_tpr_at_0_01pct_fpr": None}  # fmt: skip


def test_subgroups_of_members_alone_have_no_figures_and_no_curve():
    members = np.arange(40) < 20
    sex = SensitiveAttribute("Sex", (np.arange(40) >= 10).astype(int), ("F", "M"))
    groups = Groups.of({"sex": sex}, [["sex"]], np.arange(40))
    found, rocs = reported("a", np.arange(40.0), members, groups)
    assert [roc.subgroup for roc in rocs] == ["all", "sex=M"]
    assert all(m.value is None for m in found if m.subgroup == "sex=F")


def test_the_advantage_of_random_scores_is_centred_near_zero_in_small_groups():
    random = np.random.default_rng(0)
    members = np.arange(30) % 4 < 2
    everybody = Groups(("all",), np.ones((1, 30), bool), {})
    figures, _ = report.report("a", random.normal(size=(4000, 30)), members, everybody)
    (found,) = [figure for figure in figures if figure.metric == "a_advantage"]
    assert abs(found.value.mean()) < 0.02, "the maximum over thresholds on the rows themselves would be 0.22"
    assert ((found.low <= 0) & (found.high >= 0)).mean() > 0.9


def test_a_subgroup_with_few_members_has_no_figures():
    members = np.arange(60) < 3
    everybody = Groups(("all",), np.ones((1, 60), bool), {})
    found, rocs = reported("a", np.arange(60.0), members, everybody)
    assert all(m.value is None for m in found)
    assert rocs == []


def test_rows_without_a_score_are_left_out_of_each_run_alone():
    random = np.random.default_rng(0)
    members = np.arange(200) < 120
    scores = random.normal(size=(2, 200))
    scores[1, 5:60] = np.nan
    everybody = Groups(("all",), np.ones((1, 200), bool), {})
    figures, curves = report.report("a", scores, members, everybody)
    together = measurements(figures, (2,), "test")
    known = ~np.isnan(scores[1])
    some = Groups(("all",), np.ones((1, known.sum()), bool), {})
    assert reported("a", scores[0], members, everybody) == (together[0], curves[0])
    without, drawn = reported("a", scores[1, known], members[known], some)
    halves = ("a_advantage", "a_balanced_accuracy")
    assert [m for m in without if m.metric not in halves] == [m for m in together[1] if m.metric not in halves]
    assert drawn == curves[1]
    nothing, none = report.report("a", np.full((2, 200), np.nan), members, everybody)
    assert all(m.value is None for run in measurements(nothing, (2,), "test") for m in run)
    assert none == [[], []]


def test_clopper_pearson_equals_scipy():
    for hits, trials in [(0, 10), (3, 10), (10, 10), (7, 2000)]:
        expected = stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
        assert report.clopper_pearson(hits, trials) == pytest.approx((expected.low, expected.high))
    assert np.isnan(report.clopper_pearson(0, 0)).all()


def test_many_runs_are_reported_as_each_alone():
    random = np.random.default_rng(3)
    members = np.arange(3000) < 2000
    sex = SensitiveAttribute("Sex", random.integers(0, 2, 3000), ("F", "M"))
    groups = Groups.of({"sex": sex}, [["sex"]], np.arange(3000))
    scores = np.round(random.normal(size=(6, 3000)) + members * np.arange(6)[:, None], 2)
    scores[2] = 1.0
    figures, curves = report.report("a", scores, members, groups)
    together = measurements(figures, (6,), "test")
    for run in range(6):
        assert reported("a", scores[run], members, groups) == (together[run], curves[run])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 100_000), st.integers(0, 2**32))
def test_six_digits_are_those_that_python_prints(whole, seed):
    parts = np.random.default_rng(seed).integers(0, whole + 1, 50)
    expected = [float(f"{part / whole:.6g}") for part in parts]
    assert report.short(parts / whole) == pytest.approx(expected, rel=1.01e-5, abs=0)
    ties = np.array([f"{part / whole:.17e}"[8] == "5" for part in parts])
    assert np.array_equal(report.short(parts / whole)[~ties], np.array(expected)[~ties])


def test_a_thinned_curve_keeps_its_low_end():
    random = np.random.default_rng(0)
    members = np.arange(40_000) < 20_000
    scores = random.normal(size=40_000) + 0.3 * members
    everybody = Groups(("all",), np.ones((1, 40_000), bool), {})
    _, (roc,) = reported("a", scores, members, everybody)
    assert len(roc.fpr) < 240
    fpr, tpr, _ = sk.roc_curve(members, scores, drop_intermediate=False)
    for rate in (1e-4, 1e-3, 1e-2, 0.1):
        drawn = roc.tpr[np.searchsorted(roc.fpr, rate, side="right") - 1]
        assert drawn == pytest.approx(tpr_at(fpr, tpr, rate), rel=0.15)
