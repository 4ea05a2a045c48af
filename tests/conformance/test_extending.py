"""The plugins that the guide tells people to write work as they are printed."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conformance import test_plugins
from worker.registry import scan
from worker.testing import toy_work
from worker.training.opacus_trainer import OpacusEngine

GUIDE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCK = re.compile(r"Save this as `worker/(\w+)s/(\w+)\.py`:\n\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """The guide's plugin of a kind, found as a worker finds it."""
    blocks = {kind: (name, code) for kind, name, code in BLOCK.findall(GUIDE.read_text())}
    assert set(blocks) == {"method", "metric", "attack"}
    assert GUIDE.read_text().count("```python") == len(blocks)
    monkeypatch.syspath_prepend(str(tmp_path))

    def find(kind):
        name, code = blocks[kind]
        package = tmp_path / f"{kind}_of_the_guide"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / f"{name}.py").write_text(code)
        (found,) = scan(kind, package.name)
        assert found.plugin.name == name
        return found

    yield find
    for name in [name for name in sys.modules if "_of_the_guide" in name]:
        del sys.modules[name]


def test_the_method_is_found_trained_and_keeps_its_promise(printed):
    method = printed("method").plugin
    (trained,) = OpacusEngine().train([toy_work(method)])
    assert trained.diverged is None
    norms = np.geomspace(1e-6, 1e19, 200)
    for power in (1.0, 2.0, 32.0):
        params = method.Params(power=power)
        state = method.start(params)
        with np.errstate(over="ignore"):
            scaled = norms * method.scale(norms, state, params)
        assert np.all(scaled <= method.sensitivity(state, params) * (1 + 1e-6))


def test_the_metric_passes_what_every_metric_has_to(printed):
    found = printed("metric")
    test_plugins.test_it_describes_itself(found)
    for task in ("binary", "multiclass", "regression"):
        test_plugins.test_a_family_measures_what_it_declares(found, task)
        test_plugins.test_a_family_measures_several_runs_as_each_alone(found, task)


def test_the_attack_passes_what_every_attack_has_to(printed):
    found = printed("attack")
    test_plugins.test_it_describes_itself(found)
    test_plugins.test_an_attack_scores_several_runs_as_each_alone(found)
    test_plugins.test_an_attack_scores_every_candidate_without_looking_at_membership(found)
