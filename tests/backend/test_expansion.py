"""From a specification to runs: identity, sweeps, and what is said of a wrong one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.contracts.catalogue import AttackFacts, Attribute, Catalogue, DatasetFacts, ModelFacts, Plugin
from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.contracts.training import Training
from backend.contracts.validation import sweep
from backend.errors import InvalidRequest

DP = {
    "type": "object",
    "properties": {
        "epsilon": {"type": "number", "exclusiveMinimum": 0, "sweepable": True, "default": 1.0},
        "delta": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
        "floor": {"type": "number", "sweepable": True, "default": 0.01},
        "cap": {"type": "number", "sweepable": True, "default": 100.0},
    },
    "ordered": [["floor", "cap"]],
}
MLP = {
    "type": "object",
    "properties": {
        "hidden": {"type": "array", "items": {"type": "integer", "minimum": 1}, "default": [64], "sweepable": True}
    },
}


def plugin(kind, name, schema=None, version="1", **more):
    return Plugin(
        kind=kind,
        name=name,
        title=name,
        summary="",
        version=version,
        params_schema=schema or {"properties": {}},
        **more,
    )


def catalogue(**versions):
    attributes = [Attribute(name=n, title=n, values=["a", "b"]) for n in ("sex", "race", "age")]
    facts = DatasetFacts(train_rows=1000, data_hash=versions.get("data", "d"), attributes=attributes)
    return Catalogue(
        version="1",
        engine_version=versions.get("engine", "1"),
        training_schema=Training.model_json_schema(),
        plugins=[
            plugin("dataset", "adult", dataset=facts),
            plugin("model", "mlp", MLP),
            plugin("method", "sgd"),
            plugin("method", "dp_sgd", DP, version=versions.get("dp_sgd", "1")),
            plugin("attack", "loss_threshold"),
            plugin("metric", "classification", version=versions.get("metric", "1")),
        ],
        metrics=[],
    )


def spec(**changes):
    whole = {
        "dataset": {"name": "adult", "subgroups": ["sex"]},
        "model": {"name": "mlp"},
        "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 2]}}],
        "training": {"batch_size": 50},
        "seeds": 2,
    }
    return JobSpec.model_validate({**whole, **changes})


def problems(wrong, **more):
    with pytest.raises(InvalidRequest) as caught:
        expand(wrong, catalogue(), max_runs=100, **more)
    return {problem.field: problem for problem in caught.value.problems}


def test_runs_come_seed_by_seed_and_every_setting_once():
    made = expand(spec(), catalogue(), max_runs=100)
    assert [c.seed for c in made.configs] == [0, 0, 0, 1, 1, 1]
    assert len({c.hash() for c in made.configs}) == 6
    assert made.swept == [{}, {"epsilon": [1.0, 2.0]}]


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=3, unique=True),
    st.lists(st.lists(st.integers(1, 9), max_size=2), min_size=1, max_size=3, unique_by=tuple),
    st.lists(st.integers(1, 900), min_size=1, max_size=3, unique=True),
    st.integers(1, 3),
)
def test_the_number_of_runs_is_the_product_of_the_sweeps(epsilons, hidden, batches, seeds):
    job = spec(
        model={"name": "mlp", "params": {"hidden": hidden}},
        methods=[{"name": "dp_sgd", "params": {"epsilon": epsilons}}],
        training={"batch_size": batches},
        seeds=seeds,
    )
    made = expand(job, catalogue(), max_runs=1000)
    expected = set(itertools.product(epsilons, map(tuple, hidden), batches, range(seeds)))
    found = {
        (
            c.setting.method.params["epsilon"],
            tuple(c.setting.model.params["hidden"]),
            c.setting.training["batch_size"],
            c.seed,
        )
        for c in made.configs
    }
    assert found == expected
    assert len(made.configs) == len(expected)


def test_what_means_the_same_is_the_same_run():
    one = expand(
        spec(dataset={"name": "adult", "subgroups": ["race", "sex", ["race", "sex"]]}), catalogue(), max_runs=100
    )
    other = expand(
        spec(
            dataset={"name": "adult", "subgroups": [["sex", "race"], "sex", "race", "sex"]},
            model={"name": "mlp", "params": {"hidden": [64]}},
            methods=[{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1.0, 2], "delta": None}}],
            training={"batch_size": 50, "epochs": 10},
            seeds=[0, 1],
            name="Another name",
            tags=["x"],
        ),
        catalogue(),
        max_runs=100,
    )
    assert [c.hash() for c in one.configs] == [c.hash() for c in other.configs]


@pytest.mark.parametrize("part", ["data", "engine", "metric"])
def test_other_data_or_code_is_another_run(part):
    before = {c.hash() for c in expand(spec(), catalogue(), max_runs=100).configs}
    after = {c.hash() for c in expand(spec(), catalogue(**{part: "2"}), max_runs=100).configs}
    assert not before & after


def test_code_of_one_method_concerns_its_own_runs_alone():
    before = {c.hash() for c in expand(spec(), catalogue(), max_runs=100).configs}
    after = {c.hash() for c in expand(spec(), catalogue(dp_sgd="2"), max_runs=100).configs}
    assert len(before & after) == 2


def test_a_method_overrides_training_and_may_sweep_it():
    job = spec(methods=[{"name": "sgd"}, {"name": "dp_sgd", "training": {"learning_rate": [0.2, 0.4]}}], seeds=1)
    rates = [
        (c.setting.method.name, c.setting.training["learning_rate"])
        for c in expand(job, catalogue(), max_runs=100).configs
    ]
    assert rates == [("sgd", 0.1), ("dp_sgd", 0.2), ("dp_sgd", 0.4)]


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"dataset": {"name": "adlt"}}, "dataset.name", "Did you mean 'adult'?"),
        ({"dataset": {"name": "adult", "subgroups": ["gender"]}}, "dataset.subgroups.0", "sex"),
        ({"dataset": {"name": "adult", "subgroups": [["sex", "sex"]]}}, "dataset.subgroups.0", "once"),
        ({"dataset": {"name": "adult", "subgroups": [[]]}}, "dataset.subgroups.0", "once"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilon": []}}]}, "methods.0.params.epsilon", "leave it out"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilon": [1, 1.0]}}]}, "methods.0.params.epsilon", "repeated"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilon": -1}}]}, "methods.0.params.epsilon", "Change it"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilon": True}}]}, "methods.0.params.epsilon", "Change it"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilon": 10**400}}]}, "methods.0.params.epsilon", "Change it"),
        ({"methods": [{"name": "dp_sgd", "params": {"delta": [1e-5]}}]}, "methods.0.params.delta", "one value"),
        ({"methods": [{"name": "dp_sgd", "params": {"epsilonn": 1}}]}, "methods.0.params.epsilonn", "'epsilon'"),
        ({"methods": [{"name": "dp_sgd", "params": {"floor": [1, 200]}}]}, "methods.0.params.floor", "raise cap"),
        ({"training": {"optimizer": "sdg"}}, "training.optimizer", "sgd"),
        ({"training": {"batch_size": 1001}}, "training.batch_size", "smaller"),
        ({"training": {"epochs": 2.5}}, "training.epochs", "Change it"),
        ({"evaluation": {"attacks": [{"name": "lira"}]}}, "evaluation.attacks.0.name", "loss_threshold"),
        (
            {"evaluation": {"attacks": [{"name": "loss_threshold"}, {"name": "loss_threshold"}]}},
            "evaluation.attacks.1.name",
            "Remove one",
        ),
        ({"seeds": 100}, "methods", "EQUIPOISE_MAX_RUNS_PER_JOB"),
    ],
)
def test_each_wrong_field_is_named_with_the_fix(changes, field, says):
    found = problems(spec(**changes))
    assert says in found[field].fix
    assert found[field].expected


def test_an_absurd_sweep_is_counted_and_never_built():
    many = [x / 1000 for x in range(1, 2001)]
    job = spec(methods=[{"name": "dp_sgd", "params": {"epsilon": many, "floor": many, "cap": [100 + x for x in many]}}])
    found = problems(job)
    assert "16,000,000,000" in found["methods"].got


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
                    max_leaves=8))  # fmt: skip
def test_any_value_is_taken_or_refused_and_never_breaks(value):
    for schema in (DP, MLP):
        for name in schema["properties"]:
            taken, found = sweep(schema, {name: value}, "params")
            assert found or all(option is not None or name == "delta" for option in taken[name])


GROUPED = {
    "properties": {
        "attribute": {"type": "string", "default": "sex", "refers_to": "attribute"},
        "beside": {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
            "default": None,
            "refers_to": "attribute",
        },
    }
}


@pytest.mark.parametrize(
    ("params", "there", "wrong"),
    [
        ({}, ["sex", "race"], []),
        ({"attribute": "race", "beside": ["sex"]}, ["sex", "race"], []),
        ({}, ["race"], [("m.attribute", '"sex"', "Use one of: race.")]),
        ({"attribute": "rase"}, ["sex", "race"], [("m.attribute", '"rase"', "Did you mean 'race'?")]),
        ({"beside": ["sex", "age"]}, ["sex", "race"], [("m.beside", '"age"', "Use one of: race, sex.")]),
        ({}, [], [("m.attribute", '"sex"', "This dataset has no attribute: choose another dataset, "
                                           "or leave this out of the study.")]),
    ],
)  # fmt: skip
def test_a_parameter_that_names_an_attribute_names_one_of_the_dataset(params, there, wrong):
    found = sweep(GROUPED, params, "m", {"attribute": there})[1]
    assert [(one.field, one.got, one.fix) for one in found] == wrong
    assert all("sensitive attribute of this dataset" in one.expected for one in found)
    # Where nothing is known of the dataset, there is nothing to hold it against; a wrong type is said once.
    assert sweep(GROUPED, params, "m")[1] == []
    assert [one.expected for one in sweep(GROUPED, {"attribute": 3}, "m", {"attribute": there})[1]] == ["a text"]


def test_a_submission_that_names_another_attribute_is_refused():
    known = catalogue()
    grouped = plugin("method", "grouped", GROUPED)
    known = known.model_copy(update={"plugins": [*known.plugins, grouped]})
    methods = [{"name": "grouped", "params": {"attribute": "gender"}}]
    with pytest.raises(InvalidRequest) as caught:
        expand(spec(methods=methods), known, max_runs=100)
    (problem,) = caught.value.problems
    assert (problem.field, problem.got) == ("methods.0.params.attribute", '"gender"')
    assert problem.fix == "Use one of: age, race, sex."
    assert len(expand(spec(methods=[{"name": "grouped"}]), known, max_runs=100).settings) == 1


PERTURBED = {
    "properties": {
        "norm": {"type": "string", "enum": ["linf", "l2"], "default": "linf", "sweepable": True},
        "perturbation": {"type": "number", "minimum": 0, "default": 0.1, "sweepable": True, "refers_to": "bounds"},
    }
}


@pytest.mark.parametrize(
    ("params", "bounds", "wrong"),
    [
        ({"perturbation": [0.5, 1]}, (0.0, 1.0), []),
        ({"perturbation": [0.5, 8]}, (0.0, 1.0), ["8.0"]),
        ({"perturbation": 8}, (0.0, 255.0), []),
        ({"perturbation": 2.5}, (-1.0, 1.0), ["2.5"]),
        ({}, (0.0, 0.05), ["0.1"]),
        # In l2 a row moves farther than any of its features, and nothing is known of features without bounds.
        ({"perturbation": 2, "norm": "l2"}, (0.0, 1.0), []),
        ({"perturbation": 8}, None, []),
    ],
)
def test_a_perturbation_is_within_the_range_of_the_features(params, bounds, wrong):
    found = sweep(PERTURBED, params, "m", {} if bounds is None else {"bounds": bounds})[1]
    assert [(one.field, one.got) for one in found] == [("m.perturbation", value) for value in wrong]
    for one in found:
        assert f"({bounds[0]:g} to {bounds[1]:g})" in one.expected
        assert "units of the features" in one.fix


@pytest.mark.parametrize("images", [False, True])
def test_what_needs_images_or_bounds_is_refused_where_there_are_none(images):
    known = catalogue()
    facts = known.plugins[0].dataset
    assert facts is not None
    if images:
        facts = facts.model_copy(update={"bounds": (0.0, 1.0), "image": (1, 28, 28)})
    plugins = [
        known.plugins[0].model_copy(update={"dataset": facts}),
        *known.plugins[1:],
        plugin("model", "cnn", model=ModelFacts(images=True)),
        plugin("attack", "auto_attack", attack=AttackFacts(bounded=True)),
    ]
    known = known.model_copy(update={"plugins": plugins})
    asked = spec(model={"name": "cnn"}, evaluation={"attacks": [{"name": "auto_attack"}]})
    if images:
        assert len(expand(asked, known, max_runs=100).settings) == 3
        return
    with pytest.raises(InvalidRequest) as caught:
        expand(asked, known, max_runs=100)
    found = {problem.field: problem for problem in caught.value.problems}
    assert set(found) == {"model.name", "evaluation.attacks.0.name"}
    assert "no images" in found["model.name"].expected
    assert "no bounds" in found["evaluation.attacks.0.name"].expected
