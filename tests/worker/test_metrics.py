"""Every metric against scikit-learn and fairlearn, on random and on degenerate inputs."""

import fairlearn.metrics as fair
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special

from worker.datasets._table import SensitiveAttribute
from worker.metrics import _intervals as intervals
from worker.metrics import _ranking as ranking
from worker.metrics._figures import Figure, measurements
from worker.metrics._predictions import Groups, Observed, Predictions, RunFigures
from worker.metrics.classification import BINS
from worker.metrics.classification import PLUGIN as CLASSIFICATION
from worker.metrics.cost import PLUGIN as COST
from worker.metrics.gaps import PLUGIN as GAPS
from worker.metrics.generalisation import PLUGIN as GENERALISATION
from worker.metrics.membership_trade_off import PLUGIN as TRADE_OFF
from worker.testing import toy_table
from worker.training.losses import per_record_numpy

CHECK = settings(max_examples=80, deadline=None)


@st.composite
def cases(draw, classes=2):
    """Predictions with ties, absent classes, constant predictions and tiny subgroups, and their groups."""
    rows = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(size=(rows, classes)).astype(np.float32)
    if draw(st.booleans()):
        logits = np.round(logits)
    if draw(st.booleans()):
        logits[:, 0] += draw(st.sampled_from([-1e3, -5, 5, 1e3]))
    target = random.integers(0, draw(st.integers(1, classes)), rows)
    sex, race = random.integers(0, 2, rows), random.integers(0, 3, rows)
    attributes = {
        "sex": SensitiveAttribute("Sex", sex, ("F", "M")),
        "race": SensitiveAttribute("Race", race, ("A", "B", "C")),
    }
    groups = Groups.of(attributes, [["sex"], ["race"], ["sex", "race"]], np.arange(rows))
    return Predictions(logits, target, "binary" if classes == 2 else "multiclass"), groups


def listed(plugin, predictions, groups):
    (found,) = measurements(plugin.measure(predictions, groups), (), predictions.split)
    return found


def measured(plugin, predictions, groups):
    return {(m.metric, m.subgroup): m for m in listed(plugin, predictions, groups)}


@CHECK
@given(cases())
def test_binary_metrics_equal_those_of_scikit_learn(case):
    predictions, groups = case
    found = measured(CLASSIFICATION, predictions, groups)
    assert {metric for metric, _ in found} == {m.name for m in CLASSIFICATION.metrics}
    for name, mask in zip(groups.names, groups.masks, strict=True):
        y, guess = predictions.target[mask], predictions.predicted[mask]
        margin, probability = predictions.margin[mask], predictions.probabilities[mask]
        values = {metric: m.value for (metric, subgroup), m in found.items() if subgroup == name}
        assert values["n"] == len(y) > 0
        assert (
            values["loss"]
            == pytest.approx(
                -np.mean(np.log(np.maximum(probability[np.arange(len(y)), y], 1e-300))), rel=1e-9, abs=1e-12
            )
            or np.abs(margin).max() > 600
        )
        assert values["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
        assert values["selection_rate"] == pytest.approx(fair.selection_rate(y, guess))
        assert values["majority_share"] == pytest.approx(max(np.mean(guess), 1 - np.mean(guess)))
        tn, fp, fn, tp = sk.confusion_matrix(y, guess, labels=[0, 1]).ravel()
        assert values["tpr"] == (pytest.approx(tp / (tp + fn)) if tp + fn else None)
        assert values["fpr"] == (pytest.approx(fp / (fp + tn)) if fp + tn else None)
        both = len(set(y)) == 2
        assert values["balanced_accuracy"] == (pytest.approx(sk.balanced_accuracy_score(y, guess)) if both else None)
        assert values["f1"] == (pytest.approx(sk.f1_score(y, guess)) if tp + fp + fn else None)
        assert values["auroc"] == (pytest.approx(sk.roc_auc_score(y, margin)) if both else None)
        assert values["calibration_error"] == pytest.approx(naive_calibration_error(probability[:, 1], y))


def naive_calibration_error(probability, outcome):
    total = 0.0
    for b in range(BINS):
        last = b == BINS - 1
        inside = [i for i, p in enumerate(probability) if b <= p * BINS and (last or p * BINS < b + 1)]
        if inside:
            gap = abs(np.mean([outcome[i] for i in inside]) - np.mean([probability[i] for i in inside]))
            total += len(inside) / len(probability) * gap
    return total


@CHECK
@given(cases(classes=4))
def test_multiclass_metrics_equal_those_of_scikit_learn(case):
    predictions, groups = case
    found = measured(CLASSIFICATION, predictions, groups)
    for name, mask in zip(groups.names, groups.masks, strict=True):
        y, guess = predictions.target[mask], predictions.predicted[mask]
        values = {metric: m.value for (metric, subgroup), m in found.items() if subgroup == name}
        assert values["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
        assert values["f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))
        assert values["balanced_accuracy"] == pytest.approx(
            sk.recall_score(y, guess, average="macro", labels=np.unique(y))
        )
        if len(set(y)) == 4:
            expected = sk.roc_auc_score(y, predictions.probabilities[mask], multi_class="ovr", average="macro")
            assert values["auroc"] == pytest.approx(expected)
        else:
            assert values["auroc"] is None


@settings(max_examples=30, deadline=None)
@given(cases())
def test_gaps_equal_those_of_fairlearn(case):
    predictions, groups = case
    assume(len(predictions.target) > 1)  # fairlearn takes a single row for a table
    found = {key: m.value for key, m in measured(GAPS, predictions, groups).items()}
    y, guess = predictions.target, predictions.predicted
    for family, members in groups.families.items():
        masks = groups.masks[list(members)]
        codes = masks.argmax(axis=0)
        losses = [predictions.losses[m].mean() for m in masks]
        accuracy = fair.MetricFrame(metrics=sk.accuracy_score, y_true=y, y_pred=guess, sensitive_features=codes)
        several = len(masks) > 1
        assert found["loss_gap", family] == (pytest.approx(max(losses) - min(losses)) if several else None)
        assert found["worst_group_loss", family] == pytest.approx(max(losses))
        assert found["accuracy_gap", family] == (pytest.approx(accuracy.difference()) if several else None)
        assert found["worst_group_accuracy", family] == pytest.approx(accuracy.group_min())
        if not several:
            assert found["equalized_odds_difference", family] is None
            continue
        parity = fair.demographic_parity_difference(y, guess, sensitive_features=codes)
        assert found["demographic_parity_difference", family] == pytest.approx(parity)
        if all(len(set(y[mask])) == 2 for mask in masks):
            odds = fair.equalized_odds_difference(y, guess, sensitive_features=codes)
            assert found["equalized_odds_difference", family] == pytest.approx(odds)


@CHECK
@given(cases())
def test_intervals_hold_their_value_and_stay_in_range(case):
    predictions, groups = case
    ranges = {m.name: m for plugin in (CLASSIFICATION, GAPS) for m in plugin.metrics}
    for plugin in (CLASSIFICATION, GAPS):
        for m in listed(plugin, predictions, groups):
            info = ranges[m.metric]
            for figure in (m.value, m.low, m.high):
                assert figure is None or info.low is None or figure >= info.low - 1e-12
                assert figure is None or info.high is None or figure <= info.high + 1e-12
            if m.low is not None:
                assert m.low - 1e-12 <= m.value <= m.high + 1e-12


def test_wilson_equals_a_published_table_and_covers():
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for (hits, trials), expected in {
        (81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)
    }.items():  # fmt: skip
        assert intervals.wilson(hits, trials) == pytest.approx(expected, abs=1e-4)
    assert np.isnan(intervals.wilson(0, 0)).all()
    low, high = intervals.wilson(np.array([0, 1, 3]), np.array([0, 29, 9]))
    assert (low[1], high[1]) == intervals.wilson(1, 29)
    assert np.isnan(low[0])


def test_an_interval_needs_a_variance():
    low, high = intervals.normal(np.array([0.5, 0.5, np.nan, 0.9]), np.array([0.0, np.nan, 1.0, 1.0]), 0.0, 1.0)
    assert np.isnan(low[:3]).all()
    assert np.isnan(high[:3]).all()
    assert (low[3], high[3]) == (0.0, 1.0)


def auroc(scores, positive):
    everybody = Groups(("all",), np.ones((1, len(scores)), bool), {})
    found = ranking.rank(scores, positive, everybody)
    return found.area[0], found.variance[0]


def test_the_variance_of_an_area_is_zero_at_perfect_separation_and_exact_beside_it():
    positive = np.arange(2000) < 1000
    assert auroc(positive.astype(float), positive) == (1.0, 0.0)
    almost = positive.astype(float)
    almost[0] = -1.0
    area, variance = auroc(almost, positive)
    placements = np.append(0.0, np.ones(999))
    others = np.full(1000, 0.999)
    assert area == placements.mean()
    assert variance == pytest.approx(placements.var(ddof=1) / 1000 + others.var(ddof=1) / 1000, rel=1e-13)


@CHECK
@given(cases(), st.integers(1, 4), st.booleans())
def test_compiled_code_and_numpy_rank_alike(case, runs, tied):
    predictions, groups = case
    random = np.random.default_rng(0)
    scores = random.normal(size=(runs, len(predictions.target)))
    scores = np.round(scores) if tied else scores
    allowed = [np.arange(0, size, 3) for size in groups.sizes]
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for walk in (ranking.compiled(), None):
            patch.setattr(ranking, "compiled", lambda walk=walk: walk)
            found.append(ranking.rank(scores, predictions.target == 1, groups, allowed))
    for name in ("moments", "largest", "points", "area", "variance", "advantage"):
        assert np.array_equal(getattr(found[0], name), getattr(found[1], name), equal_nan=True)


@CHECK
@given(cases())
def test_sums_counts_and_moments_equal_those_over_each_mask(case):
    predictions, groups = case
    losses, code = predictions.losses, predictions.target
    many = np.stack([losses, losses[::-1]])
    means, variances = groups.moments(many)
    for g, mask in enumerate(groups.masks):
        assert groups.sizes[g] == mask.sum()
        assert groups.sums(many)[:, g] == pytest.approx(many[:, mask].sum(axis=1))
        assert means[:, g] == pytest.approx(many[:, mask].mean(axis=1))
        if mask.sum() > 1:
            expected = many[:, mask].var(axis=1, ddof=1)
            assert variances[:, g] == pytest.approx(expected, rel=1e-9, abs=1e-12 * many.max() ** 2)
        else:
            assert np.isnan(variances[:, g]).all()
        assert np.array_equal(groups.counts(code, 2)[g], np.bincount(code[mask], minlength=2))
        assert groups.counts(code, 2, many)[1, g] == pytest.approx(np.bincount(code[mask], many[1, mask], minlength=2))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("plugin", [CLASSIFICATION, GAPS, COST], ids=lambda plugin: plugin.name)
def test_a_run_is_measured_alike_alone_and_among_others(plugin, task):
    table = toy_table(1500, task=task, classes=5 if task == "multiclass" else 2)
    groups = Groups.of(table.attributes, [["sex"], ["race"], ["sex", "race"]], np.arange(1500))
    logits = np.random.default_rng(0).normal(size=(9, 1500, table.outputs)).astype(np.float32)
    logits[3] = 0.25
    spent = [(1.5, 10, *((None,) * 3 if run % 2 else (2.0, 1e-5, 0.7))) for run in range(9)]

    def figures(runs):
        predictions = Predictions(
            logits[runs], table.target, table.task, "test", RunFigures.of([spent[r] for r in runs])
        )
        return measurements(plugin.measure(predictions, groups), (len(runs),), "test")

    together = figures(list(range(9)))
    assert together == [figures([run])[0] for run in range(9)]
    assert together[5:7] == figures([5, 6])
    alone = Predictions(logits[4], table.target, table.task, "test", RunFigures(*spent[4]))
    assert listed(plugin, alone, groups) == together[4]


def test_figures_broadcast_and_what_is_not_defined_is_none():
    figures = [
        Figure("a", ("all", "x"), np.array([1.0, np.nan]), np.array([3, 0]), np.zeros(2), np.ones(2)),
        Figure("b", ("all",), np.array([[1.0], [2.0]])),
        Figure("c", (), np.zeros((2, 0))),
    ]
    first, second = measurements(figures, (2,), "validation")
    assert [(m.metric, m.subgroup, m.value, m.n, m.low, m.high) for m in second] == [
        ("a", "all", 1.0, 3, 0.0, 1.0), ("a", "x", None, 0, None, None), ("b", "all", 2.0, None, None, None)
    ]  # fmt: skip
    assert first[0] == second[0]
    assert {m.split for m in first} == {"validation"}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([1e-6, 1.0, 40.0, 1e4, 3e30]))
def test_losses_equal_the_log_sum_exp_of_scipy(classes, rows, seed, scale):
    random = np.random.default_rng(seed)
    logits = (random.normal(size=(3, rows, classes)) * scale).astype(np.float32)
    target = random.integers(0, classes, rows)
    exact = logits.astype(np.float64)
    expected = special.logsumexp(exact, axis=-1) - exact[:, np.arange(rows), target]
    assert per_record_numpy(logits, target, "multiclass") == pytest.approx(expected, rel=1e-12, abs=1e-12 * scale)
    assert np.array_equal(
        per_record_numpy(logits[1], target, "multiclass"), per_record_numpy(logits, target, "multiclass")[1]
    )


def test_delong_variance_equals_the_double_sum():
    random = np.random.default_rng(1)
    scores = np.round(random.normal(size=60), 1)
    positive = random.random(60) < 0.4
    a, b = scores[positive], scores[~positive]
    kernel = (a[:, None] > b[None, :]) + 0.5 * (a[:, None] == b[None, :])
    expected = kernel.mean(1).var(ddof=1) / len(a) + kernel.mean(0).var(ddof=1) / len(b)
    area, variance = auroc(scores, positive)
    assert area == pytest.approx(kernel.mean())
    assert variance == pytest.approx(expected)


def test_auroc_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(2)
    truth, covered, trials = 0.760250, 0, 400  # of N(1, 1) over N(0, 1): Phi(1 / sqrt 2)
    for _ in range(trials):
        positive = np.arange(150) < 60
        area, variance = auroc(random.normal(size=150) + positive, positive)
        low, high = intervals.auroc_interval(area, variance)
        covered += low <= truth <= high
    assert 0.91 < covered / trials < 0.98


def test_subgroups_without_rows_are_kept_and_undefined():
    table = toy_table(60)
    alone = np.flatnonzero(table.attributes["sex"].codes == 0)
    groups = Groups.of(table.attributes, [["sex"]], alone)
    logits = np.zeros((len(alone), 2), np.float32)
    found = measured(CLASSIFICATION, Predictions(logits, table.target[alone], "binary"), groups)
    assert found["n", "sex=Male"].value == 0
    assert found["accuracy", "sex=Male"].value is None
    assert found["accuracy", "sex=Male"].n == 0
    gaps = measured(GAPS, Predictions(logits, table.target[alone], "binary"), groups)
    assert gaps["loss_gap", "sex"].value is None


def test_subgroup_names_and_combinations():
    table = toy_table(200)
    groups = Groups.of(table.attributes, [["sex"], ["sex", "race"]], np.arange(200))
    assert groups.names[:3] == ("all", "sex=Female", "sex=Male")
    assert "sex=Female & race=Black" in groups.names
    assert set(groups.families) == {"sex", "sex & race"}
    assert np.array_equal(groups.masks[list(groups.families["sex & race"])].sum(axis=0), np.ones(200))


def test_regression_has_losses_and_loss_gaps_alone():
    table = toy_table(50, task="regression")
    groups = Groups.of(table.attributes, [["sex"]], np.arange(50))
    predictions = Predictions(np.zeros((50, 1), np.float32), table.target, "regression")
    found = measured(CLASSIFICATION, predictions, groups)
    assert {metric for metric, _ in found} == {"n", "loss"}
    assert found["loss", "all"].value == pytest.approx(np.mean(table.target.astype(float) ** 2))
    assert {metric for metric, _ in measured(GAPS, predictions, groups)} == {"loss_gap", "worst_group_loss"}


def test_cost_of_a_run_that_is_not_private_is_undefined_and_not_large():
    table = toy_table(20)
    groups = Groups.of(table.attributes, [], np.arange(20))
    spent = RunFigures(wall_seconds=1.5, steps=10)
    predictions = Predictions(np.zeros((20, 2), np.float32), table.target, "binary", "test", spent)
    found = measured(COST, predictions, groups)
    assert found["delta", "all"].value is None
    assert found["epsilon", "all"].value is None
    assert found["steps", "all"].value == 10
    assert not list(COST.measure(Predictions(predictions.logits, table.target, "binary", "validation", spent), groups))


def test_generalisation_is_the_difference_of_two_parts():
    random = np.random.default_rng(4)
    table = toy_table(500)
    parts, groups = [], []
    for rows, scale in ((np.arange(0, 300), 3.0), (np.arange(300, 500), 1.0)):
        logits = (scale * np.eye(2)[table.target[rows]] + random.normal(size=(len(rows), 2))).astype(np.float32)
        parts.append(Predictions(logits, table.target[rows], "binary"))
        groups.append(Groups.of(table.attributes, [["sex"]], rows))
    train, test = (Observed(*pair) for pair in zip(parts, groups, strict=True))
    found = {figure.metric: figure for figure in GENERALISATION.compare(train, test)}
    for column in range(3):
        inside, outside = groups[0].masks[column], groups[1].masks[column]
        right = [
            sk.accuracy_score(p.target[m], p.logits[m].argmax(1)) for p, m in zip(parts, (inside, outside), strict=True)
        ]
        losses = [
            sk.log_loss(p.target[m], special.softmax(p.logits[m].astype(float), axis=1))
            for p, m in zip(parts, (inside, outside), strict=True)
        ]
        assert found["train_accuracy"].value[column] == pytest.approx(right[0])
        assert found["generalisation_gap"].value[column] == pytest.approx(right[0] - right[1])
        assert found["loss_generalisation_gap"].value[column] == pytest.approx(losses[1] - losses[0])
        assert found["generalisation_gap"].n[column] == min(inside.sum(), outside.sum())
        error = np.sqrt(
            right[0] * (1 - right[0]) / (inside.sum() - 1) + right[1] * (1 - right[1]) / (outside.sum() - 1)
        )
        width = found["generalisation_gap"].high[column] - found["generalisation_gap"].low[column]
        assert width == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def test_p1_takes_the_strongest_attack():
    def figure(name, *values):
        return Figure(name, ("all", "sex=Female"), np.array(values), np.array([100, 50]))

    figures = {
        "accuracy": figure("accuracy", 0.9, 0.8),
        "lira_advantage": figure("lira_advantage", 0.3, np.nan),
        "loss_threshold_advantage": figure("loss_threshold_advantage", 0.1, -0.05),
        "one_run_audit_epsilon": figure("one_run_audit_epsilon", 9.0, 9.0),
    }
    found = {one.metric: one.value.tolist() for one in TRADE_OFF.conclude(figures)}
    assert found["highest_advantage"] == [0.3, -0.05]
    assert found["p1"] == pytest.approx([2 * 0.9 * 0.7 / (0.9 + 0.7), 2 * 0.8 * 1 / 1.8])
    assert list(TRADE_OFF.conclude({"accuracy": figures["accuracy"]})) == []
