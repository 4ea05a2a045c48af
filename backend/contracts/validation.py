"""Checks parameters against the JSON Schemas of the catalogue, in the words of the person who wrote them."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from backend.contracts.base import Params
from backend.contracts.results import Problem


def short(value: Any, limit: int = 80) -> str:
    """A value as JSON, cut to a length that fits a sentence."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def unknown_name(field: str, kind: str, name: str, known: Iterable[str]) -> Problem:
    """A name that is not in the catalogue, with the nearest that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    fix = f"Did you mean {near[0]!r}?" if near else (f"Use one of: {', '.join(names)}." if names else f"No {kind} yet.")
    return Problem(field=field, expected=f"the name of a {kind}", got=short(name), fix=fix)


#: What a parameter may refer to, as a sentence says it.
_REFERENCES = {"attribute": "sensitive attribute of this dataset"}


def sweep(
    schema: dict[str, Any], values: Params, field: str, there: Mapping[str, Sequence[Any]] | None = None
) -> tuple[dict[str, list[Any]], list[Problem]]:
    """Every parameter of `schema` with the list of values it takes, defaults filled in, and what is wrong.

    A list counts as a sweep where the schema says `sweepable` and the parameter is not itself a list
    (then a list of lists is the sweep). Integers given for numbers become floats, so that 1 and 1.0 are one setting.

    `there` holds the names that parameters with a `refers_to` may take, by what they refer to, and the least and
    greatest feature as `bounds`; what it lacks is not checked. Defaults are checked too: that of a method may name what
    another dataset has.
    """
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    problems = [
        Problem(
            field=f"{field}.{name}",
            expected="a parameter of this schema" if not properties else f"one of: {', '.join(sorted(properties))}",
            got=short(name),
            fix=_nearest(name, properties) or "Remove it.",
        )
        for name in values
        if name not in properties
    ]
    taken: dict[str, list[Any]] = {}
    for name, property_schema in properties.items():
        where = f"{field}.{name}"
        if name not in values:
            if name in schema.get("required", ()):
                problems.append(
                    Problem(field=where, expected=_expectation(property_schema), got=None, fix=f"Give {name} a value.")
                )
            else:
                taken[name] = [property_schema.get("default")]
                problems.extend(_unknown_references(property_schema, taken[name], where, there or {}))
            continue
        value = values[name]
        options, found = _options(property_schema, value, where)
        problems.extend(found)
        definitions = schema.get("$defs", {})
        wrong: list[Problem] = []
        for index, option in enumerate(options):
            at = f"{where}.{index}" if len(options) > 1 else where
            wrong += _check(property_schema, definitions, option, at)
        problems += wrong or _unknown_references(property_schema, options, where, there or {})
        taken[name] = [_normal(property_schema, option) for option in options]
        if not found and len({short(o, 10_000) for o in taken[name]}) < len(taken[name]):
            problems.append(
                Problem(field=where, expected="distinct values", got=short(value), fix="Remove the repeated ones.")
            )
    if not problems:
        problems += _order(schema, taken, field) + _beyond(schema, taken, field, there or {})
    return taken, problems


def _unknown_references(
    schema: dict[str, Any], options: Sequence[Any], where: str, there: Mapping[str, Sequence[Any]]
) -> list[Problem]:
    """Names that the dataset lacks, among values that fit the schema."""
    kind = schema.get("refers_to")
    if kind not in _REFERENCES or kind not in there:
        return []
    names = [name for option in options for name in (option if isinstance(option, list) else [option])]
    problems = [
        unknown_name(where, _REFERENCES[kind], name, there[kind])
        for name in dict.fromkeys(names)
        if name is not None and name not in there[kind]
    ]
    nothing = f"This dataset has no {kind}: choose another dataset, or leave this out of the study."
    return problems if there[kind] else [one.model_copy(update={"fix": nothing}) for one in problems]


def _beyond(
    schema: dict[str, Any], taken: dict[str, list[Any]], field: str, there: Mapping[str, Sequence[Any]]
) -> list[Problem]:
    """Changes of a feature, `refers_to` bounds, that are more than the whole range of the dataset's features.

    Where the plugin measures by another `norm` than linf a row may move farther than any of its features.
    """
    if "bounds" not in there or any(norm != "linf" for norm in taken.get("norm", ())):
        return []
    low, high = there["bounds"]
    return [
        Problem(
            field=f"{field}.{name}",
            expected=f"at most {high - low:g}, the whole range of this dataset's features ({low:g} to {high:g})",
            got=short(value),
            fix=f"Give it in the units of the features; {0.1 * (high - low):g} is a tenth of their range.",
        )
        for name, property_schema in schema.get("properties", {}).items()
        if property_schema.get("refers_to") == "bounds"
        for value in taken.get(name, ())
        if isinstance(value, int | float) and value > high - low
    ]


def _order(schema: dict[str, Any], taken: dict[str, list[Any]], field: str) -> list[Problem]:
    """Parameters that the schema's `ordered` wants in ascending order, in every combination that is swept."""
    problems = []
    for low, high in schema.get("ordered", ()):
        lows = [v for v in taken.get(low, ()) if v is not None]
        highs = [v for v in taken.get(high, ()) if v is not None]
        if lows and highs and max(lows) > min(highs):
            problems.append(
                Problem(
                    field=f"{field}.{low}",
                    expected=f"at most {high} = {min(highs):g}",
                    got=short(max(lows)),
                    fix=f"Lower {low} or raise {high}.",
                )
            )
    return problems


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def _types(schema: dict[str, Any]) -> set[str]:
    kinds = {schema["type"]} if isinstance(schema.get("type"), str) else set()
    for option in schema.get("anyOf", ()):
        kinds |= _types(option)
    return kinds


def _options(schema: dict[str, Any], value: Any, where: str) -> tuple[list[Any], list[Problem]]:
    is_list_type = "array" in _types(schema)
    is_sweep = isinstance(value, list) and (not is_list_type or (bool(value) and isinstance(value[0], list)))
    if not is_sweep:
        return [value], []
    assert isinstance(value, list)
    if not schema.get("sweepable", False):
        problem = Problem(
            field=where,
            expected=f"{_expectation(schema)}; this parameter does not sweep",
            got=short(value),
            fix="Give one value.",
        )
        return [], [problem]
    if not value:
        problem = Problem(
            field=where, expected="at least one value to sweep over", got="[]", fix="Add a value or leave it out."
        )
        return [], [problem]
    return list(value), []


def _check(schema: dict[str, Any], definitions: dict[str, Any], value: Any, where: str) -> list[Problem]:
    bad = not _finite(value)
    if not bad:
        whole = {**schema, "$defs": definitions} if definitions else schema
        bad = next(Draft202012Validator(whole).iter_errors(value), None) is not None
    if not bad:
        return []
    return [Problem(field=where, expected=_expectation(schema), got=short(value), fix=_fix(schema, value))]


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return abs(value) < 2**63
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return True


def _normal(schema: dict[str, Any], value: Any) -> Any:
    kinds = _types(schema)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and "number" in kinds and "integer" not in kinds and abs(value) < 2**63:
        return float(value)
    if isinstance(value, float) and "integer" in kinds and "number" not in kinds and value.is_integer():
        return int(value)
    return value


_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing (null)",
}


def _expectation(schema: dict[str, Any]) -> str:
    """What a parameter takes, in words.

    >>> _expectation({"type": "number", "exclusiveMinimum": 0, "maximum": 100})
    'a number > 0 and ≤ 100'
    """
    if "anyOf" in schema:
        return " or ".join(_expectation(option) for option in schema["anyOf"])
    if "enum" in schema:
        return "one of: " + ", ".join(str(v) for v in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    words = _WORDS.get(schema.get("type", ""), "a value")
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
        if key in schema
    ]
    if schema.get("type") == "array" and "items" in schema:
        return f"a list, each {_expectation(schema['items'])}"
    return f"{words} {' and '.join(bounds)}" if bounds else words


def _fix(schema: dict[str, Any], value: Any) -> str:
    options = [schema, *schema.get("anyOf", ())]
    enums = [str(v) for option in options for v in option.get("enum", ())]
    if enums and isinstance(value, str):
        return _nearest(value, enums) or f"Use {enums[0]!r}, for example."
    default = schema.get("default")
    return f"Change it, for example to {short(default)}." if default is not None else "Change it."
