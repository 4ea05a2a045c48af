"""Finds the plugins: one file each, no list to edit; and says which version of the code they are.

A version is a hash of the syntax tree without docstrings, so that editing a comment or a docstring changes nobody's
results, and editing anything else does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import pkgutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from backend.analysis import accountants, accounting, pld, prv
from backend.contracts.catalogue import PluginKind
from backend.contracts.runs import canonical_hash
from backend.errors import JobFailed
from worker.plugins import Attack, Dataset, Method, Metric, Model

ROOT = Path(__file__).parent
BASES: Mapping[PluginKind, type[Any]] = {
    "dataset": Dataset,
    "model": Model,
    "method": Method,
    "metric": Metric,
    "attack": Attack,
}
PACKAGES: Mapping[PluginKind, str] = {
    "dataset": "worker.datasets",
    "model": "worker.models",
    "method": "worker.methods",
    "metric": "worker.metrics",
    "attack": "worker.attacks",
}
assert set(PACKAGES) == set(get_args(PluginKind))

#: Code outside the plugins on which results depend, besides every `_*.py` beside them.
ENGINE_CODE = ("plugins.py", "measure.py", "evaluate.py", "shadows.py", "training", "privacy")
#: Libraries whose version can change a result.
ENGINE_LIBRARIES = ("torch", "opacus", "dp-accounting", "numba", "numpy")


@dataclass(frozen=True)
class Found:
    """One plugin: its object, the version of its file, and where that is."""

    kind: PluginKind
    plugin: Any
    version: str
    path: Path


class Registry:
    """All plugins that could be imported, by kind and name."""

    def __init__(self, found: Iterable[Found]) -> None:
        self._found = {(one.kind, one.plugin.name): one for one in sorted(found, key=lambda f: (f.kind, f.plugin.name))}

    def all(self, kind: PluginKind | None = None) -> list[Found]:
        """Every plugin, or those of one kind, by name."""
        return [one for one in self._found.values() if kind in (None, one.kind)]

    def find(self, kind: PluginKind, name: str) -> Found:
        """One plugin. Raises `JobFailed` with the names there are."""
        try:
            return self._found[kind, name]
        except KeyError:
            known = ", ".join(one.plugin.name for one in self.all(kind)) or "none"
            raise JobFailed(
                f"This worker has no {kind} named {name} (it has {known}).",
                fix="Start a worker with the same version of the program as the server.",
            ) from None

    def metrics_version(self) -> str:
        """Hash over all metric families, as `backend.contracts.expansion` computes it from the catalogue."""
        return canonical_hash(sorted((one.plugin.name, one.version) for one in self.all("metric")))[:16]


def code_version(*paths: Path) -> str:
    """First 16 hex digits of the SHA-256 over the syntax trees of some files, docstrings left out."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(ast.dump(_without_docstrings(ast.parse(path.read_text(encoding="utf-8")))).encode())
    return digest.hexdigest()[:16]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return tree


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Everything found in the five packages; scanned once per process.

    A file that cannot be imported, or whose `PLUGIN` is not of its package's kind, is left out with a warning that
    names it: it does not take the others along.
    """
    return Registry(one for kind, package in PACKAGES.items() for one in scan(kind, package))


def scan(kind: PluginKind, package: str) -> list[Found]:
    """The plugins of one package."""
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name.startswith("_"):
            continue
        name = f"{package}.{module.name}"
        try:
            loaded = importlib.import_module(name)
            plugin = loaded.PLUGIN
            if not isinstance(plugin, BASES[kind]):
                raise TypeError(f"expected PLUGIN to be a {BASES[kind].__name__}, got {type(plugin).__name__}")
            path = Path(str(loaded.__file__))
            found.append(Found(kind, plugin, code_version(path), path))
        except Exception as error:  # noqa: BLE001 - whatever a plugin's file does wrong stays its own trouble
            warnings.warn(f"The {kind} in {name} is left out: {type(error).__name__}: {error}", stacklevel=2)
    return found


def _version(library: str) -> str:
    """What is installed; Numba may be absent, and runs without it are runs of another engine."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"


@lru_cache(maxsize=1)
def engine_version() -> str:
    """Hash over the code that trains, accounts and evaluates, and the libraries it stands on."""
    files = [Path(str(module.__file__)) for module in (accountants, accounting, pld, prv)]
    for entry in ENGINE_CODE:
        path = ROOT / entry
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    for package in PACKAGES.values():
        files += sorted((ROOT / package.rpartition(".")[2]).glob("_[!_]*.py"))
    libraries = {name: _version(name) for name in ENGINE_LIBRARIES}
    return canonical_hash({"code": code_version(*files), "libraries": libraries})[:16]
