"""From the store to figures: which runs, at which epsilon, then over to `backend.figures`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field
from sqlalchemy.orm import Session

from backend.analysis.intervals import mean_interval
from backend.analysis.labels import Words, is_family, value_text
from backend.analysis.plain import counted
from backend.analysis.table import Flags, RunTable
from backend.api.services import charts, explorer
from backend.contracts.public import Figure
from backend.contracts.results import ALL, Problem
from backend.contracts.spec import INTERSECTION
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest
from backend.figures import clipping as bending
from backend.figures.history import HistoryLine, history
from backend.figures.roc import RocLine, average, roc
from backend.figures.subgroups import Line, Mark, subgroups
from backend.figures.theme import THEMES, Theme, ThemeName
from backend.store import measurements, runs
from backend.store.tables import RunRow

#: What a history shows where nothing is asked for: the first of these that there is.
HISTORY_ORDER = ("threshold", "validation_loss", "train_loss")


class Request(charts.Request):
    """What is to be drawn; see `backend.api.routers.figures` for the fields."""

    job_id: list[str] = Field(default_factory=list)
    run_id: str | None = None
    metric: str | None = None
    attack: str | None = None
    series: str | None = None
    method: str | None = None
    epsilon: float | None = None
    setting: int | None = None
    frontier: bool = False
    color: str | None = None
    size: str | None = None
    facet: str | None = None
    metrics: list[str] = Field(default_factory=list)
    x_log: bool | None = None
    y_log: bool | None = None
    x_min: float | None = None
    x_max: float | None = None
    y_min: float | None = None
    y_max: float | None = None
    ranges: Literal["shared", "free"] = "shared"
    order: Literal["value", "gap"] = "value"
    theme: ThemeName = "light"
    width: int | None = None


@dataclass(frozen=True)
class Selected:
    """Runs of one figure: one block per setting, at one epsilon; and the words for both."""

    table: RunTable
    labels: dict[int, str]
    at: str
    caption: str
    words: Words

    @property
    def one_run(self) -> bool:
        """Whether there is nothing to average."""
        return len(self.table) == 1


#: Figures of several runs only.
OF_JOBS = ("tradeoff", "parallel", "intersections", "audit")


def figure(session: Session, name: str, request: Request, *, whole_table: bool = False) -> Figure:
    """The figure of that name. Raises `InvalidRequest` where neither jobs nor a run are named.

    `whole_table`: with all rows of the table, where the page is given the first ones only.
    """
    if not request.job_id and (request.run_id is None or name in OF_JOBS):
        problem = Problem(field="job_id", expected="the id of at least one study", fix="Add job_id=... to the address.")
        raise InvalidRequest("A figure needs to know of which study.", problems=[problem])
    theme = THEMES[request.theme]
    if name == "tradeoff":
        return explorer.tradeoff_figure(session, request, theme, whole_table=whole_table)
    if name == "parallel":
        return explorer.parallel(session, request, theme, whole_table=whole_table)
    if name == "audit":
        return explorer.audit(session, request, theme)
    if name == "intersections":
        return explorer.intersections(session, request, select_jobs(session, request, most=None), theme)
    select = select_bent if name == "clipping" else select_jobs
    selected = select_run(session, request.run_id) if request.run_id else select(session, request)
    draw = {"subgroups": _subgroups, "roc": _roc, "history": _history, "clipping": _clipping}[name]
    return draw(session, request, selected, theme)


# --- which runs -------------------------------------------------------------------------------------------------------


def select_run(session: Session, key: str) -> Selected:
    """A single run."""
    row: RunRow = runs.get(session, key)
    words = charts.words_of(session)
    table = RunTable.of(
        [(row.id, row.key, row.seed, row.status, row.degenerate, row.setting_id)], [charts.setting_info(row.setting)]
    )
    info = table.infos[row.setting_id]
    epsilon = f", ε = {value_text(info.epsilon)}" if info.epsilon is not None else ""
    label = f"{words.method(info.method)}{epsilon}"
    caption = f"{words.dataset(info.dataset)}; run {row.key}, seed {row.seed}"
    return Selected(table, {row.setting_id: label}, "", caption, words)


#: Settings that a figure of single settings can tell apart.
MOST_SETTINGS = 24


def select_jobs(session: Session, request: Request, *, most: int | None = MOST_SETTINGS) -> Selected:
    """Of each method the settings at one epsilon, and what is not private; the first `most` of them.

    Settings that were asked for by name stay whatever their epsilon.
    """
    words = charts.words_of(session)
    table, choice, by, _ = charts.chosen(charts.run_set(session, request.job_id, request.as_of), request, words)
    methods: dict[float, set[str]] = {}
    for setting, _ in table.blocks():
        info = table.infos[setting]
        if info.epsilon is not None:
            methods.setdefault(info.epsilon, set()).add(info.method)
    named = bool(request.settings)
    epsilon = _epsilon(request.epsilon, methods) if not named or len(methods) == 1 else None
    at = f" at ε = {value_text(epsilon)}" if epsilon is not None else ""
    kept = [s for s, _ in table.blocks() if named or table.infos[s].epsilon in (None, epsilon)]
    whole = len(kept)
    # By turns one setting of each method, so that none is missing where not all can be drawn.
    if most is not None and whole > most:
        turns: dict[str, int] = {}
        rank = {}
        for s in kept:
            rank[s] = turns[table.infos[s].method] = turns.get(table.infos[s].method, -1) + 1
        kept = sorted(sorted(kept, key=lambda s: (rank[s], s))[:most])
    table = table.take(table.only(kept))
    # The epsilon is in the title: the labels need not repeat it.
    labels = {
        setting: label.replace(f", ε = {value_text(epsilon)}", "", 1) if epsilon is not None else label
        for setting, label in charts.labels_of(table, words).items()
    }
    datasets = sorted({words.dataset(table.infos[s].dataset) for s in kept})
    parts = [", ".join(datasets)] if datasets else []
    seeds = {block.stop - block.start for _, block in table.blocks()}
    if seeds:
        low, high = min(seeds), max(seeds)
        parts.append(f"{low} to {high} seeds" if low != high else counted(low, "seed"))
    if len(kept) < whole:
        parts.append(f"{len(kept)} of {whole:,} settings drawn")
    if choice is not None and by is not None:
        parts.append(f"per method and ε the setting with the best validation {by.name}")
    return Selected(table, labels, at, "; ".join(parts) or "No results yet", words)


def select_bent(session: Session, request: Request) -> Selected:
    """The one setting that the figure of clipping draws: of the asked private method, or of the first by name.

    Where several compete, the one that settings are chosen by: the best on the validation split.
    """
    words, whole = charts.words_of(session), charts.run_set(session, request.job_id, request.as_of)
    table = whole.table.take(whole.table.only(request.settings)) if request.settings else whole.table
    infos = [table.infos[setting] for setting, _ in table.blocks()]
    private = [info for info in infos if info.private]
    method = _asked_method(request, [info.method for info in private])
    if method is None:
        return select_jobs(session, request)
    budgets: dict[float, set[str]] = {}
    for info in infos:
        if info.epsilon is not None:
            budgets.setdefault(info.epsilon, set()).add(info.method)
    # Settings that were asked for by name stay whatever their epsilon.
    epsilon = None if request.settings else _epsilon(request.epsilon, budgets)
    own = [info for info in private if info.method == method]
    rivals = [info.id for info in own if epsilon in (None, info.epsilon)]
    if not rivals:
        return select_jobs(session, request)
    mask = whole.table.only(rivals)
    choice, by = charts.best_of(whole, mask, request.choose, words)
    setting = min(rivals if choice is None else choice.settings)
    selected = select_jobs(session, request.model_copy(update={"settings": [setting]}))
    label = charts.labels_of(whole.table.take(mask), words)[setting]
    info, caption = table.infos[setting], selected.caption
    if info.epsilon is not None:
        label = label.replace(f", ε = {value_text(info.epsilon)}", "", 1)
    if choice is not None and by is not None and choice.of[setting] > 1:
        caption += f"; of {choice.of[setting]:,} settings of {words.method(method)} the best in validation {by.name}"
    if len(rivals) > (1 if choice is None else choice.of[setting]):
        caption += f"; one of {len(rivals):,} settings drawn"
    return Selected(selected.table, {setting: label}, selected.at, caption, words)


def _asked_method(request: Request, private: Sequence[str]) -> str | None:
    """The asked one of these private methods, or the first by name; None where there is none.

    Raises `InvalidRequest` for one that is not among them.
    """
    if request.method is not None and private and request.method not in private:
        raise _unknown("method", "private method of these runs", request.method, sorted(set(private)))
    return min(private, default=None) if request.method is None else next(iter({request.method} & {*private}), None)


def _epsilon(wanted: float | None, methods: dict[float, set[str]]) -> float | None:
    """The asked one, or of those that most methods have the one nearest to 1."""
    if wanted is None:
        return min(methods, key=lambda e: (-len(methods[e]), abs(np.log(e)), e), default=None)
    if wanted in methods or not methods:
        return wanted
    listed = ", ".join(value_text(e) for e in sorted(methods))
    problem = Problem(field="epsilon", expected=f"one of: {listed}", got=value_text(wanted), fix="Use one of these.")
    raise InvalidRequest(f"Nothing was measured at ε = {value_text(wanted)}.", problems=[problem])


# --- subgroups --------------------------------------------------------------------------------------------------------


def _subgroups(session: Session, request: Request, selected: Selected, theme: Theme) -> Figure:
    table, words = selected.table, selected.words
    metric = words.metric(request.metric or charts.LOSS)
    rows = measurements.values_by_subgroup(session, table.ids.tolist(), metric.name, request.split)
    if request.metric and not rows and metric.name not in words.metrics:
        raise _unknown("metric", "metric", request.metric, words.metrics)
    family = request.subgroup if request.subgroup and is_family(request.subgroup) else None
    by_subgroup: dict[str, dict[int, tuple[float | None, int | None, float | None, float | None]]] = {}
    for subgroup, run_id, value, n, low, high in rows:
        if (subgroup == ALL or not is_family(subgroup)) and _in_family(subgroup, family):
            by_subgroup.setdefault(subgroup, {})[run_id] = (value, n, low, high)
    lines = []
    for setting, block in _blocks(table):
        ids, keys = table.ids[block].tolist(), list(table.keys[block])
        marks = {
            subgroup: mark
            for subgroup, values in by_subgroup.items()
            if (mark := _mark(subgroup, [values.get(i) for i in ids], keys)) is not None
        }
        info = table.infos[setting]
        lines.append(
            Line(
                info.method,
                selected.labels[setting],
                not info.private,
                _mostly(table.degenerate[block]),
                marks,
                setting,
            )
        )
    over = "95 % intervals over rows" if selected.one_run else "mean with 95 % Student t interval over seeds"
    caption = f"{selected.caption}; {request.split} split; {over}; fewer than 20 rows hollow"
    if metric.name == "loss" or metric.kind == "fairness":
        caption += "; a model that has learnt nothing treats all alike"
    return subgroups(
        lines, metric, words, theme, at=selected.at, caption=caption, width=request.width, order=request.order
    )


def _in_family(subgroup: str, family: str | None) -> bool:
    if family is None or subgroup == ALL:
        return True
    return {part.partition("=")[0] for part in subgroup.split(INTERSECTION)} == set(family.split(INTERSECTION))


def _mark(
    subgroup: str, values: Sequence[tuple[float | None, int | None, float | None, float | None] | None], keys: list[str]
) -> Mark | None:
    known = [(v, key) for v, key in zip(values, keys, strict=True) if v is not None and v[0] is not None]
    if not known:
        return None
    counts = [v[1] for v, _ in known if v[1] is not None]
    n = min(counts) if counts else None
    run_ids = [key for _, key in known]
    by_seed = np.array([np.nan if v is None or v[0] is None else v[0] for v in values], dtype=np.float64)
    if len(known) == 1:
        (value, _, low, high), _ = known[0]
        return Mark(subgroup, float(value or 0.0), low, high, n, 1, run_ids, by_seed)
    mean, low, high = mean_interval(np.array([v[0] for v, _ in known], dtype=np.float64))
    return Mark(subgroup, mean, low, high, n, len(known), run_ids, by_seed)


# --- ROC --------------------------------------------------------------------------------------------------------------


def _roc(session: Session, request: Request, selected: Selected, theme: Theme) -> Figure:
    table = selected.table
    ids = table.ids.tolist()
    there = runs.roc_attacks(session, ids)
    titles = charts.attack_titles(session)
    if request.attack is not None and request.attack not in there and request.attack not in titles:
        raise _unknown("attack", "attack", request.attack, {*there, *titles})
    attack = request.attack or (there[0] if there else "")
    title = titles.get(attack, attack.replace("_", " ").capitalize()) or "Membership inference"
    lines: list[RocLine] = []
    if selected.one_run:
        lines = _roc_of_run(session, request, selected, attack)
        who = "all rows in colour, subgroups thin"
    else:
        who = f"{selected.words.subgroup(request.subgroup or ALL)}, mean true positive rate over seeds"
        found = dict(runs.rocs(session, ids, attack=attack, subgroup=request.subgroup or ALL))
        for setting, block in _blocks(table):
            own = [(i, k) for i, k in zip(table.ids[block].tolist(), table.keys[block], strict=True) if i in found]
            if not own:
                continue
            curves = [found[i] for i, _ in own]
            arrays = [(np.asarray(c.fpr, dtype=np.float64), np.asarray(c.tpr, dtype=np.float64)) for c in curves]
            non_members = min(c.non_members for c in curves)
            fpr, tpr = arrays[0] if len(arrays) == 1 else average(arrays, non_members)
            members = min(c.members for c in curves)
            label, method = selected.labels[setting], table.infos[setting].method
            lines.append(
                RocLine(label, method, fpr, tpr, members, non_members, len(own), [k for _, k in own], setting=setting)
            )
    said = runs.attack_statements(session, ids, attack or None)
    caption = "; ".join([f"{selected.caption}; {who}", *_cautions(said, len(ids))])
    missing = next((why for models, why in said.values() if not models), None)
    return roc(lines, title, theme, at=selected.at, caption=caption, width=request.width, missing=missing)


def _cautions(said: dict[int, tuple[int, str]], of: int) -> list[str]:
    """That an attack could not be made on some of `of` runs, or had fewer shadow models than it asked for."""
    none = sum(not models for models, _ in said.values())
    weak = [models for models, _ in said.values() if models]
    notes = [f"no figures in {none:,} of {counted(of, 'run')}: too little to compare with"] if none else []
    if weak:
        fewest = counted(min(weak), "shadow model")
        notes.append(
            f"in {len(weak):,} of {counted(of, 'run')} shadow models diverged or failed, down to {fewest}: "
            "the attack is weaker there"
        )
    return notes


def _roc_of_run(session: Session, request: Request, selected: Selected, attack: str) -> list[RocLine]:
    """Everybody (or the asked subgroup) in the method's colour, the others quietly behind."""
    setting = int(selected.table.settings[0])
    info, words = selected.table.infos[setting], selected.words
    loud = request.subgroup or ALL
    return [
        RocLine(
            label=selected.labels[setting] if curve.subgroup == ALL else words.subgroup(curve.subgroup),
            method=info.method,
            fpr=np.asarray(curve.fpr, dtype=np.float64),
            tpr=np.asarray(curve.tpr, dtype=np.float64),
            members=curve.members,
            non_members=curve.non_members,
            seeds=1,
            run_ids=list(selected.table.keys),
            quiet=curve.subgroup != loud,
            setting=setting,
        )
        for _, curve in runs.rocs(session, selected.table.ids.tolist(), attack=attack)
    ]


# --- history ----------------------------------------------------------------------------------------------------------


def _history(session: Session, request: Request, selected: Selected, theme: Theme) -> Figure:
    table = selected.table
    ids = table.ids.tolist()
    there = runs.history_names(session, ids)
    if request.series is not None and there and request.series not in there:
        raise _unknown("series", "quantity of these runs", request.series, there)
    ranked = [name for name in HISTORY_ORDER if name in there] + there
    series = request.series or (ranked[0] if ranked else HISTORY_ORDER[-1])
    found = dict(runs.histories(session, ids, series))
    unit = next((entry.unit for entry in found.values()), "")
    lines = []
    for setting, block in _blocks(table):
        own = [(i, k) for i, k in zip(table.ids[block].tolist(), table.keys[block], strict=True) if i in found]
        arrays = [
            (
                np.asarray(found[i].steps, dtype=np.float64),
                np.array([np.nan if v is None else v for v in found[i].values], dtype=np.float64),
            )
            for i, _ in own
        ]
        label, method = selected.labels[setting], table.infos[setting].method
        lines.append(HistoryLine(label, method, arrays, [k for _, k in own], setting))
    caption = selected.caption if selected.one_run else f"{selected.caption}; mean with 95 % Student t interval"
    return history(lines, series, unit, theme, at=selected.at, caption=caption, width=request.width)


# --- clipping ---------------------------------------------------------------------------------------------------------


def _clipping(session: Session, request: Request, selected: Selected, theme: Theme) -> Figure:
    """Of the one private setting that was selected."""
    table, words = selected.table, selected.words
    private = [(setting, block) for setting, block in _blocks(table) if table.infos[setting].private]
    method = _asked_method(request, [table.infos[setting].method for setting, _ in private])
    setting, block = next(((s, b) for s, b in private if table.infos[s].method == method), (None, slice(0, 0)))
    ids, keys = table.ids[block].tolist(), list(table.keys[block])
    found = [series for _, series in runs.histories_of(session, ids, [*bending.SERIES, bending.LIMIT])]
    there = sorted({group for series in found if series.name == bending.COSINE for group in series.groups})
    courses: dict[str, dict[str, list[bending.Course]]] = {
        group: {} for group in _drawn_groups(there, request.subgroup)
    }
    limit: list[bending.Course] = []
    for series in found:
        steps, groups = np.asarray(series.steps, dtype=np.float64), {ALL: series.values, **series.groups}
        for group in [ALL] if series.name == bending.LIMIT else [one for one in courses if one in groups]:
            course = (steps, np.array([np.nan if v is None else v for v in groups[group]], dtype=np.float64))
            (limit if series.name == bending.LIMIT else courses[group].setdefault(series.name, [])).append(course)
    label = selected.labels[setting] if setting is not None else "no private method"
    averaged = "" if selected.one_run else "; mean with 95 % Student t interval over seeds, cut off at what can be"
    caption = (
        f"{selected.caption}{averaged}; a sample of training rows, the same for every method of a seed; subgroups with "
        "too few rows in it are left out; dashed, grey: the longest that a scaled gradient can be; not covered by ε"
    )
    return bending.clipping(
        courses, limit, label, method or "", keys, words, theme, at=selected.at, caption=caption, width=request.width
    )


def _drawn_groups(found: Sequence[str], wanted: str | None) -> list[str]:
    """Among these subgroups those of the wanted attribute or intersection; everybody where asked, or where none is.

    Where nothing is wanted: those of the attribute with the fewest.
    """
    families = [INTERSECTION.join(part.partition("=")[0] for part in group.split(INTERSECTION)) for group in found]
    if wanted is None or not is_family(wanted):
        fewest = sorted(set(families), key=lambda one: (one.count(INTERSECTION), families.count(one), one))
        family = next(iter(fewest), None)
    else:
        family = wanted
    groups = [group for group, its in zip(found, families, strict=True) if its == family]
    return [ALL, *groups] if not groups or wanted == ALL else groups


# --- shared -----------------------------------------------------------------------------------------------------------


def _blocks(table: RunTable) -> list[tuple[int, slice]]:
    """Settings in the order in which they are drawn: what is not private first."""
    return sorted(table.blocks(), key=lambda b: (table.infos[b[0]].private, table.infos[b[0]].method, b[0]))


def _mostly(flags: Flags) -> bool:
    return bool(2 * flags.sum() >= len(flags) and flags.any())


def _unknown(field: str, kind: str, name: str, known: Iterable[str]) -> InvalidRequest:
    problem = unknown_name(field, kind, name, known)
    return InvalidRequest(f"{field}: expected {problem.expected}, got {problem.got}. {problem.fix}", problems=[problem])
