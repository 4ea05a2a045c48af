"""What holds for every plugin that is found, whoever wrote it."""

import math
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from backend.contracts.catalogue import Catalogue
from backend.contracts.training import Training
from backend.errors import DataMissing, JobFailed
from worker.attacks._report import metrics_of
from worker.attacks._target import Shadows, Target
from worker.catalogue import build_catalogue
from worker.datasets._table import TABULAR, Domain
from worker.methods.dp_sgd import PLUGIN as DP_SGD
from worker.methods.sgd import PLUGIN as SGD
from worker.metrics._figures import measurements
from worker.metrics._predictions import Figure, Groups, Observed, Predictions, RunFigures
from worker.plugins import Probe
from worker.registry import PACKAGES, registry
from worker.testing import toy_images, toy_table, toy_work
from worker.training.losses import per_record_numpy
from worker.training.opacus_trainer import OpacusEngine

ALL = registry().all()
NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}$")


def of(kind):
    # Probes are listed as attacks and score nothing.
    kept = [found for found in registry().all(kind) if not isinstance(found.plugin, Probe)]
    return pytest.mark.parametrize("found", kept, ids=lambda found: found.plugin.name)


every = pytest.mark.parametrize("found", ALL, ids=lambda found: f"{found.kind}-{found.plugin.name}")


def test_every_kind_has_a_plugin():
    assert {found.kind for found in ALL} == set(PACKAGES)


@every
def test_it_describes_itself(found):
    plugin = found.plugin
    assert NAME.match(plugin.name)
    assert plugin.title.strip() == plugin.title != ""
    assert plugin.summary.endswith((".", "?"))
    assert len(plugin.summary) <= 200
    assert plugin.citation is None or len(plugin.citation) > 10
    assert type(plugin).__doc__


@every
def test_its_parameters_make_a_form(found):
    params = found.plugin.Params
    params()  # every parameter has a default that is valid
    schema = params.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, field in schema.get("properties", {}).items():
        assert field.get("title"), f"{name} needs a title"
        assert len(field.get("description", "")) > 15, f"{name} needs a help text"
        assert "default" in field, f"{name} needs a default"
        assert isinstance(field.get("sweepable"), bool), f"declare {name} with param(...)"
    with pytest.raises(ValidationError):
        params.model_validate({"no_such_parameter": 1})
    again = params.model_validate(params().model_dump(mode="json"))
    assert again == params(), "defaults survive JSON"


def test_training_parameters_make_a_form():
    for name, field in Training.model_json_schema()["properties"].items():
        assert field["title"], name
        assert len(field["description"]) > 10, name


def test_the_catalogue_holds_all_of_it_and_survives_json():
    catalogue = build_catalogue()
    assert Catalogue.model_validate_json(catalogue.model_dump_json()) == catalogue
    assert build_catalogue().version == catalogue.version
    assert {(p.kind, p.name) for p in catalogue.plugins} == {(f.kind, f.plugin.name) for f in ALL}
    names = [m.name for m in catalogue.metrics]
    assert len(names) == len(set(names)), "a metric's name belongs to one family"
    for metric in catalogue.metrics:
        assert catalogue.find("metric", metric.family) or catalogue.find("attack", metric.family)
        assert metric.explanation.endswith(".")
        assert metric.low is None or metric.high is None or metric.low < metric.high
        assert not (metric.log and metric.high is not None and metric.high <= 0)


@of("dataset")
def test_a_dataset_loads_splits_and_encodes_or_says_what_is_missing(found):
    plugin = found.plugin
    params = plugin.Params()
    facts = plugin.facts(params)
    assert facts.attributes
    if not facts.available:
        assert facts.unavailable_because
        with pytest.raises(DataMissing):
            plugin.load(params)
        return
    table = plugin.load(params)
    assert table.data_hash == facts.data_hash
    assert table.task == facts.task
    assert table.rows == facts.rows
    assert set(table.attributes) == {a.name for a in facts.attributes}
    for attribute in facts.attributes:
        assert list(table.attributes[attribute.name].labels) == attribute.values
        codes = table.attributes[attribute.name].codes
        assert codes.shape == (table.rows,)
        assert codes.min() >= 0
        assert codes.max() < len(attribute.values)
        assert not any("&" in value or "=" in value for value in attribute.values), "they join subgroup names"
    split = table.split(0)
    assert len(split.train) == facts.train_rows
    encoded = table.encode(split.train)
    assert encoded.dense.dtype == np.float32
    assert encoded.dense.shape == (table.rows, encoded.inputs)
    assert np.isfinite(encoded.dense).all()
    again = plugin.load(params)
    assert np.array_equal(again.target, table.target)


@of("model")
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_a_model_maps_rows_to_logits(found, outputs):
    domain = Domain(bounds=(0.0, 1.0), image=(3, 28, 28)) if found.plugin.images else TABULAR
    inputs = math.prod(domain.image) if domain.image else 7
    module = found.plugin.build(found.plugin.Params(), inputs, outputs, domain)
    assert module(torch.zeros(3, inputs)).shape == (3, outputs)


@of("model")
def test_a_model_treats_every_record_by_itself(found):
    """What private training stands on: no layer may mix the records of a batch, in training as in prediction."""
    table = toy_images(12, image=(1, 16, 16))
    module = found.plugin.build(found.plugin.Params(), table.numeric.shape[1], 3, table.domain)
    rows = torch.from_numpy(table.numeric)
    for mode in (module.train(), module.eval()):
        together = mode(rows)
        alone = torch.cat([mode(row[None]) for row in rows])
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-4)


@of("model")
@pytest.mark.parametrize("method", [DP_SGD, SGD], ids=lambda one: one.name)
def test_a_model_trains_privately_and_not(found, method):
    table = toy_images(40, image=(1, 16, 16)) if found.plugin.images else toy_table(120)
    work = toy_work(method, table=table, model=found.plugin, epochs=1, batch_size=6, learning_rate=0.01)
    (trained,) = OpacusEngine().train([work])
    assert trained.diverged is None
    assert np.isfinite(trained.logits(work.validation)).all()


@pytest.mark.parametrize("found", [one for one in registry().all("model") if one.plugin.images])
def test_a_model_for_images_says_that_a_table_has_none(found):
    with pytest.raises(JobFailed, match="needs images"):
        found.plugin.build(found.plugin.Params(), 7, 2, TABULAR)


@of("method")
def test_a_method_that_needs_an_attribute_says_which_parameter_names_it(found):
    method, schema = found.plugin, found.plugin.Params.model_json_schema()
    named = [n for n, field in schema.get("properties", {}).items() if field.get("refers_to") == "attribute"]
    wanted = method.attribute(method.Params())
    assert (wanted is None) == (not named)
    if named:
        another = method.Params.model_validate({named[0]: "another"})
        assert (wanted, method.attribute(another)) == (getattr(method.Params(), named[0]), "another")


@of("method")
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_method_trains_a_tiny_model(found, task):
    table = toy_table(240, task=task, classes=3 if task == "multiclass" else 2)
    work = toy_work(found.plugin, table=table)
    assert (work.budget is not None) == found.plugin.private
    (trained,) = OpacusEngine().train([work])
    assert trained.diverged is None
    assert np.isfinite(trained.logits(work.validation)).all()
    assert {s.name for s in trained.history} >= {"train_loss", "validation_loss"}
    for series in trained.history:
        assert len(series.steps) == len(series.values)


def everything(family, predictions, groups):
    """What a family measures of the test part, of it beside other rows, and from the figures of all families."""
    learnt = replace(predictions, logits=predictions.logits * np.float32(1.5))

    def own_of(one):
        observed = Observed(learnt, groups), Observed(predictions, groups)
        return [*one.measure(predictions, groups), *one.compare(*observed)]

    known = {figure.metric: figure for one in registry().all("metric") for figure in own_of(one.plugin)}
    advantage = predictions.losses.mean(axis=-1)[..., None].repeat(len(groups.names), axis=-1) / 100
    for name in ("lira_advantage", "loss_threshold_advantage"):
        known[name] = Figure(name, groups.names, advantage, groups.sizes)
    own = own_of(family)
    return [*own, *family.conclude(known)]


@of("metric")
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_family_measures_what_it_declares(found, task):
    table = toy_table(200, task=task, classes=3 if task == "multiclass" else 2)
    random = np.random.default_rng(0)
    groups = Groups.of(table.attributes, [["sex"], ["sex", "race"]], np.arange(200))
    logits = random.normal(size=(200, table.outputs)).astype(np.float32)
    spent = RunFigures(1.0, 10, 1.0, 1e-5, 2.0)
    declared = {m.name: m for m in found.plugin.metrics}
    predictions = Predictions(logits, table.target, table.task, "test", spent)
    (measured,) = measurements(everything(found.plugin, predictions, groups), (), "test")
    if task == "binary":
        assert {m.metric for m in measured} == set(declared)
    for m in measured:
        info = declared[m.metric]
        assert m.split == "test"
        assert info.per_subgroup or m.subgroup == "all"
        assert m.value is None or np.isfinite(m.value)
        for figure in (m.value, m.low, m.high):
            assert figure is None or info.low is None or figure >= info.low
            assert figure is None or info.high is None or figure <= info.high


@of("metric")
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_family_measures_several_runs_as_each_alone(found, task):
    table = toy_table(700, task=task, classes=4 if task == "multiclass" else 2)
    groups = Groups.of(table.attributes, [["sex"], ["sex", "race"]], np.arange(700))
    logits = np.random.default_rng(0).normal(size=(5, 700, table.outputs)).astype(np.float32)
    logits[2] = 0.0
    rows = [(1.0 + run, 10.0, None, None, None) if run % 2 else (1.0, 10.0, 3.0, 1e-5, 0.9) for run in range(5)]

    def measured(*runs):
        spent = RunFigures.of([rows[run] for run in runs])
        predictions = Predictions(logits[list(runs)], table.target, table.task, "test", spent)
        return measurements(everything(found.plugin, predictions, groups), (len(runs),), "test")

    together = measured(*range(5))
    for run in range(5):
        assert measured(run)[0] == together[run]
        assert measured(run, 0)[0] == together[run]


def attacked(logits, table, members, groups):
    """A target with 64 shadow models, and with the first rows once more as its population."""
    random = np.random.default_rng(1)
    shadows = Shadows(
        random.normal(size=(64, *logits.shape[-2:])).astype(np.float32), random.random((64, len(members))) < 0.6
    )
    losses = per_record_numpy(logits, table.target, "binary")
    some = Groups(groups.names, groups.masks[:, :50], groups.families)
    few = Shadows(shadows.logits[:, :50], shadows.members[:, :50])
    others = Target(logits[..., :50, :], table.target[:50], losses[..., :50], members[:50] & False, some, "binary", few)
    return Target(logits, table.target, losses, members, groups, "binary", shadows, others)


@of("attack")
def test_an_attack_scores_several_runs_as_each_alone(found):
    table = toy_table(300)
    logits = np.random.default_rng(0).normal(size=(5, 300, 2)).astype(np.float32)
    groups = Groups.of(table.attributes, [["sex"]], np.arange(300))
    members = np.arange(300) < 120

    def scores(runs):
        return found.plugin.score(attacked(logits[runs], table, members, groups), found.plugin.Params())

    together = scores(slice(None))
    assert together.shape == (5, 300)
    for run in range(5):
        assert np.array_equal(scores(slice(run, run + 1))[0], together[run])
        assert np.array_equal(scores(run), together[run])


@of("attack")
def test_an_attack_scores_every_candidate_without_looking_at_membership(found):
    table = toy_table(200)
    random = np.random.default_rng(0)
    logits = random.normal(size=(200, 2)).astype(np.float32)
    groups = Groups.of(table.attributes, [["sex"]], np.arange(200))
    members = np.arange(200) < 120
    scores = [
        found.plugin.score(attacked(logits, table, inside, groups), found.plugin.Params())
        for inside in (members, ~members)
    ]
    assert scores[0].shape == (200,)
    assert np.isfinite(scores[0]).all()
    assert np.array_equal(*scores)
    assert len(metrics_of(found.plugin.name, found.plugin.title)) == 6
