"""The method that the guide tells people to write works as it is printed."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from worker.registry import scan
from worker.testing import toy_work
from worker.training.opacus_trainer import OpacusEngine

GUIDE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def method(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    package = tmp_path / "methods_of_the_guide"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "power_clip.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    (found,) = scan("method", "methods_of_the_guide")
    yield found.plugin
    for name in [name for name in sys.modules if name.startswith("methods_of_the_guide")]:
        del sys.modules[name]


def test_the_example_is_found_trained_and_keeps_its_promise(method):
    (trained,) = OpacusEngine().train([toy_work(method)])
    assert trained.diverged is None
    norms = np.geomspace(1e-6, 1e19, 200)
    for power in (1.0, 2.0, 32.0):
        params = method.Params(power=power)
        state = method.start(params)
        with np.errstate(over="ignore"):
            scaled = norms * method.scale(norms, state, params)
        assert np.all(scaled <= method.sensitivity(state, params) * (1 + 1e-6))
