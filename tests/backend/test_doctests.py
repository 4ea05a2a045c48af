"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import backend

MODULES = [m.name for m in pkgutil.walk_packages(backend.__path__, "backend.") if "migrations" not in m.name]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_every_module_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
