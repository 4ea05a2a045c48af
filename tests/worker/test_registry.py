"""What makes a version, and what happens to a plugin that cannot be imported."""

import sys

import pytest

from backend.errors import JobFailed
from worker import registry
from worker.catalogue import build_catalogue
from worker.registry import Registry, code_version, engine_version

PLUGIN_TEXT = '''
"""A docstring."""
from worker.plugins import Method, NoParams

class {name}(Method[NoParams]):
    """Another."""
    name = "{lower}"
    title = summary = "T"
    Params = NoParams
    def start(self, params):
        """And another."""
        return {{"threshold": {value}}}

PLUGIN = {name}()
'''


def test_comments_docstrings_and_layout_do_not_change_a_version_and_code_does(tmp_path):
    def version(text):
        path = tmp_path / "plugin.py"
        path.write_text(text)
        return code_version(path)

    text = PLUGIN_TEXT.format(name="One", lower="one", value=1)
    same = "# comment\n" + text.replace("Another", "Something else").replace("    name = ", "    name  =  ")
    assert version(text) == version(same)
    assert len(version(text)) == 16
    assert version(text) != version(PLUGIN_TEXT.format(name="One", lower="one", value=2))


def test_a_plugin_that_cannot_be_imported_does_not_take_the_others_along(tmp_path, monkeypatch):
    package = tmp_path / "some_methods"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text(PLUGIN_TEXT.format(name="Good", lower="good", value=1))
    (package / "broken.py").write_text("import a_library_that_is_not_there")
    (package / "foreign.py").write_text("PLUGIN = 3")
    (package / "_helper.py").write_text("raise RuntimeError('helpers are not scanned')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="is left out") as warned:
        found = registry.scan("method", "some_methods")
    messages = [str(w.message) for w in warned]
    assert [one.plugin.name for one in found] == ["good"]
    assert any("some_methods.broken" in m and "a_library_that_is_not_there" in m for m in messages)
    assert any("some_methods.foreign" in m and "expected PLUGIN to be a Method" in m for m in messages)
    for name in [name for name in sys.modules if name.startswith("some_methods")]:
        del sys.modules[name]


def test_an_unknown_plugin_is_named_with_those_there_are():
    with pytest.raises(JobFailed, match=r"no method named nope \(it has .*dp_sgd"):
        registry.registry().find("method", "nope")


def test_an_empty_registry_has_a_version_too():
    assert len(Registry([]).metrics_version()) == 16
    assert engine_version() == engine_version()


@pytest.mark.parametrize(
    "params", [{}, {"missing": "category"}, {"limit": 5000}, {"missing": "category", "limit": 999}]
)
def test_rows_promised_by_the_catalogue_are_those_that_a_run_trains_on(params):
    """The noise shown before a study stands on them."""
    adult = registry.registry().find("dataset", "adult").plugin
    facts = build_catalogue().find("dataset", "adult").dataset
    table = adult.load(adult.Params(**params))
    assert facts.train_rows_for(adult.Params(**params).model_dump()) == len(table.split(0).train)
