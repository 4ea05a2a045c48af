"""Attacks with shadow models: against naive versions, on models that memorise and on private ones; their keeping."""

import numpy as np
import pytest
from scipy import stats

from backend.contracts.expansion import expand
from backend.contracts.results import RunResult
from backend.contracts.spec import JobSpec
from worker import shadows
from worker.attacks import _report as report
from worker.attacks._exposed import exposed
from worker.attacks._references import confidence
from worker.attacks._target import Shadows, Target
from worker.attacks.calibrated_loss import PLUGIN as CALIBRATED
from worker.attacks.lira import PLUGIN as LIRA
from worker.attacks.rmia import PLUGIN as RMIA
from worker.catalogue import build_catalogue
from worker.measure import KeptShadows, measure_fleet
from worker.metrics._figures import measurements
from worker.metrics._predictions import Groups
from worker.models.mlp import MlpParams
from worker.plugins import NoParams
from worker.registry import registry
from worker.testing import toy_table, toy_work
from worker.training.engine import Examples
from worker.training.engines import ENGINES
from worker.training.losses import per_record_numpy
from worker.training.opacus_trainer import OpacusEngine


def target_of(logits, target, task="binary", seen=None, inside=None, members=None, population=None):
    groups = Groups(("all",), np.ones((1, len(target)), bool), {})
    members = np.arange(len(target)) < len(target) // 2 if members is None else members
    found = None if seen is None else Shadows(seen, inside)
    losses = per_record_numpy(logits, target, task)
    return Target(logits, target, losses, members, groups, task, found, population)


def random_target(models=20, classes=3):
    random = np.random.default_rng(0)

    def one(rows, population=None):
        logits = random.normal(size=(rows, classes)).astype(np.float32)
        seen = random.normal(size=(models, rows, classes)).astype(np.float32)
        inside = random.random((models, rows)) < 0.6
        return target_of(logits, random.integers(0, classes, rows), "multiclass", seen, inside, population=population)

    return one(80, one(50))


def probabilities(logits):
    return np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(-1, keepdims=True)


def naive_phi(logits, label):
    p = probabilities(logits)
    return np.log(p[label]) - np.log(p.sum() - p[label])


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("variance", ["fixed", "per_example"])
@pytest.mark.parametrize("center", ["median", "mean"])
def test_lira_equals_a_loop_over_rows(mode, variance, center):
    target = random_target()
    found = LIRA.score(target, LIRA.Params(mode=mode, variance=variance, center=center))
    rows, middle = [], getattr(np, center)
    for row, label in enumerate(target.target):
        phi = np.array([naive_phi(one[row], label) for one in target.shadows.logits])
        inside = target.shadows.members[:, row]
        rows.append((naive_phi(target.logits[row], label), phi[~inside], phi[inside]))
    sides = (1,) if mode == "offline" else (1, 2)
    pooled = np.mean([np.var(row[side], ddof=1) for row in rows for side in sides])
    for score, row in zip(found, rows, strict=True):
        spread = [np.sqrt(pooled if variance == "fixed" else np.var(row[side], ddof=1)) for side in (1, 2)]
        if mode == "offline":
            expected = (row[0] - middle(row[1])) / spread[0]
        else:
            expected = stats.norm.logpdf(row[0], middle(row[2]), spread[1])
            expected -= stats.norm.logpdf(row[0], middle(row[1]), spread[0])
        assert score == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_rmia_equals_a_double_loop(mode):
    target = random_target()
    params = RMIA.Params(mode=mode, shadow_models=20, gamma=1.3)

    def ratios(of):
        answer = []
        for row, label in enumerate(of.target):
            p = probabilities(of.shadows.logits[:, row])[:, label]
            inside = of.shadows.members[:, row]
            out = p[~inside].mean()
            usual = (out + p[inside].mean()) / 2 if mode == "online" else (1.3 * out + 0.7) / 2
            answer.append(probabilities(of.logits[row])[label] / usual)
        return answer

    others = ratios(target.population)
    expected = [sum(x / z > 1.3 for z in others) / len(others) for x in ratios(target)]
    assert RMIA.score(target, params) == pytest.approx(expected, abs=1e-9)


def test_calibrated_loss_and_entropies_equal_their_formulas():
    target = random_target()
    found = CALIBRATED.score(target, CALIBRATED.Params())
    entropy, modified = (registry().find("attack", name).plugin for name in ("entropy", "modified_entropy"))
    sure, right = entropy.score(target, NoParams()), modified.score(target, NoParams())
    for row, label in enumerate(target.target):
        losses = -np.log(probabilities(target.shadows.logits[:, row])[:, label])
        p = probabilities(target.logits[row])
        assert found[row] == pytest.approx(losses[~target.shadows.members[:, row]].mean() + np.log(p[label]))
        assert sure[row] == pytest.approx((p * np.log(p)).sum())
        others = sum(p[k] * np.log(1 - p[k]) for k in range(3) if k != label)
        assert right[row] == pytest.approx((1 - p[label]) * np.log(p[label]) + others)


def test_confidence_stays_exact_where_probabilities_are_rounded():
    assert confidence(np.array([[900.0, 0, 1], [0, -800, 3]]), np.array([0, 1]), "multiclass") == pytest.approx(
        [900 - np.logaddexp(0, 1), -800 - np.logaddexp(0, 3)]
    )


def test_too_few_shadow_models_give_a_statement_and_no_score():
    target = random_target(models=7)
    assert "at least 8 shadow models, there are 7" in LIRA.undefined(target, LIRA.Params())
    assert "there are 0" in LIRA.undefined(target_of(target.logits, target.target, "multiclass"), LIRA.Params())
    assert RMIA.undefined(target, RMIA.Params(shadow_models=1)) is None
    regression = target_of(target.logits[:, :1], target.target.astype(float), "regression")
    for name in ("entropy", "modified_entropy", "rmia"):
        plugin = registry().find("attack", name).plugin
        assert plugin.undefined(regression, plugin.Params()).endswith(".")
    target = random_target()
    target.shadows.members[:, 0] = True
    target.shadows.members[1:, 1] = False
    assert np.flatnonzero(np.isnan(LIRA.score(target, LIRA.Params()))).tolist() == [0, 1]
    (found,) = exposed("lira", LIRA.score(target, LIRA.Params()), target, np.arange(80) + 1000, 64)
    assert (found.models, found.unscored, len(found.records)) == (20, 2, 20)
    scores = [record.score for record in found.records]
    assert scores == sorted(scores, reverse=True)
    assert {record.row for record in found.records} <= set(range(1002, 1040))


def test_missing_shadow_models_are_said_beside_the_figures():
    target = random_target(models=20)
    for plugin in (LIRA, RMIA, CALIBRATED):
        assert plugin.caution(target, plugin.Params(shadow_models=20)) is None
        assert plugin.caution(target, plugin.Params(shadow_models=16)) is None, "more than it asked for"
        assert plugin.caution(target, plugin.Params(shadow_models=64)).startswith("Only 20 of 64 shadow models")
    assert "one variance for all rows" in LIRA.caution(target, LIRA.Params(shadow_models=64))
    assert "variance" not in LIRA.caution(target, LIRA.Params(shadow_models=64, variance="per_example"))
    assert "variance" not in LIRA.caution(target, LIRA.Params(shadow_models=63)), "so it would with all of them"


def test_a_run_whose_shadow_models_diverged_says_so_with_its_figures(tmp_path):
    (config,) = configs(seeds=1)
    for number in range(6):
        shadows.store(config.setting, tmp_path).leave_out(shadows.FIRST_SEED + number, "infinite", for_good=True)
    (result,) = measure_fleet([config], cache_dir=tmp_path)
    said = {one.attack: one for one in result.exposed}
    assert set(said) == {"lira", "rmia"}
    for one in said.values():
        assert (one.models, one.left_out) == (10, 6)
        assert one.statement.startswith("Only 10 of 16 shadow models could be used")
        assert one.records
    assert any(m.metric == "lira_auc" and m.value is not None for m in result.measurements)


def trained_target(table, method, params, models=16, **training):
    """A toy target and its shadows, trained by the reference engine or the fast one, with every row's answers."""
    answers, inside = [], []
    for seed in range(models + 1):
        work = toy_work(
            method, params, table=table, seed=seed, run_hash=f"{seed}", model_params=MlpParams(hidden=[128]), **training
        )
        split = table.split(seed)
        encoded = table.encode(split.train)
        engine = next(e for e in (*ENGINES, OpacusEngine()) if e.refuses(work) is None)
        (one,) = engine.train([work])
        assert one.diverged is None
        answers.append(one.logits(Examples.of(table, encoded, np.arange(table.rows))))
        inside.append(np.isin(np.arange(table.rows), split.train))
    rows = np.concatenate([table.split(0).train, table.split(0).test])
    groups = Groups.of(table.attributes, [["sex"]], rows)
    seen = Shadows(np.stack(answers[1:])[:, rows], np.stack(inside[1:])[:, rows])
    losses = per_record_numpy(answers[0][rows], table.target[rows], table.task)
    return Target(answers[0][rows], table.target[rows], losses, inside[0][rows], groups, table.task, seen)


def auc_of(target):
    figures, _ = report.report("lira", LIRA.score(target, LIRA.Params()), target.members, target.groups)
    (found,) = measurements(figures, (), "test")
    return {m.subgroup: m for m in found if m.metric == "lira_auc"}


OVERFIT = {"batch_size": 32, "learning_rate": 0.01, "optimizer": "adam"}


def test_lira_finds_members_of_an_overfitted_model_and_hardly_those_of_a_private_one():
    table = toy_table(800)
    sgd, private = (registry().find("method", name).plugin for name in ("sgd", "dp_sgd"))
    open_ = auc_of(trained_target(table, sgd, sgd.Params(), models=32, epochs=200, **OVERFIT))["all"]
    assert open_.value > 0.7
    assert open_.low > 0.6
    closed = auc_of(trained_target(table, private, private.Params(epsilon=1.0), epochs=10, batch_size=64))["all"]
    assert closed.value < 0.55 or closed.low <= 0.5 <= closed.high


def test_the_attack_names_the_group_whose_labels_were_planted_at_random():
    table = toy_table(1000)
    random = np.random.default_rng(5)
    women = table.attributes["sex"].codes == 0
    easy = (table.numeric[:, 0] > 0).astype(np.int64)
    table.target[:] = np.where(women, random.integers(0, 2, table.rows), easy)
    sgd = registry().find("method", "sgd").plugin
    found = auc_of(trained_target(table, sgd, sgd.Params(), epochs=150, **OVERFIT))
    assert found["sex=Female"].low > found["sex=Male"].high
    assert found["sex=Female"].value > 0.65


def configs(seeds=2, attacks=None, methods=("sgd",), learning_rate=0.1):
    spec = {
        "dataset": {"name": "adult", "params": {"limit": 600}, "subgroups": ["sex"]},
        "model": {"name": "mlp", "params": {"hidden": [8]}},
        "methods": [{"name": name} for name in methods],
        "training": {"epochs": 1, "batch_size": 60, "learning_rate": learning_rate},
        "seeds": seeds,
        "evaluation": {"attacks": attacks or [{"name": "lira", "params": {"shadow_models": 16}}, {"name": "rmia"}]},
    }
    return expand(JobSpec.model_validate(spec), build_catalogue(), max_runs=1000).configs


def test_shadows_of_two_seeds_and_attacks_are_trained_once_and_kept(tmp_path):
    first, second = configs()
    kept = KeptShadows(tmp_path)
    ((missing, runs),) = kept.stages([first, second])
    assert (len(missing), len(runs)) == (16, 2)
    assert all(result.status == "succeeded" for result in measure_fleet(missing[:10], cache_dir=tmp_path))
    ((missing, _),) = kept.stages([first, second])
    assert len(missing) == 6, "those on disk are kept when the rest was never trained"
    (result,) = measure_fleet([first], cache_dir=tmp_path)
    assert {one.attack: (one.models, one.statement) for one in result.exposed} == {
        "lira": (16, None),
        "rmia": (16, None),
    }
    assert len(result.exposed[0].records) == 20
    (folder,) = (tmp_path / "shadows").iterdir()
    written = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert len(written) == 16
    assert kept.stages([second])[0][0] == []
    list(measure_fleet([second], cache_dir=tmp_path))
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == written

    def no_training(missing):
        raise AssertionError("there is nothing to train")

    whole = shadows.references(first.setting, tmp_path, no_training)
    assert whole.logits.shape == (16, 600, 2)
    assert (whole.members.sum(axis=1) == 360).all()
    assert len({row.tobytes() for row in whole.members}) == 16, "each has a split of its own"


def test_damaged_shadows_are_trained_anew_and_diverged_ones_counted(tmp_path):
    (config,) = configs(seeds=1)
    store = shadows.Store(config.setting, tmp_path)
    inside = np.arange(9) % 2 == 0
    for number in range(9):
        store.keep(shadows.FIRST_SEED + number, np.full((9, 2), number, np.float32), inside)
    store.leave_out(shadows.FIRST_SEED + 9, "The loss became infinite.", for_good=True)
    store.leave_out(shadows.FIRST_SEED + 10, "There was not enough memory.", for_good=False)
    found = store.load(11)
    assert (found.logits.shape, found.left_out) == ((9, 9, 2), 2)
    assert np.array_equal(found.members[0], inside)
    assert [one.seed - shadows.FIRST_SEED for one in store.missing(12)] == [10, 11], "what failed is tried again"
    assert store.load(12) is None
    (file,) = (tmp_path / "shadows").rglob("0003.npy")
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(bytes(content))
    assert store.load(11) is None
    assert 3 in [one.seed - shadows.FIRST_SEED for one in store.missing(11)]


def test_shadows_that_all_fail_leave_a_statement(tmp_path):
    (config,) = configs(seeds=1)

    def fails(missing):
        return [RunResult(key=one.key(), status="failed", message="no memory") for one in missing]

    found = shadows.references(config.setting, tmp_path, fails)
    assert (len(found.logits), found.left_out) == (0, 16)
    (result,) = measure_fleet([config], cache_dir=tmp_path)
    assert result.status == "succeeded"
    assert "there are 0, 16 diverged or failed" in result.exposed[0].statement
    assert all(m.value is None for m in result.measurements if m.metric.startswith(("lira_", "rmia_")))


def test_without_a_cache_folder_shadows_stay_in_memory():
    (config,) = configs(seeds=1, attacks=[{"name": "rmia", "params": {"shadow_models": 2}}])
    (result,) = measure_fleet([config])
    assert result.exposed[0].models == 2
