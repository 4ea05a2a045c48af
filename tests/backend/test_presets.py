"""Presets: valid against what the worker really offers, and of the stated size."""

import json

import pytest

from backend.analysis.power import most_tests
from backend.contracts.catalogue import Attribute
from backend.contracts.expansion import expand
from backend.contracts.public import Preset
from backend.errors import NotFound
from backend.presets import FOLDER, get_preset, load_presets
from worker.catalogue import build_catalogue

PRESETS = load_presets()


@pytest.fixture(scope="module")
def real_catalogue():
    return build_catalogue()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_expands_within_the_default_limit(real_catalogue, preset):
    expansion = expand(preset.spec, real_catalogue, max_runs=5000)
    assert len(expansion.configs) == len({config.hash() for config in expansion.configs})
    assert preset.minutes is not None


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_presets_noise_can_be_reached(real_catalogue, preset, tmp_path):
    from backend.api.services.preview import noise

    expansion = expand(preset.spec, real_catalogue, max_runs=5000)
    assert all(0.1 < n.noise_multiplier < 100 for n in noise(preset.spec, expansion, real_catalogue, tmp_path))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_is_named_after_its_file_and_names_itself(preset):
    assert (FOLDER / f"{preset.name}.json").is_file()
    assert preset.spec.preset == preset.name
    assert preset.question.endswith("?")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_presets_study_keeps_a_true_name_on_another_dataset(real_catalogue, preset):
    """Whoever changes the dataset keeps name and description: neither may say which data it is."""
    said = f"{preset.spec.name} {preset.spec.description}".lower()
    for plugin in real_catalogue.plugins:
        if plugin.kind == "dataset":
            assert plugin.name.lower() not in said
            assert plugin.title.split(" (")[0].lower() not in said


def test_quickstart_is_the_study_that_the_readme_tells_of(real_catalogue):
    spec = get_preset("quickstart").spec
    assert [m.name for m in spec.methods] == ["sgd", "dp_sgd", "adaptive_dp_sgd", "soft_ada_clip"]
    assert {len(m.params["epsilon"]) for m in spec.methods[1:]} == {4}
    assert spec.seed_list() == [0, 1, 2]
    assert len(expand(spec, real_catalogue, max_runs=5000).configs) == 39


@pytest.mark.parametrize("name", ["softadaclip-adult", "softadaclip-adult-balanced"])
def test_softadaclip_tunes_every_method_over_as_many_settings(real_catalogue, name):
    preset = get_preset(name)
    expansion = expand(preset.spec, real_catalogue, max_runs=5000)
    per_epsilon = [
        count // len(method.params.get("epsilon", [None]))
        for count, method in zip(expansion.settings_per_method, preset.spec.methods, strict=True)
    ]
    assert set(per_epsilon) == {24}
    family = 3 * len(preset.spec.dataset.subgroups) * len(preset.claims)
    assert most_tests(len(preset.spec.seed_list())) >= family == 18
    assert {(c.metric, c.method, c.direction) for c in preset.claims} == {("loss_gap", "soft_ada_clip", "lower")}
    assert [claim.value for claim in preset.claims] == [87, 48]
    assert all("2510.01447" in claim.source for claim in preset.claims)


def test_a_preset_can_be_posted_as_it_is(client):
    for preset in client.get("/api/presets").json()["items"]:
        Preset.model_validate(preset)
        json.dumps(preset["spec"])


def test_an_unknown_preset_names_the_known():
    with pytest.raises(NotFound) as error:
        get_preset("nothing")
    assert "softadaclip-adult" in error.value.fix


@pytest.mark.parametrize("name", ["softadaclip-adult", "softadaclip-adult-balanced"])
def test_another_table_is_one_changed_line_with_its_own_subgroups(real_catalogue, name):
    """Literally: the line of the file that names the table is replaced, and nothing else."""
    lines = (FOLDER / f"{name}.json").read_text().splitlines()
    (place,) = [i for i, line in enumerate(lines) if '"dataset":' in line]
    lines[place] = '"dataset": {"name": "other", "subgroups": ["ward", "age", ["ward", "age"]]},'
    adult = real_catalogue.find("dataset", "adult")
    attributes = [
        Attribute(name="ward", title="Ward", values=["A", "B"]),
        Attribute(name="age", title="Age", values=["under 60", "60 and over"]),
    ]
    facts = adult.dataset.model_copy(update={"attributes": attributes, "rows": 9105, "train_rows": 5463})
    other = adult.model_copy(update={"name": "other", "dataset": facts})
    known = real_catalogue.model_copy(update={"plugins": [*real_catalogue.plugins, other]})
    changed = Preset.model_validate(json.loads("\n".join(lines)))
    expansion = expand(changed.spec, known, max_runs=5000)
    assert len(expansion.configs) == len(expand(get_preset(name).spec, real_catalogue, max_runs=5000).configs)
    assert {config.setting.dataset.name for config in expansion.configs} == {"other"}
    assert {str(config.setting.subgroups) for config in expansion.configs} == {
        str([["ward"], ["age"], ["ward", "age"]])
    }
