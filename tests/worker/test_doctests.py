"""The numbers in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import worker

MODULES = [m.name for m in pkgutil.walk_packages(worker.__path__, "worker.") if "__main__" not in m.name]


@pytest.mark.parametrize("name", [*MODULES, "backend.analysis.accounting"])
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
