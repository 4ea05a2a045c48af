"""From the store to the explorer's figures: what is on the axes, in colour, size and small multiples."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import alarms
from backend.analysis.curves import Axis, Points, Spread, points_of
from backend.analysis.frontier import RESAMPLES, how_often
from backend.analysis.intervals import grouped, mean_interval
from backend.analysis.labels import EPSILON, Words, identity, value_text
from backend.analysis.table import Flags, Floats
from backend.api.services import alarms as audits
from backend.api.services import charts
from backend.api.services.charts import Loaded, is_parameter
from backend.contracts.public import AxisMenu, Figure, MenuMetric, MenuParameter
from backend.contracts.results import ALL
from backend.contracts.spec import INTERSECTION
from backend.contracts.validation import unknown_name
from backend.errors import InvalidRequest
from backend.figures.audit import Audit, audit_figure
from backend.figures.intersections import Cross, intersections_figure
from backend.figures.parallel import Dimension, parallel_figure
from backend.figures.theme import Theme
from backend.figures.tradeoff import CERTAIN, Channel, Panel, Scale, View, tradeoff
from backend.store import columns, measurements
from backend.store.database import Database

#: Of the newest studies so many, with so many runs in all, are read when the server starts.
WARM_JOBS, WARM_RUNS = 50, 150_000
#: What a setting is, beside its parameters.
KINDS = ("method", "dataset", "model")
#: Most small plots, most colours of a category.
MOST_PANELS, MOST_NAMES = 12, 10
#: Most lines of parallel coordinates.
MOST_LINES = 2000
#: Parameters of parallel coordinates where none are asked for: those that vary.
PARAMETERS = ("training.learning_rate", "method.clip")
#: Metrics of parallel coordinates where none are asked for: those that there are of these.
DIMENSIONS = ("loss", "accuracy", "loss_gap", "worst_group_accuracy", "lira_tpr_at_0_1pct_fpr")


def unknown(field: str, kind: str, name: str, known: Iterable[str]) -> InvalidRequest:
    """The error of a name that is not on offer."""
    problem = unknown_name(field, kind, name, known)
    return InvalidRequest(f"{field}: expected {problem.expected}, got {problem.got}. {problem.fix}", problems=[problem])


def warm_up(database: Database) -> None:
    """Reads what the first view of the newest studies needs, before anybody asks; other views of them profit too."""
    with database.read() as session:
        newest = columns.newest_jobs(session, most_jobs=WARM_JOBS, most_runs=WARM_RUNS)
        if newest:
            # Libraries and routes stay as they are: the collector need not go through them while 100,000 rows are read.
            gc.collect()
            gc.freeze()
            request = charts.Request(job_id=newest)
            loaded = charts.load(session, request)
            charts.drawn_of(loaded, request)
            for axis in (loaded.x, loaded.y):
                # Whole, for views of all settings.
                loaded.runs.column(axis.metric.name, axis.subgroup, request.split)
            if loaded.loss is not None:
                loaded.runs.column(charts.LOSS, ALL, request.split)


# --- trade-off --------------------------------------------------------------------------------------------------------


def tradeoff_figure(session: Session, request: Any, theme: Theme, *, whole_table: bool) -> Figure:
    """The trade-off with colour, size, small multiples and frontier as asked."""
    loaded = charts.load(session, request)
    drawn = charts.drawn_of(loaded, request)
    panels, said = _panels(loaded, request, drawn.points)
    often: list[Floats] = []
    if request.frontier:
        often = [_often(panel, loaded, request.degenerate) for panel in panels]
        said += _certain(panels, often)
    colour = None if request.color in (None, "method") else _channel(loaded, request, "color", request.color)
    size = None if request.size is None else _channel(loaded, request, "size", request.size)
    if size is not None and size.names:
        raise unknown("size", "metric or numeric parameter", request.size, _numeric_names(loaded))
    view = View(
        x=loaded.x,
        y=loaded.y,
        words=loaded.words,
        series=drawn.series,
        labels=drawn.labels,
        panels=panels,
        finding=drawn.finding,
        caption="; ".join([drawn.caption, *said]),
        split=request.split,
        frontier=request.frontier,
        often=often,
        resamples=RESAMPLES,
        colour=colour,
        size=size,
        x_scale=Scale(request.x_log, request.x_min, request.x_max),
        y_scale=Scale(request.y_log, request.y_min, request.y_max),
        free=request.ranges == "free",
    )
    return tradeoff(view, theme, width=request.width, whole_table=whole_table)


def _often(panel: Panel, loaded: Loaded, degenerate: bool) -> Floats:
    """How often each setting of a panel is on its frontier over resamples of the seeds; NaN where there is none."""
    points, x, y = panel.points, loaded.x.metric, loaded.y.metric
    if x.higher_is_better is None or y.higher_is_better is None:
        return np.full(len(points), np.nan)
    table = points.table
    considered = panel.shown & (~points.degenerate | degenerate)
    xs = np.where(considered[table.place], points.x_runs, np.nan)
    return how_often(
        xs, points.y_runs, table.place, table.seeds, len(points),
        x_higher=x.higher_is_better, y_higher=y.higher_is_better,
    )  # fmt: skip


def _certain(panels: Sequence[Panel], often: Sequence[Floats]) -> list[str]:
    on = sum(int((panel.points.on_frontier & panel.shown).sum()) for panel in panels)
    known = any(np.isfinite(share).any() for share in often)
    if not on:
        return []
    count = f"{on:,} {'setting' if on == 1 else 'settings'} on the frontier"
    if not known:
        return [f"{count}; how certain that is needs two seeds"]
    sure = sum(
        int((panel.points.on_frontier & panel.shown & (share >= CERTAIN)).sum())
        for panel, share in zip(panels, often, strict=True)
    )
    return [f"{count}, {sure:,} of them in at least 95 % of {RESAMPLES:,} bootstrap resamples of the seeds (paired)"]


def _panels(loaded: Loaded, request: Any, points: Points) -> tuple[list[Panel], list[str]]:
    whole = np.ones(len(points), dtype=bool)
    facet = request.facet
    if facet is None:
        return [Panel("", points, whole)], []
    if facet in KINDS or is_parameter(facet):
        channel = _categories(loaded, "facet", facet, MOST_PANELS)
        panels = [Panel(name, points, channel.values == i) for i, name in enumerate(channel.names)]
        return _most(panels or [Panel("", points, whole)])
    members = sorted(
        subgroup
        for metric, subgroup, split in loaded.menu
        if metric == request.y and split == request.split and "=" in subgroup and family_of(subgroup) == facet
    )
    if not members:
        known = {family_of(s) for _, s, split in loaded.menu if split == request.split and "=" in s}
        raise unknown("facet", "method, dataset, model, parameter or attribute", facet, {*KINDS, *known})
    panels = []
    for member in members:
        y = Axis(loaded.y.metric, member, loaded.column(request.y, member, request.split))
        own = points_of(loaded.table, loaded.x, y, degenerate=request.degenerate)
        n = own.n[own.n > 0]
        counted = f", n = {int(n.min()):,}" if len(n) else ""
        panels.append(Panel(loaded.words.subgroup(member) + counted, own, whole))
    return _most(panels)


def _most(panels: list[Panel]) -> tuple[list[Panel], list[str]]:
    kept = panels[:MOST_PANELS]
    return kept, [f"{len(kept)} of {len(panels)} small plots drawn"] if len(panels) > len(kept) else []


def family_of(subgroup: str) -> str:
    """The attributes of a subgroup.

    >>> family_of("sex=Female & race=Black")
    'sex & race'
    """
    return INTERSECTION.join(part.partition("=")[0] for part in subgroup.split(INTERSECTION))


def _channel(loaded: Loaded, request: Any, field: str, name: str) -> Channel:
    """What colour or size shows."""
    table, words = loaded.table, loaded.words
    if name in KINDS:
        return _categories(loaded, field, name, MOST_NAMES)
    if is_parameter(name):
        values = charts.parameter_values(table, name)
        if not np.isfinite(values).any():
            return _categories(loaded, field, name, MOST_NAMES)
        return Channel(charts.axis_metric(table, name, words).title, values)
    if name == EPSILON:
        return Channel(words.metric(EPSILON).title, table.epsilons)
    there = {s for metric, s, split in loaded.menu if metric == name and split == request.split}
    if not there:
        raise unknown(field, "metric or parameter", name, {*_numeric_names(loaded), *KINDS})
    subgroup = charts.resolve_subgroup(loaded.y.subgroup, sorted(there), [], lenient=True)
    metric = words.metric(name)
    spread = Spread.of(table, loaded.column(name, subgroup, request.split))
    return Channel(words.phrase(metric, subgroup), spread.mean, log=metric.log)


def _categories(loaded: Loaded, field: str, name: str, most: int) -> Channel:
    """Names of a kind or of a parameter's values; beyond `most`, the rarer ones together."""
    infos, words = loaded.table.ordered_infos, loaded.words
    if name in KINDS:
        titles: dict[str, Callable[[str], str]] = {"method": words.method, "dataset": words.dataset, "model": str}
        found = [titles[name](getattr(info, name)) for info in infos]
        label = name.capitalize()
    else:
        there = sorted({key for info in infos for key in info.params})
        if infos and name not in there:
            raise unknown(field, "parameter", name, there)
        raw = [info.params.get(name) for info in infos]
        label = next((words.param(info, name) for info in infos if name in info.params), name)
        label = label[:1].upper() + label[1:]
        distinct = {identity(value): value for value in raw}
        order = sorted(
            distinct.values(),
            key=lambda v: (not isinstance(v, int | float), v if isinstance(v, int | float) else 0, str(v)),
        )
        place = {identity(value): i for i, value in enumerate(order)}
        names = tuple(f"{label} {value_text(value)}" for value in order)
        codes = np.array([place[identity(value)] for value in raw], dtype=np.float64)
        return (
            Channel(label, codes, names) if len(names) <= most or field == "facet" else _rest(label, codes, names, most)
        )
    names = tuple(sorted(set(found)))
    codes = np.array([names.index(one) for one in found], dtype=np.float64)
    return Channel(label, codes, names) if len(names) <= most or field == "facet" else _rest(label, codes, names, most)


def _rest(label: str, codes: Floats, names: tuple[str, ...], most: int) -> Channel:
    counts = np.bincount(codes.astype(np.int64), minlength=len(names))
    kept = sorted(np.argsort(-counts, kind="stable")[: most - 1].tolist())
    place = {old: new for new, old in enumerate(kept)}
    moved = np.array([place.get(int(c), len(kept)) for c in codes], dtype=np.float64)
    return Channel(label, moved, (*(names[i] for i in kept), f"{len(names) - len(kept)} others"))


def _numeric_names(loaded: Loaded) -> set[str]:
    numbers = {k for i in loaded.table.ordered_infos for k, v in i.params.items() if charts._numeric(v)}
    return {metric for metric, _, _ in loaded.menu} | numbers


# --- menus ------------------------------------------------------------------------------------------------------------


def menu(session: Session, job_ids: Sequence[str], as_of: Any = None) -> AxisMenu:
    """What can stand on an axis: metrics with subgroups and splits, and the parameters in which settings differ."""
    words, runs = charts.words_of(session), charts.run_set(session, job_ids, as_of)
    infos = runs.table.ordered_infos
    metrics: dict[str, tuple[set[str], set[str]]] = {}
    for metric, subgroup, split in runs.series():
        subgroups, splits = metrics.setdefault(metric, (set(), set()))
        subgroups.add(subgroup)
        splits.add(split)
    order = charts._subgroup_order(session, job_ids)

    def rank(name: str) -> tuple[bool, int, int, str]:
        return (name != ALL, "=" in name, order.index(name) if name in order else len(order), name)

    def parameters() -> list[MenuParameter]:
        seen: dict[str, dict[Any, Any]] = {}
        titles: dict[str, str] = {}
        for info in infos:
            for name, value in info.params.items():
                seen.setdefault(name, {}).setdefault(identity(value), value)
                if name not in titles:
                    titles[name] = words.param(info, name)
        return [
            MenuParameter(
                name=name,
                title=titles[name][:1].upper() + titles[name][1:],
                numeric=all(charts._numeric(v) for v in found.values()),
                values=len(found),
            )
            for name, found in sorted(seen.items())
            if len(found) > 1
        ]

    return AxisMenu(
        metrics=[
            MenuMetric(
                name=name,
                title=words.metric(name).title,
                kind=words.metric(name).kind,
                higher_is_better=words.metric(name).higher_is_better,
                subgroups=sorted(subgroups, key=rank),
                splits=sorted(splits),
            )
            for name, (subgroups, splits) in sorted(metrics.items())
        ],
        parameters=runs.keep(("parameters", id(words)), parameters, lambda found: 300 * len(found)),
        methods=sorted({info.method for info in infos}),
        epsilons=sorted({info.epsilon for info in infos if info.epsilon is not None}),
        runs=len(runs.table),
        settings=len(infos),
    )


# --- parallel coordinates ---------------------------------------------------------------------------------------------


def parallel(session: Session, request: Any, theme: Theme, *, whole_table: bool) -> Figure:
    """Every setting as a line across metrics and parameters; means over seeds."""
    measured = {m for m, _, _ in charts.run_set(session, request.job_id, request.as_of).series()}
    first = next((name for name in ("loss", *sorted(measured)) if name in measured), "loss")
    loaded = charts.load(session, request.model_copy(update={"x": EPSILON, "y": first, "subgroup": None}))
    table, words = loaded.table, loaded.words
    names = list(dict.fromkeys(request.metrics)) or [
        EPSILON,
        *(p for p in PARAMETERS if len(np.unique(_finite(charts.parameter_values(table, p)))) > 1),
        *(name for name in DIMENSIONS if name in measured),
    ]  # fmt: skip
    dimensions = [_dimension(loaded, request, name) for name in names]
    _, labels = charts.names_of(loaded, request)
    known = np.all([np.isfinite(d.values) for d in dimensions], axis=0) if dimensions else np.zeros(0, dtype=bool)
    lines = np.flatnonzero(known)
    said = [charts.caption(loaded, request.split, np.bincount(table.place, minlength=len(table.starts)), "")]
    missing = int((~known).sum())
    if missing:
        said.append(f"{missing:,} {'setting' if missing == 1 else 'settings'} without all of these figures left out")
    if len(lines) > MOST_LINES:
        said.append(f"{MOST_LINES:,} of {len(lines):,} settings drawn, evenly taken")
        if not whole_table:
            lines = lines[np.linspace(0, len(lines) - 1, MOST_LINES).round().astype(np.int64)]
    ids = table.setting_ids[lines].tolist()
    methods = [table.ordered_infos[i].method for i in lines.tolist()]
    dimensions = [Dimension(d.title, d.unit, d.values[lines], d.log) for d in dimensions]
    return parallel_figure(
        dimensions, ids, [labels[i] for i in ids], methods, words, theme, caption="; ".join(said), width=request.width
    )


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _dimension(loaded: Loaded, request: Any, name: str) -> Dimension:
    metric = None if is_parameter(name) or name == EPSILON else loaded.words.metric(name)
    channel = _channel(loaded, request, "metrics", name)
    if channel.names:
        raise unknown("metrics", "metric or numeric parameter", name, _numeric_names(loaded))
    positive = bool((_finite(channel.values) > 0).all())
    log = positive and (name == EPSILON or name == "training.learning_rate" or (metric is not None and metric.log))
    return Dimension(channel.title, metric.unit if metric is not None else "", channel.values, log)


# --- intersections ----------------------------------------------------------------------------------------------------


def intersections(session: Session, request: Any, selected: Any, theme: Theme) -> Figure:
    """One metric of every cell of two attributes, averaged over the settings of one method at one epsilon."""
    words: Words = selected.words
    runs = charts.run_set(session, request.job_id, request.as_of)
    metric = words.metric(request.metric or ("accuracy" if any(s[0] == "accuracy" for s in runs.series()) else "loss"))
    there = [s for m, s, split in runs.series() if m == metric.name and split == request.split]
    if request.metric and not there and metric.name not in words.metrics:
        raise unknown("metric", "metric", request.metric, {m for m, _, _ in runs.series()})
    pairs = sorted({family_of(s) for s in there if "=" in s and s.count(INTERSECTION) == 1})
    family = request.subgroup if request.subgroup in pairs else (pairs[0] if pairs else "")
    mask, who = _who(request, selected)
    chosen = selected.table.take(mask)
    settings = chosen.setting_ids.tolist()
    a, _, b = family.partition(INTERSECTION)
    seeds, of_seed = np.unique(chosen.seeds, return_inverse=True)
    rows: dict[str, tuple[list[int], list[float], list[int]]] = {}
    for subgroup, run_id, value, n, _, _ in measurements.values_by_subgroup(
        session, chosen.ids.tolist(), metric.name, request.split
    ):
        if subgroup == ALL or ("=" in subgroup and family_of(subgroup) in (family, a, b)):
            ids, values, counts = rows.setdefault(subgroup, ([], [], []))
            ids.append(run_id)
            values.append(np.nan if value is None else value)
            counts.append(n or 0)
    cells = {}
    for subgroup, (ids, values, counts) in rows.items():
        column = chosen.aligned(
            np.array(ids, dtype=np.int64), np.array(values, dtype=np.float64), np.array(counts, dtype=np.int64)
        )
        # Settings of one seed share split and initial weights: the mean of a seed is one observation.
        by_seed, _, _, _ = grouped(column.values, of_seed.astype(np.int64), len(seeds))
        mean, low, high = mean_interval(by_seed)
        known = column.n[column.n > 0]
        cells[subgroup] = Cross(subgroup, mean, low, high, int(known.min()) if len(known) else None, by_seed)
    caption = f"{selected.caption}; {request.split} split; {who}; mean with 95 % Student t interval over seeds"
    return intersections_figure(
        cells, family, metric, words, theme, who=who + selected.at, settings=settings, caption=caption,
        width=request.width,
    )  # fmt: skip


def _who(request: Any, selected: Any) -> tuple[Flags, str]:
    """Runs of the setting or of the method that is asked for; of a private one, where nothing is."""
    table, words = selected.table, selected.words
    infos = {s: table.infos[s] for s in dict.fromkeys(table.settings.tolist())}
    if request.setting is not None:
        if request.setting not in infos:
            raise unknown("setting", "setting of these studies at this ε", str(request.setting), map(str, infos))
        return table.settings == request.setting, selected.labels[request.setting]
    methods = {info.method for info in infos.values()}
    if request.method is not None and request.method not in methods:
        raise unknown("method", "method of these studies", request.method, methods)
    private = sorted({info.method for info in infos.values() if info.private})
    method = request.method or (private or sorted(methods) or [""])[0]
    chosen = [s for s, info in infos.items() if info.method == method]
    several = f", {len(chosen)} settings" if len(chosen) > 1 else ""
    return np.isin(table.settings, chosen), words.method(method) + several


# --- claimed and audited ----------------------------------------------------------------------------------------------


def audit(session: Session, request: Any, theme: Theme) -> Figure:
    """The claimed epsilon of every audited run beside the lower bound that its audit found."""
    words, runs = charts.words_of(session), charts.run_set(session, request.job_id, request.as_of)
    table = runs.table
    by_job = audits.audits_of(session, list(request.job_id))
    place = {key: i for i, key in enumerate(table.keys)} if by_job else {}
    labels = charts.labels_of(table, words) if by_job else {}
    says = {name: runs.column(f"epsilon_{name}", ALL, split) for name, split in _accountants(runs.series())}
    titles = charts.attack_titles(session)
    found: dict[tuple[str, str], Audit] = {}
    for whole_job in by_job.values():
        # Of a moment: audits that came later neither show nor make the correction stricter.
        one_job = [one for one in whole_job if one.run in place]
        bad = {(one.run, one.audit) for one in alarms.refuted(one_job)}
        for one in one_job:
            i = place[one.run]
            if one.claim is None or one.bound is None:
                continue
            if request.settings and int(table.settings[i]) not in request.settings:
                continue
            before = found.get((one.run, one.audit))
            found[one.run, one.audit] = Audit(
                run=one.run,
                setting=int(table.settings[i]),
                label=labels[int(table.settings[i])],
                method=table.infos[int(table.settings[i])].method,
                audit=titles.get(one.audit, one.audit.replace("_", " ")),
                claim=one.claim,
                bound=one.bound,
                p=one.p,
                refuted=(one.run, one.audit) in bad or (before is not None and before.refuted),
                accountants={name: float(column.values[i]) for name, column in says.items()},
            )
    datasets = sorted({words.dataset(info.dataset) for info in table.ordered_infos})
    return audit_figure(list(found.values()), theme, words, caption=", ".join(datasets), width=request.width)


def _accountants(menu: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [
        (metric.removeprefix("epsilon_"), split)
        for metric, subgroup, split in menu
        if metric in ("epsilon_rdp", "epsilon_prv", "epsilon_pld") and subgroup == ALL
    ]
