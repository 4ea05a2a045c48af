"""One run from its configuration to its result."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.contracts.expansion import expand
from backend.contracts.runs import RunConfig
from backend.contracts.spec import JobSpec
from backend.errors import DataChanged, JobFailed
from worker import measure
from worker.catalogue import build_catalogue
from worker.datasets import _prepared
from worker.evaluate import evaluate, evaluate_many
from worker.measure import measure_fleet, measure_run, plan, prepare
from worker.registry import registry
from worker.training.engine import Demand
from worker.training.engines import ENGINES
from worker.training.fleet.cpu import FleetEngine

METHODS = ("sgd", "dp_sgd", "adaptive_dp_sgd", "soft_ada_clip")


def configs(*, seeds=1, methods=METHODS, epochs=2, learning_rate=0.1, params=None, model=None):
    spec = JobSpec.model_validate(
        {
            "dataset": {"name": "adult", "params": {"limit": 1200}, "subgroups": ["sex", "race", ["sex", "race"]]},
            "model": {"name": "mlp", "params": model or {"hidden": [8]}},
            "methods": [{"name": name, "params": (params or {}) if name != "sgd" else {}} for name in methods],
            "training": {"epochs": epochs, "batch_size": 60, "learning_rate": learning_rate},
            "seeds": seeds,
        }
    )
    return expand(spec, build_catalogue(), max_runs=1000).configs


def changed(config, **setting):
    return RunConfig(setting=config.setting.model_copy(update=setting), seed=config.seed)


def figures(result):
    return {
        (m.metric, m.subgroup, m.split): (m.value, m.n, m.low, m.high)
        for m in result.measurements
        if m.metric != "wall_seconds"
    }


@pytest.fixture(scope="module")
def results():
    return {config.setting.method.name: (config, measure_run(config)) for config in configs()}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_leaves_everything_behind(results, method):
    config, result = results[method]
    assert result.status == "succeeded"
    assert result.key == config.key()
    assert result.engine
    assert result.wall_seconds > 0
    found = figures(result)
    assert len(found) == len(result.measurements) - 1, "no figure twice"
    families = {one.plugin.name for one in registry().all("metric")} | {"loss_threshold"}
    declared = {m.name for m in build_catalogue().metrics if m.family in families}
    assert {metric for metric, _, _ in found} | {"wall_seconds"} == declared
    assert found["n", "all", "test"][0] == 240
    assert {s for _, s, _ in found} >= {"all", "sex", "sex=Female", "sex & race", "sex=Male & race=White"}
    assert {split for _, _, split in found} == {"test", "validation"}
    assert ("loss_gap", "sex", "validation") in found
    assert ("loss", "sex=Female", "validation") in found
    assert {(roc.attack, roc.subgroup) for roc in result.rocs} >= {("loss_threshold", "all")}
    private = method != "sgd"
    assert (found["epsilon", "all", "test"][0] == 3.0) == private
    assert (found["delta", "all", "test"][0] == 1e-3) == private
    assert ("threshold" in {s.name for s in result.history}) == private
    json.loads(result.model_dump_json())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_configuration_gives_the_same_bits(results, method):
    config, first = results[method]
    again = measure_run(config)
    assert figures(again) == figures(first)
    assert again.history == first.history
    assert again.rocs == first.rocs


def test_another_process_gives_the_same_bits(results, tmp_path):
    config, first = results["soft_ada_clip"]
    code = (
        "import sys; from backend.contracts.runs import RunConfig; from worker.measure import measure_run;"
        "print(measure_run(RunConfig.model_validate_json(sys.stdin.read())).model_dump_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=config.model_dump_json(), capture_output=True, text=True, check=True
    )
    other = type(first).model_validate_json(done.stdout)
    assert figures(other) == figures(first)
    assert other.history == first.history


def test_runs_of_a_seed_are_paired_across_methods():
    prepared = [prepare(config) for config in configs()]
    first = prepared[0].work
    for one in prepared[1:]:
        assert np.array_equal(one.work.train.rows, first.train.rows)
        assert np.array_equal(one.work.streams.batch(3, 720, 0.1), first.streams.batch(3, 720, 0.1))
        assert not np.array_equal(one.work.streams.noise(3, 10), first.streams.noise(3, 10))


def test_changed_code_or_data_stops_the_job_with_a_sentence():
    (config,) = configs(methods=["sgd"])
    for what in (
        {"engine_version": "0" * 16},
        {"metrics_version": "0" * 16},
        {"data_hash": "0" * 64},
        {"method": config.setting.method.model_copy(update={"version": "0" * 16})},
        {"dataset": config.setting.dataset.model_copy(update={"version": "0" * 16})},
    ):
        with pytest.raises(DataChanged, match="Since the study was submitted") as error:
            measure_run(changed(config, **what))
        assert "Retry the study" in error.value.sentence()
    with pytest.raises(JobFailed, match="no model named nothing"):
        measure_run(changed(config, model=config.setting.model.model_copy(update={"name": "nothing"})))


def test_an_impossible_setting_is_a_failed_run_and_not_a_failed_job():
    (unreachable,) = configs(methods=["dp_sgd"], params={"epsilon": 0.0001, "delta": 1e-9})
    result = measure_run(unreachable)
    assert result.status == "failed"
    assert "Raise epsilon" in result.message
    (costly,) = configs(methods=["adaptive_dp_sgd"], params={"count_noise": 1e-6})
    result = measure_run(costly)
    assert result.status == "failed"
    assert result.message


def test_a_run_that_cannot_learn_is_degenerate():
    (config,) = configs(methods=["dp_sgd"], params={"clip": 1e-6}, epochs=1)
    assert measure_run(config).degenerate
    (config,) = configs(methods=["sgd"], epochs=8, learning_rate=0.5)
    assert not measure_run(config).degenerate


def test_a_diverged_run_keeps_its_history_and_has_no_measurements():
    (config,) = configs(methods=["sgd"], learning_rate=100.0, epochs=3, model={"hidden": [64, 64, 64, 64]})
    result = measure_run(config)
    assert result.status == "diverged"
    assert "Lower the learning rate" in result.message
    assert result.measurements == []


def test_a_plan_gives_every_setting_its_first_point_first():
    many = configs(seeds=3)
    fleets = plan(many)
    assert [config.seed for fleet in fleets for config in fleet] == sorted(config.seed for config in many)
    assert sorted(c.key() for fleet in fleets for c in fleet) == sorted(c.key() for c in many)
    assert [c.setting.method.name for fleet in fleets for c in fleet][:4] == list(METHODS)
    for fleet in fleets:
        assert len({(c.seed, c.setting.model.model_dump_json()) for c in fleet}) == 1


@pytest.mark.parametrize("parallel", [1, 2, 16])
def test_fleets_grow_and_are_shared_evenly_at_the_end(parallel):
    many = configs(seeds=30, methods=METHODS, params={"epsilon": [1, 2, 4, 8, 16]})
    fleets = plan(many, parallel=parallel)
    sizes = [len(fleet) for fleet in fleets]
    assert sizes[: 2 * parallel] == [1] * parallel + [2] * parallel
    assert max(sizes) == 8
    assert sizes[-1] == 1
    left = len(many)
    for size in sizes:
        assert size == 1 or size * parallel <= left, "nobody is left with more than the others together"
        left -= size


def test_a_gpu_takes_all_runs_of_a_kind_at_once(monkeypatch):
    many = configs(seeds=3)
    (fleet,) = plan(many, device="cuda:0")
    assert len(fleet) == len(many) == 12
    assert len(plan([*many, *configs(epochs=3)], device="cuda:0")) == 2


def test_a_fleet_measures_as_each_run_alone(results):
    done = {result.key: result for result in measure_fleet(configs(params={"epsilon": [3.0]}))}
    alone = {config.key(): result for config, result in results.values()}
    assert done.keys() == alone.keys()
    for key, result in done.items():
        assert figures(result) == figures(alone[key])


def test_a_fleet_yields_what_is_done_while_the_rest_is_trained(monkeypatch):
    sizes = []
    real = measure.evaluate_many
    monkeypatch.setattr(measure, "evaluate_many", lambda fleet: sizes.append(len(fleet)) or real(fleet))
    many = configs(methods=["dp_sgd"], params={"epsilon": [1, 2, 4, 8, 16]})
    assert len(list(measure_fleet(many))) == sum(sizes) == 5
    assert max(sizes) > 1, "runs that are trained within half a second are evaluated together"
    monkeypatch.setattr(measure, "EVALUATE_SECONDS", 0)
    assert len(list(measure_fleet(many))) == 5
    assert sizes[-5:] == [1] * 5


def test_no_more_is_held_than_memory_was_granted_for(monkeypatch):
    sizes = []
    real = measure.evaluate_many
    monkeypatch.setattr(measure, "evaluate_many", lambda fleet: sizes.append(len(fleet)) or real(fleet))
    monkeypatch.setattr(measure, "EVALUATE_SECONDS", 60)
    many = configs(methods=["dp_sgd"], params={"epsilon": [1, 2, 4, 8, 16]})
    asked = []

    def room(least, most):
        asked.append((least, most))
        return least + (most - least) // 4

    assert [result.status for result in measure_fleet(many, room=room)] == ["succeeded"] * 5
    ((least, most),) = asked
    assert 0 < least < most
    assert sizes == [2, 2, 1]


def test_a_run_that_memory_does_not_hold_is_a_sentence(monkeypatch):
    real = FleetEngine.demand

    def demand(self, work):
        return Demand(5_000_000_000, 3_000_000_000) if work.budget is None else real(self, work)

    monkeypatch.setattr(FleetEngine, "demand", demand)
    many = configs(methods=["sgd", "dp_sgd"])
    found = {result.key: result for result in measure_fleet(many, room=lambda least, most: min(least, 4_000_000_000))}
    large, small = (found[config.key()] for config in many)
    assert (large.status, small.status) == ("failed", "succeeded")
    assert "takes about 8.1 GB of memory, and 4.0 GB are free on this machine" in large.message
    assert "smaller" in large.message


def test_on_a_gpu_its_memory_counts_for_training_and_the_hosts_for_the_rest(monkeypatch):
    monkeypatch.setattr(measure, "engines", lambda device: ENGINES)
    monkeypatch.setattr(FleetEngine, "demand", lambda self, work: Demand(10, 20 if work.budget is None else 90))
    monkeypatch.setattr(measure.memory, "available", lambda device: {"cuda:0": 99}[device])
    asked = []
    many = configs(methods=["sgd", "dp_sgd"])
    fleet = list(measure_fleet(many, device="cuda:0", room=lambda least, most: asked.append((least, most)) or most))
    found = {result.key: result for result in fleet}
    small, large = (found[config.key()] for config in many)
    assert (small.status, large.status) == ("succeeded", "failed")
    assert "free on cuda:0" in large.message
    ((least, most),) = asked
    assert least > measure.memory.DEVICE_PROCESS_BYTES
    assert 0 < most - least < 1_000_000, "one more run to evaluate, and nothing of its training"


def test_planning_for_a_gpu_leaves_it_alone():
    # Initialised here, CUDA could not be used in the processes that are forked to train.
    plan(configs(), device="cuda:0")
    assert not torch.cuda.is_initialized()


def test_an_impossible_run_does_not_take_its_fleet_along():
    many = [*configs(methods=["dp_sgd"], params={"epsilon": 0.0001, "delta": 1e-9}), *configs()]
    assert [result.status for result in measure_fleet(many)] == ["failed"] + ["succeeded"] * 4


def test_data_are_loaded_once_per_process(monkeypatch):
    (config,) = configs(methods=["sgd"], epochs=1)
    measure_run(config)
    monkeypatch.setattr(_prepared, "load_table", lambda *_: pytest.fail("loaded again"))
    measure_run(config)


def test_runs_are_evaluated_together_as_each_alone(monkeypatch):
    fleet = []
    for config in [*configs(), *configs(methods=["sgd"], seeds=2)[1:]]:
        prepared = prepare(config)
        (trained,) = measure.choose(prepared.work, ENGINES).train([prepared.work])
        fleet.append((prepared, trained))
    prepared, trained = fleet[1]
    fleet.insert(2, (prepared, replace(trained, diverged="It diverged.", logits=None)))
    without = prepared.config.setting.model_copy(update={"attacks": []})
    fleet.append((replace(prepared, config=RunConfig(setting=without, seed=0)), trained))
    constant = replace(trained, logits=lambda examples: np.zeros((len(examples), 2), np.float32))
    fleet.append((prepared, constant))
    results = evaluate_many(fleet)
    assert results == [evaluate(*one) for one in fleet]
    monkeypatch.setattr("worker.evaluate.ROWS_AT_ONCE", 1)
    assert results == evaluate_many(fleet)
    assert [result.key for result in results] == [trained.key for _, trained in fleet]
    assert [result.status for result in results].count("diverged") == 1
    assert (results[2].measurements, results[2].message) == ([], "It diverged.")
    assert not results[-2].rocs
    assert results[-1].degenerate
    assert figures(results[-1])["auroc", "all", "test"][0] == 0.5


def test_logits_are_asked_for_once_per_part():
    (config,) = configs(methods=["sgd"])
    prepared = prepare(config)
    (trained,) = measure.choose(prepared.work, ENGINES).train([prepared.work])
    asked = []
    evaluate(prepared, replace(trained, logits=lambda part: asked.append(id(part)) or trained.logits(part)))
    data = prepared.data
    assert sorted(asked) == sorted(map(id, (data.train, data.validation, data.test)))
