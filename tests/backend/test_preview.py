"""What a preview says against what a worker then does: noise, shadow models and audits, and what is refused before."""

import pytest

from backend.analysis import accountants
from backend.api.services import preview as service
from backend.contracts.catalogue import Catalogue
from backend.contracts.training import Training
from backend.store import workers
from tests.backend import synthetic
from worker.catalogue import build_catalogue
from worker.privacy.accounting import budget
from worker.registry import registry
from worker.shadows import wanted

METHODS = [found.plugin for found in registry().all("method")]
ATTACKS = [found.plugin for found in registry().all("attack")]
RELEASING = [method for method in METHODS if method.released is not None]


@pytest.fixture(scope="module")
def real_catalogue():
    return build_catalogue()


@pytest.fixture
def real(bare, real_catalogue):
    """The application with what a worker here offers."""
    with bare.app.state.context.database.write() as session:
        workers.publish_catalogue(session, real_catalogue)
    return bare


def spec(methods, **changes):
    return synthetic.spec(methods=methods, **{"dataset": {"name": "adult"}, **changes})


def preview(client, methods, **changes):
    answer = client.post("/api/jobs/preview", json=spec(methods, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("accountant", ["rdp", "prv", "pld"])
def test_the_noise_is_that_of_the_asked_accountant(real, real_catalogue, accountant):
    params = {"epsilon": 2.0, "accountant": accountant}
    (noise,) = preview(real, [{"name": "dp_sgd", "params": params}])["noise"]
    dp_sgd = registry().find("method", "dp_sgd").plugin
    rows = real_catalogue.find("dataset", "adult").dataset.train_rows
    used = budget(dp_sgd, dp_sgd.Params(**params), Training(epochs=5), rows)
    assert noise["accountant"] == accountant
    assert not noise["at_most"]
    assert noise["noise_multiplier"] == pytest.approx(used.sigma, rel=1e-12)


def test_what_takes_too_long_is_a_bound_and_said_to_be_one(real, monkeypatch):
    monkeypatch.setattr(service, "NUMERICAL_SECONDS", 0.0)
    methods = [{"name": "dp_sgd", "params": {"epsilon": [1.0, 2.0], "accountant": "prv"}}]
    first = preview(real, methods)["noise"]
    assert [one["at_most"] for one in first] == [True, True]
    cache = real.app.state.context.settings.cache_dir()
    exact = [
        accountants.sigma("prv", one["epsilon"], one["delta"], one["sampling_rate"], one["steps"], cache_dir=cache)
        for one in first
    ]
    assert all(one["noise_multiplier"] >= sigma for one, sigma in zip(first, exact, strict=True))
    # What was worked out meanwhile, here or by a worker that shares the folder, is exact at once.
    second = preview(real, methods)["noise"]
    assert [one["noise_multiplier"] for one in second] == exact
    assert not any(one["at_most"] for one in second)


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
@pytest.mark.parametrize("method", RELEASING, ids=lambda m: m.name)
def test_a_statistic_that_spends_the_budget_is_refused_with_its_field(real, real_catalogue, method, accountant):
    """Just below the least noise it is refused, just above it is not; the worker decides alike."""
    rows = real_catalogue.find("dataset", "adult").dataset.train_rows
    training = Training(epochs=2, batch_size=64)
    chosen = {"epsilon": 0.5, "accountant": accountant}
    released = method.released
    unit = training.batch_size if released.share_of_batch else 1
    plain = registry().find("method", "dp_sgd").plugin
    sigma = budget(plain, plain.Params(**chosen), training, rows).sigma
    least = released.sensitivity * sigma / unit

    def submit(amount):
        params = {**chosen, released.param: amount}
        asked = [{"name": "sgd"}, {"name": method.name, "params": params}]
        return real.post("/api/jobs", json=spec(asked, training=training.model_dump())), params

    answer, params = submit(least * 0.999)
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == f"methods.1.params.{released.param}"
    assert problem["expected"].startswith(f"more than {least:.3g}")
    with pytest.raises(Exception, match="spends the whole budget"):
        budget(method, method.Params(**params), training, rows)
    answer, params = submit(least * 1.001)
    assert answer.status_code == 201, answer.text
    assert budget(method, method.Params(**params), training, rows).gradient_multiplier > 0


def test_a_retried_study_is_checked_as_one_that_is_submitted(real, real_catalogue):
    """What the workers offer may have changed since: here the statistic, which then spends the whole budget."""
    (method,) = [one for one in RELEASING if one.name == "dpsgd_f"]
    asked = [{"name": method.name, "params": {"epsilon": 0.5, "count_noise": 10.0}}]
    job = real.post("/api/jobs", json=spec(asked)).json()["id"]
    assert real.post(f"/api/jobs/{job}/cancel").json()["status"] == "cancelled"
    body = real_catalogue.model_dump(mode="json")
    (plugin,) = [one for one in body["plugins"] if (one["kind"], one["name"]) == ("method", method.name)]
    plugin["method"]["statistic"]["sensitivity"] = 100.0
    changed = Catalogue.model_validate({**body, "version": "another"})
    with real.app.state.context.database.write() as session:
        workers.publish_catalogue(session, changed)
    before = real.get(f"/api/jobs/{job}").json()
    answer = real.post(f"/api/jobs/{job}/retry")
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["problems"]] == ["methods.0.params.count_noise"]
    assert real.get(f"/api/jobs/{job}").json() == before


def test_a_swept_statistic_names_the_value(real):
    (method,) = [one for one in RELEASING if one.name == "dpsgd_f"]
    asked = [{"name": method.name, "params": {"epsilon": [8.0, 0.5], "count_noise": [10.0, 0.01]}}]
    answer = real.post("/api/jobs/preview", json=spec(asked))
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["problems"]] == ["methods.0.params.count_noise.1"]
    assert "ε = 0.5" in answer.json()["problems"][0]["expected"], "the strictest"


def test_a_fixed_threshold_releases_nothing_and_is_not_refused(real):
    asked = [{"name": "soft_ada_clip", "params": {"adaptive": False, "count_noise": 1e-6}}]
    assert preview(real, asked)["runs"] == 3


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_what_the_catalogue_says_of_a_method_is_what_its_accountant_charges(method, real_catalogue):
    facts = real_catalogue.find("method", method.name).method
    for batch in (1, 64, 1000):
        params = method.Params()
        mechanism = method.mechanism(params, Training(batch_size=batch))
        released = facts.statistic
        said = None if released is None else released.std(params.model_dump(mode="json"), batch)
        assert said == mechanism.statistic_std
        if said is not None:
            assert released.sensitivity == mechanism.statistic_sensitivity


def test_shadow_models_and_audits_are_counted(real):
    methods = [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4]}}]
    attacks = [
        {"name": "lira", "params": {"shadow_models": 64}},
        {"name": "rmia", "params": {"shadow_models": 16}},
        {"name": "one_run_audit"},
    ]
    answer = preview(real, methods, seeds=5, evaluation={"attacks": attacks})
    assert (answer["shadow_models"], answer["shadow_settings"]) == (192, 3)
    assert (answer["audits"], answer["audit_trainings"]) == (10, 10), "of private runs alone"
    assert answer["sentence"].endswith(
        "= 15 runs, plus at most 64 shadow models of each of 3 settings, 192 trainings, plus 10 audits"
    )
    attacks[2] = {"name": "many_run_audit", "params": {"models": 128}}
    answer = preview(real, methods[1:], seeds=1, evaluation={"attacks": attacks[1:]})
    assert answer["sentence"].endswith(
        "= 2 runs, plus at most 16 shadow models of each of 2 settings, 32 trainings, plus 2 audits (256 trainings)"
    )
    answer = preview(real, methods[:1], seeds=1, evaluation={"attacks": attacks})
    assert answer["sentence"].endswith("= 1 run, plus at most 64 shadow models of 1 setting")


def test_trainings_besides_the_runs_take_their_time(real):
    methods = [{"name": "dp_sgd", "params": {"epsilon": [1, 4]}}]
    job = real.post("/api/jobs", json=spec(methods)).json()
    synthetic.measure(real.app.state.context.database, job["id"])
    plain = preview(real, methods, training={"epochs": 6})
    attacks = [{"name": "lira", "params": {"shadow_models": 20}}, {"name": "one_run_audit"}]
    more = preview(real, methods, training={"epochs": 6}, evaluation={"attacks": attacks})
    # Six runs; with two settings of twenty shadow models and one audit of each run there are 52 trainings.
    assert more["expected_seconds"] == pytest.approx(plain["expected_seconds"] * 52 / 6)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_what_the_catalogue_says_of_an_attack_is_what_is_trained(attack, real_catalogue):
    facts = real_catalogue.find("attack", attack.name).attack
    params = attack.Params()
    assert facts.shadow_models(params.model_dump(mode="json")) == attack.references(params)


def test_the_largest_number_of_shadow_models_counts(real_catalogue):
    from backend.contracts.expansion import expand
    from backend.contracts.spec import JobSpec

    attacks = [{"name": "lira", "params": {"shadow_models": 40}}, {"name": "rmia"}]
    asked = JobSpec.model_validate(spec([{"name": "sgd"}], evaluation={"attacks": attacks}))
    expansion = expand(asked, real_catalogue, max_runs=100)
    extra = service.extra_trainings(expansion.configs, real_catalogue)
    assert extra.shadow_models == sum(wanted(setting) for setting in expansion.settings) == 40
