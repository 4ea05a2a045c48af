"""Blind ratings: drawing and shuffling items, what a rater may see, and what a closed task says."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from pydantic import ValidationError

from backend.analysis.agreement import LEVELS, alpha, pairs
from backend.analysis.intervals import mean_interval
from backend.analysis.table import Floats
from backend.api.problems import explain
from backend.contracts.results import Problem
from backend.contracts.review_history import State, TaskState, size
from backend.contracts.reviews import (
    MOST_ITEMS,
    AlphaOut,
    HiddenMean,
    NewItem,
    NewRating,
    NewRatings,
    NewTask,
    RaterPair,
    Sample,
    Task,
    TaskItem,
    TaskResults,
    TaskSummary,
)
from backend.errors import Conflict, InvalidRequest, NotFound
from backend.reports.csv import ACTIVE, write

#: Bytes that the items of one task may have together.
MOST_BYTES = 4_000_000
UNSURE = "unsure"


def _refuse(field: str, sentence: str, expected: str, fix: str, got: str | None = None) -> InvalidRequest:
    return InvalidRequest(sentence, problems=[Problem(field=field, expected=expected, got=got, fix=fix)])


# --- CSV in -----------------------------------------------------------------------------------------------------------


def _plain(cell: str) -> str:
    """A cell as it was before a download made it inert."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(ACTIVE) else cell


def _rows(text: str, needed: tuple[str, ...]) -> tuple[list[str], list[list[str]]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True) if row]
    except csv.Error as error:
        raise _refuse(
            "csv", "The file is not CSV.", "comma-separated values with quotes", "Save it as CSV (UTF-8).", str(error)
        ) from error
    head = [_plain(cell).strip() for cell in rows[0]] if rows else []
    missing = [name for name in needed if name not in head]
    if missing or len(set(head)) != len(head) or not all(head):
        expected = f"a first line of different names, with {' and '.join(needed)}"
        raise _refuse(
            "csv", "The columns are not named as expected.", expected, "Change the first line.", str(head)[:80]
        )
    for place, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            raise _refuse("csv", f"Row {place} is not whole.", f"{len(head)} cells", "Correct the row.", f"{len(row)}")
    return head, [[_plain(cell) for cell in row] for row in rows[1:]]


def items_of_csv(text: str) -> list[NewItem]:
    """Items of a file: `content`, `kind` if it is there, all other columns hidden."""
    head, rows = _rows(text, ("content",))
    found = []
    for place, row in enumerate(rows, start=2):
        cells = dict(zip(head, row, strict=True))
        content, kind = cells.pop("content"), cells.pop("kind", "") or "text"
        hidden = {name: value or None for name, value in cells.items()}
        try:
            found.append(NewItem.model_validate({"content": content, "kind": kind, "hidden": hidden}))
        except ValidationError as error:
            said = explain([dict(one) for one in error.errors()])
            wrong = [p.model_copy(update={"field": f"csv.{place}.{p.field}"}) for p in said]
            raise InvalidRequest(f"Row {place} cannot be an item.", problems=wrong) from error
    return found


def _ratings_of_csv(text: str) -> list[NewRating]:
    head, rows = _rows(text, ("item", "value"))
    found = []
    for place, row in enumerate(rows, start=2):
        cells = dict(zip(head, row, strict=True))
        value = cells["value"].strip()
        if not value:
            continue  # Not answered.
        answer = None if value.casefold() == UNSURE else value
        try:
            found.append(
                NewRating.model_validate({"item": cells["item"], "value": answer, "note": cells.get("note", "")})
            )
        except ValidationError as error:
            said = explain([dict(one) for one in error.errors()])
            wrong = [p.model_copy(update={"field": f"csv.{place}.{p.field}"}) for p in said]
            raise InvalidRequest(f"Row {place} cannot be an answer.", problems=wrong) from error
    return found


# --- drawing ----------------------------------------------------------------------------------------------------------


def allocate(sizes: list[int], total: int, *, equal: bool) -> list[int]:
    """How many items each stratum gives, `total` together, none more than it has.

    Proportional: largest remainders (Hamilton). Equal: one at a time to each that still has some.

    >>> allocate([60, 30, 10], 10, equal=False), allocate([60, 30, 2], 9, equal=True)
    ([6, 3, 1], [4, 3, 2])
    """
    total = min(total, sum(sizes))
    if equal:
        given = [0] * len(sizes)
        while sum(given) < total:
            for place in range(len(sizes)):
                if given[place] < sizes[place] and sum(given) < total:
                    given[place] += 1
        return given
    whole = sum(sizes)
    exact = [total * size / whole for size in sizes]
    given = [int(one) for one in exact]
    order = sorted(range(len(sizes)), key=lambda place: (given[place] - exact[place], place))
    for place in order[: total - sum(given)]:
        given[place] += 1
    return given


def _sample(items: list[NewItem], sample: Sample, rng: np.random.Generator) -> tuple[list[NewItem], str]:
    strata: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        if sample.by is not None and sample.by not in item.hidden:
            known = sorted({name for one in items for name in one.hidden})
            raise _refuse(
                "sample.by",
                f"Item {place + 1} has no hidden field {sample.by!r}.",
                f"a hidden field of every item: {', '.join(known) or 'none'}",
                "Choose another field, or leave it out.",
            )
        strata.setdefault("" if sample.by is None else str(item.hidden[sample.by]), []).append(place)
    names = sorted(strata)
    given = allocate([len(strata[name]) for name in names], sample.size, equal=sample.allocation == "equal")
    chosen: list[int] = []
    for name, count in zip(names, given, strict=True):
        chosen += rng.choice(strata[name], count, replace=False).tolist()
    said = f"{len(chosen)} of {len(items)} items"
    if sample.by is not None:
        parts = ", ".join(f"{name} {count} of {len(strata[name])}" for name, count in zip(names, given, strict=True))
        said += f", {sample.allocation} by {sample.by}: {parts}"
    return [items[place] for place in chosen], said


def draw(new: NewTask) -> dict[str, Any]:
    """The entry that makes a task: items drawn and put in an order that says nothing of where they come from."""
    items = new.items if new.csv is None else items_of_csv(new.csv)
    if not items:
        raise _refuse("csv", "There are no items.", "at least one item", "Add a row.")
    rng = np.random.Generator(np.random.Philox(new.seed))
    said = None
    if new.sample is not None:
        items, said = _sample(items, new.sample, rng)
        said += f"; seed {new.seed}"
    if len(items) > MOST_ITEMS:
        raise _refuse("items", "There are too many items.", f"at most {MOST_ITEMS}", "Draw a sample.", str(len(items)))
    items = [items[place] for place in rng.permutation(len(items)).tolist()]
    body = [item.model_dump(mode="json") for item in items]
    if (bytes_ := size(body)) > MOST_BYTES:
        raise _refuse(
            "items", "The items are too large.", f"at most {MOST_BYTES:,} bytes", "Draw fewer.", f"{bytes_:,} bytes"
        )
    return {
        "title": new.title,
        "instructions": new.instructions,
        "warning": new.warning,
        "scale": new.scale.model_dump(mode="json"),
        "raters": new.raters,
        "seed": new.seed,
        "sampled": said,
        "items": body,
    }


# --- what is seen -----------------------------------------------------------------------------------------------------


def of(state: State, number: int) -> TaskState:
    """The task, or `NotFound`."""
    task = state.tasks.get(number)
    if task is None:
        raise NotFound(f"There is no rating task {number} in this review.", fix="See its tasks.")
    return task


def _summary(task: TaskState) -> dict[str, Any]:
    return {
        "id": task.id,
        "title": task.title,
        "person": task.person,
        "created_at": task.created_at,
        "closed": task.closed,
        "items": len(task.items),
        "raters": task.raters,
        "rated": {rater: len(task.ratings.get(rater, {})) for rater in task.raters},
    }


def summary(task: TaskState) -> TaskSummary:
    """The task as the review lists it: no answer is in it."""
    return TaskSummary.model_validate(_summary(task))


def shown(task: TaskState, person: str | None) -> Task:
    """The task as `person` may see it: own order and own answers, and once it is closed everything."""
    rates = person is not None and person in task.raters
    own = task.ratings.get(person, {}) if person is not None else {}
    order = task.order(person) if person is not None and rates else list(range(1, len(task.items) + 1))
    content = [
        TaskItem(
            id=number,
            kind=task.items[number - 1].kind,
            content=task.items[number - 1].content,
            hidden=task.items[number - 1].hidden if task.closed else {},
            rating=own.get(number),
        )
        for number in order
    ]
    return Task.model_validate(
        {
            **_summary(task),
            "instructions": task.instructions,
            "warning": task.warning,
            "scale": task.scale,
            "seed": task.seed if task.closed else None,
            "sampled": task.sampled if task.closed else None,
            "hidden_fields": hidden_fields(task) if task.closed else [],
            "content": content,
            "unanswered": len(task.items) - len(own) if rates else 0,
            "results": results(task) if task.closed else None,
        }
    )


def hidden_fields(task: TaskState) -> list[str]:
    """Names of what the items hide."""
    return sorted({name for item in task.items for name in item.hidden})


def checked(task: TaskState, person: str, new: NewRatings) -> list[dict[str, Any]]:
    """The answers as the entry keeps them. Raises `Conflict` or `InvalidRequest`."""
    if person not in task.raters:
        raise Conflict("You are not one of the raters of this task.", fix=f"Its raters are {', '.join(task.raters)}.")
    if task.closed:
        raise Conflict("The task is closed and no longer blind.", fix="Make a new one.")
    answers = new.ratings if new.csv is None else _ratings_of_csv(new.csv)
    allowed = {point.value for point in task.scale.points}
    words = ", ".join(f"{value:g}" for value in sorted(allowed)) + (", or unsure" if task.scale.unsure else "")
    wrong = []
    seen: set[int] = set()
    for place, one in enumerate(answers):
        if not 1 <= one.item <= len(task.items) or one.item in seen:
            expected = f"an item from 1 to {len(task.items)}, each once"
            wrong.append(
                Problem(field=f"ratings.{place}.item", expected=expected, got=str(one.item), fix="Correct it.")
            )
        elif one.value not in allowed and not (one.value is None and task.scale.unsure):
            got = UNSURE if one.value is None else f"{one.value:g}"
            wrong.append(Problem(field=f"ratings.{place}.value", expected=words, got=got, fix="Choose one of these."))
        seen.add(one.item)
    if not answers:
        wrong.append(Problem(field="ratings", expected="at least one answer", fix="Answer an item."))
    if wrong:
        raise InvalidRequest("Some answers cannot be taken; none was.", problems=wrong)
    return [one.model_dump(mode="json") for one in answers]


# --- what it gave -----------------------------------------------------------------------------------------------------


def matrix(task: TaskState) -> Floats:
    """Answers `[raters, items]`, NaN for none and for `unsure`."""
    values = np.full((len(task.raters), len(task.items)), np.nan)
    for row, rater in enumerate(task.raters):
        for number, one in task.ratings.get(rater, {}).items():
            if one.value is not None:
                values[row, number - 1] = one.value
    return values


def results(task: TaskState) -> TaskResults:
    """Agreement, pairs of raters, and the mean answer of every hidden value."""
    values = matrix(task)
    levels = [task.scale.level, *(level for level in LEVELS if level != task.scale.level)]
    agreement = []
    for level in levels:
        found = alpha(values, level)
        interval = f" (95 % interval {found.low:.2f} to {found.high:.2f})" if found.low is not None else ""
        items = "1 item" if found.items == 1 else f"{found.items} items"
        if found.value is None:
            why = "no item has two answers" if not found.items else "all answers are equal"
            sentence = f"Krippendorff's \u03b1 ({level}) is not defined: {why}."
        else:
            sentence = f"Krippendorff's \u03b1 ({level}) is {found.value:.2f}{interval}, over {items}."
        agreement.append(
            AlphaOut(
                level=level,
                value=found.value,
                low=found.low,
                high=found.high,
                items=found.items,
                answers=found.answers,
                sentence=sentence,
            )
        )
    return TaskResults(
        agreement=agreement,
        pairs=[
            RaterPair(a=task.raters[a], b=task.raters[b], items=both, equal=equal)
            for a, b, both, equal in pairs(values)
        ],
        by_hidden=_by_hidden(task, values),
        not_blind=[rater for rater in task.raters if rater == task.person],
        sentence=agreement[0].sentence,
    )


#: Different values of a hidden field beyond which no mean per value is given: it is a score and not a group.
MOST_GROUPS = 30


def _by_hidden(task: TaskState, values: Floats) -> list[HiddenMean]:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    unsure = np.zeros(len(task.items), dtype=np.int64)
    for answers in task.ratings.values():
        for number, one in answers.items():
            unsure[number - 1] += one.value is None
    found = []
    for name in hidden_fields(task):
        groups: dict[str, list[int]] = {}
        for place, item in enumerate(task.items):
            value = item.hidden.get(name)
            groups.setdefault("" if value is None else str(value), []).append(place)
        if len(groups) > MOST_GROUPS:
            continue
        for value, places in sorted(groups.items()):
            at = mean[places]
            middle, low, high = mean_interval(at)
            found.append(
                HiddenMean(
                    field=name,
                    value=value,
                    mean=middle if np.isfinite(middle) else None,
                    low=low,
                    high=high,
                    items=int(np.isfinite(at).sum()),
                    answers=int(count[places].sum()),
                    unsure=int(unsure[places].sum()),
                )
            )
    return found


def as_csv(task: TaskState, person: str | None) -> str:
    """One row per item and rater. While the task is open: the caller's own answers, nothing hidden."""
    hidden = hidden_fields(task) if task.closed else []
    raters = task.raters if task.closed else [name for name in task.raters if name == person]
    rows: list[list[str | float | int | None]] = [["item", "kind", "content", "rater", "value", "note", *hidden]]
    for rater in raters:
        own = task.ratings.get(rater, {})
        for number in task.order(rater):
            item, one = task.items[number - 1], own.get(number)
            value = None if one is None else UNSURE if one.value is None else one.value
            cells = [item.hidden.get(name) for name in hidden]
            rows.append([number, item.kind, item.content, rater, value, one.note if one else "", *cells])
    return write(rows)
