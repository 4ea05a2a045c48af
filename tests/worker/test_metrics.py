"""Every metric against scikit-learn and fairlearn, on random and on degenerate inputs."""

import fairlearn.metrics as fair
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from worker.datasets._table import SensitiveAttribute
from worker.metrics import _intervals as intervals
from worker.metrics._predictions import Groups, Predictions, RunFigures
from worker.metrics._ranking import Ranking
from worker.metrics.classification import BINS
from worker.metrics.classification import PLUGIN as CLASSIFICATION
from worker.metrics.cost import PLUGIN as COST
from worker.metrics.gaps import PLUGIN as GAPS
from worker.testing import toy_table

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


def measured(plugin, predictions, groups):
    return {(m.metric, m.subgroup): m for m in plugin.measure(predictions, groups)}


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
        for m in plugin.measure(predictions, groups):
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
    assert intervals.wilson(0, 0) == (None, None)


def auroc(scores, positive):
    return Ranking(scores, positive).counts(np.ones(len(scores), bool)).auroc()


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
    assert found["epsilon", "all"].value is None
    assert found["steps", "all"].value == 10
    assert not list(COST.measure(Predictions(predictions.logits, table.target, "binary", "validation", spent), groups))
