"""Gathers what a study's report says as of one moment: figures, settings, data, privacy, methods, versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend import __version__
from backend.analysis.intervals import grouped
from backend.analysis.labels import Words, is_family
from backend.analysis.plain import finite
from backend.analysis.table import RunTable
from backend.api.services import alarms, charts, pictures, reproduction, views
from backend.api.services.tables import RunSet, catalogue_of, run_set, words_of
from backend.contracts.catalogue import Catalogue
from backend.contracts.public import Figure, JobDetail
from backend.contracts.results import ALL, ENDED, Problem, Split
from backend.contracts.runs import Setting
from backend.contracts.spec import INTERSECTION
from backend.errors import InvalidRequest, NotFound
from backend.figures import clipping as bending
from backend.figures.parts import SMALL_N
from backend.reports import words as said
from backend.reports.document import (
    Block,
    Cell,
    Code,
    Document,
    Drawing,
    Facts,
    Listing,
    Section,
    Table,
    Text,
    columns,
    first,
)
from backend.store import jobs, workers
from backend.store._sql import now
from backend.store.runs import history_names
from backend.store.tables import RunRow, SettingRow

#: Metrics that a trade-off is drawn of, those that there are of these, and how many.
HEADLINE = ("loss_gap", "worst_group_accuracy", "accuracy", "loss", "accuracy_gap", "auroc")
MOST_TRADEOFFS = 3
#: Rows of the report's longest tables; the CSV file has all.
MOST_ROWS, MOST_SETTINGS, MOST_RUNS = 2000, 300, 500
#: Pixels of the narrow variant of a figure.
NARROW = 340
ACCOUNTANTS = {"rdp": "RDP", "prv": "PRV", "pld": "PLD"}
#: Figures whose finding compares methods.
COMPARING = ("tradeoff", "reductions", "reproduction")
ELSEWHERE = "The CSV file of the measurements has all of them."


class Request(BaseModel):
    """What a report is of: studies, or some settings of them."""

    job_id: list[str]
    setting: list[int] = Field(default_factory=list)
    x: str = "epsilon"
    y: str | None = None
    subgroup: str | None = None
    split: Split = "test"
    as_of: datetime | None = None


@dataclass(frozen=True)
class Gathered:
    """What the sections of one report share."""

    session: Session
    request: Request
    moment: datetime
    jobs: list[JobDetail]
    runs: RunSet
    #: Runs that the report is of, and those of them that are in tables: chosen settings, where there are too many.
    table: RunTable
    words: Words
    labels: dict[int, str]
    catalogue: Catalogue | None
    settings: dict[int, SettingRow]
    chosen_by: str

    def has(self, metric: str) -> bool:
        """Whether a metric was measured on the report's split."""
        return any(name == metric and split == self.request.split for name, _, split in self.runs.series())

    def means(self, metric: str, subgroup: str, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean, ends of the 95 % interval and number of seeds of every setting of the table, `[settings]` each."""
        return grouped(self.column(metric, subgroup, split)[0], self.table.place, len(self.table.starts))

    def column(self, metric: str, subgroup: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        """One series over the table's runs: values and n, `[runs]` each."""
        whole = self.runs.column(metric, subgroup, split)
        mask = np.isin(self.runs.table.ids, self.table.ids)
        return whole.values[mask], whole.n[mask]


def study(session: Session, request: Request) -> Document:
    """The report of some studies, or of a selection of their settings.

    Raises `NotFound` for a study that does not exist, `InvalidRequest` for settings that it does not have.
    """
    got = gather(session, request)
    figures, left_out = _figures(got)
    title = got.jobs[0].name if len(got.jobs) == 1 else f"{len(got.jobs)} studies"
    kind = "Report of a selection" if request.setting else "Report of a study" if len(got.jobs) == 1 else "Report"
    return Document(
        title=title,
        kind=kind,
        lead=_lead(got),
        sections=[
            Section("Findings", _findings(got, figures)),
            Section("Figures", [*figures, *_listed("Figures with nothing to show are left out:", left_out)]),
            Section("Settings compared", _settings(got)),
            Section("What was measured", _measured(got)),
            Section("Data", _data(got)),
            Section("Privacy", _privacy(got)),
            Section("Statistics", [Listing(list(said.STATISTICS))]),
            Section("Methods and citations", _methods(got)),
            Section("Versions and how to repeat it", _versions(got)),
        ],
        moment=got.moment,
        release=__version__,
    )


def gather(session: Session, request: Request) -> Gathered:
    """What all sections need. Raises as `study` does."""
    details = [views.job_detail(session, jobs.get(session, job_id)) for job_id in dict.fromkeys(request.job_id)]
    if not details:
        problem = Problem(field="job_id", expected="the id of a study", fix="Add job_id=... to the address.")
        raise InvalidRequest("A report needs to know of which study.", problems=[problem])
    moment = request.as_of or now()
    request = request.model_copy(update={"as_of": moment})
    runs = run_set(session, request.job_id, moment)
    words = words_of(session)
    table, by = _table(session, request, runs, words)
    ids = table.setting_ids.tolist()
    rows = session.scalars(select(SettingRow).where(SettingRow.id.in_(ids)))
    return Gathered(
        session=session,
        request=request,
        moment=moment,
        jobs=details,
        runs=runs,
        table=table,
        words=words,
        labels=charts.labels_of(table, words),
        catalogue=catalogue_of(session),
        settings={row.id: row for row in rows},
        chosen_by=by,
    )


def _table(session: Session, request: Request, runs: RunSet, words: Words) -> tuple[RunTable, str]:
    """The runs of the report: of the settings that were selected, or chosen where there are many."""
    whole = runs.table
    if request.setting:
        there = set(whole.setting_ids.tolist())
        for place, setting in enumerate(request.setting):
            if setting not in there:
                problem = Problem(
                    field=f"setting.{place}",
                    expected="a setting with a result in these studies",
                    got=str(setting),
                    fix="Take it from `setting_id` of the studies' runs, or name the study that it is in.",
                )
                raise InvalidRequest("A selected setting is not there.", problems=[problem])
        return whole.take(whole.only(request.setting)), f"{len(set(request.setting)):,} selected settings"
    wanted = charts.Request(job_id=request.job_id, as_of=request.as_of)
    choice, metric = charts.choice_of(session, wanted, whole, words)
    if choice is None or metric is None:
        return whole, ""
    table = whole.take(whole.only(choice.settings))
    count, most = len(table.starts), len(whole.starts)
    return table, f"per method and ε the setting with the best validation {metric.name}: {count:,} of {most:,} settings"


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(got: Gathered) -> tuple[list[Drawing], list[str]]:
    """The figures that have something to show, and why the others have not."""
    drawn: list[Drawing] = []
    left_out: list[str] = []
    for make in _wanted(got):
        try:
            light = make("light")
        except NotFound:
            continue
        if light.empty is not None:
            left_out.append(f"{light.title}: {light.empty}")
        else:
            drawn.append(Drawing(light, make("dark"), make("light", NARROW), make("dark", NARROW)))
    return drawn, left_out


class Make(Protocol):
    """Draws a figure in one theme; for a page of that many pixels, where it is given."""

    def __call__(self, theme: Literal["light", "dark"], width: int | None = None) -> Figure:
        """The figure."""


def _wanted(got: Gathered) -> Iterable[Make]:
    request = got.request
    split = request.split

    def picture(name: str, **how: object) -> Make:
        base = {"job_id": request.job_id, "as_of": request.as_of, "split": split, "setting": None}

        def make(theme: Literal["light", "dark"], width: int | None = None) -> Figure:
            look = {"theme": theme, "width": width}
            wanted = pictures.Request.model_validate({**base, **_only(request), **how, **look})
            return pictures.figure(got.session, name, wanted)

        return make

    ranked = [name for name in HEADLINE if got.has(name)]
    first_one = [request.y] if request.y is not None else []
    for name in list(dict.fromkeys([*first_one, *ranked]))[:MOST_TRADEOFFS]:
        own = {"x": request.x, "subgroup": request.subgroup} if name == request.y else {}
        yield picture("tradeoff", y=name, frontier=True, **own)
    yield picture("subgroups")
    if any(INTERSECTION in subgroup for _, subgroup, s in got.runs.series() if s == split):
        yield picture("intersections")
    yield picture("roc")
    if any(name.endswith("_p_at_claim") for name, _, _ in got.runs.series()):
        yield picture("audit")
    yield picture("history")
    if any(name.startswith(f"{bending.COSINE}") for name in history_names(got.session, got.table.ids.tolist())):
        yield picture("clipping")
    if any(job.preset for job in got.jobs) and not request.setting:
        for job in got.jobs:
            if job.preset and job.status in ENDED:
                yield _reproduction(got.session, job.id)


def _only(request: Request) -> dict[str, list[int]]:
    return {"settings": request.setting} if request.setting else {}


def _reproduction(session: Session, job_id: str) -> Make:
    from backend.api.services import comparisons

    def make(theme: Literal["light", "dark"], width: int | None = None) -> Figure:
        return comparisons.reproduction_figure(session, job_id, None, theme, width)

    return make


# --- sections ---------------------------------------------------------------------------------------------------------


def _listed(before: str, items: Sequence[str]) -> list[Block]:
    return [Text(before, "note"), Listing(items)] if items else []


def _lead(got: Gathered) -> list[Block]:
    blocks: list[Block] = [Text(job.spec.description) for job in got.jobs if job.spec.description]
    for job in got.jobs:
        if job.alarm:
            blocks.append(Text(f"{job.name}: {job.alarm}" if len(got.jobs) > 1 else job.alarm, "alarm"))
    table = got.table
    facts = [
        (
            "Studies" if len(got.jobs) > 1 else "Study",
            ", ".join(f"{job.name} ({job.id}, {job.status})" for job in got.jobs),
        ),
        ("Runs with a result", f"{len(table):,}, of {len(table.starts):,} settings"),
        ("As of", f"{got.moment:%Y-%m-%d %H:%M:%S} UTC; what ended later is not in it"),
    ]
    if got.chosen_by:
        facts.append(("Settings", got.chosen_by))
    running = [job for job in got.jobs if job.status not in ENDED]
    if running:
        count = sum(job.runs - job.finished - job.failed for job in running)
        facts.append(("Not finished", f"{count:,} runs have no result yet"))
    failed = sum(job.failed for job in got.jobs)
    if failed:
        facts.append(("Failed", f"{failed:,} runs"))
    tags = sorted({tag for job in got.jobs for tag in job.tags})
    if tags:
        facts.append(("Tags", ", ".join(tags)))
    return [*blocks, Facts(facts)]


def _findings(got: Gathered, figures: Sequence[Drawing]) -> list[Block]:
    blocks = said_of(figures)
    if got.request.setting:
        return blocks
    for job in got.jobs:
        if job.preset and job.status in ENDED:
            try:
                tested = reproduction.reproduction(got.session, job.id)
            except NotFound:
                continue
            blocks.append(Text(f"Claims of the preset {tested.preset}, by this rule: {tested.rule}"))
            blocks.append(Listing([f"{v.statement}: {v.sentence}" for v in tested.verdicts]))
    return blocks


def said_of(figures: Sequence[Drawing]) -> list[Block]:
    """What the figures found and a test supports; where none compares methods, that and why."""
    if not figures:
        return [Text("No results yet.")]
    supported = [one.light for one in figures if one.light.supported]
    found = list(dict.fromkeys(f"{one.title}." for one in supported))
    blocks: list[Block] = [Listing(found)] if found else []
    if not any(one.name in COMPARING for one in supported):
        why = dict.fromkeys(one.light.unsupported for one in figures if one.light.unsupported)
        said = "; ".join(one for one in why if one)
        blocks.append(Text(f"The data support no sentence that compares methods{': ' if said else ''}{said}."))
    return blocks


def _settings(got: Gathered) -> list[Block]:
    table = got.table
    shown = [name for name in HEADLINE if got.has(name)][:4]
    means = {}
    for name in shown:
        subgroup = _subgroup(got, name)
        means[name] = (got.words.phrase(got.words.metric(name), subgroup), got.means(name, subgroup, got.request.split))
    rows: list[Sequence[Cell]] = []
    for place, (setting, block) in enumerate(table.blocks()):
        info = table.infos[setting]
        row: list[Cell] = [got.labels[setting], got.settings[setting].hash[:12], info.epsilon]
        row += [block.stop - block.start, int(table.diverged[block].sum()), int(table.degenerate[block].sum())]
        for _, (mean, low, high, _) in means.values():
            row += [finite(mean[place]), finite(low[place]), finite(high[place])]
        rows.append(row)
    heads = ["Setting", "Configuration", "ε", "Runs", "Diverged", "Degenerate"]
    for title, _ in means.values():
        heads += [title, "from", "to"]
    kept, left_out = first(rows, MOST_SETTINGS, ELSEWHERE)
    blocks: list[Block] = [
        Table("Settings with means over seeds and 95 % intervals", columns(*heads, words=2), kept, left_out=left_out)
    ]
    parameters = sorted({name for info in table.ordered_infos for name in info.params})
    values = [
        (name, [json.dumps(info.params.get(name), ensure_ascii=False) for info in table.ordered_infos])
        for name in parameters
    ]
    same = [(name, found[0]) for name, found in values if len(set(found)) == 1]
    if same and len(table.starts) > 1:
        blocks.append(Table("The same in all of them", columns("Parameter", "Value", words=2), same, folded=True))
    different = [(name, found) for name, found in values if len(set(found)) > 1]
    if different:
        per_setting = [
            [got.labels[setting], *(found[place] if found[place] != "null" else "–" for _, found in different)]
            for place, setting in enumerate(table.setting_ids.tolist())
        ]
        kept, left_out = first(per_setting, MOST_SETTINGS, ELSEWHERE)
        heads = ["Setting", *(name for name, _ in different)]
        blocks.append(
            Table("What differs between them", columns(*heads, words=len(heads)), kept, folded=True, left_out=left_out)
        )
    return blocks


def _subgroup(got: Gathered, metric: str) -> str:
    """The subgroup that a metric is shown of where none is named: everybody, or the first family."""
    there = [s for name, s, split in got.runs.series() if name == metric and split == got.request.split]
    order = charts._subgroup_order(got.session, got.request.job_id)
    return charts.resolve_subgroup(None, there, order)


def _measured(got: Gathered) -> list[Block]:
    table, split = got.table, got.request.split
    order = {name: place for place, name in enumerate(HEADLINE)}
    series = sorted(
        ((name, subgroup) for name, subgroup, s in got.runs.series() if s == split),
        key=lambda one: (order.get(one[0], len(order)), one[0], one[1] != ALL, INTERSECTION in one[1], one[1]),
    )
    rows: list[Sequence[Cell]] = []
    total = 0
    for name, subgroup in series:
        # Beyond what is shown rows are only counted.
        if len(rows) >= MOST_ROWS:
            total += len(table.starts)
            continue
        values, sizes = got.column(name, subgroup, split)
        mean, low, high, seeds = grouped(values, table.place, len(table.starts))
        metric = got.words.metric(name)
        for place, (setting, block) in enumerate(table.blocks()):
            if not seeds[place]:
                continue
            n = sizes[block][sizes[block] > 0]
            rows.append(
                [
                    metric.title, got.words.subgroup(subgroup), got.labels[setting], finite(mean[place]),
                    finite(low[place]), finite(high[place]), int(seeds[place]), int(n.min()) if len(n) else None,
                ]
            )  # fmt: skip
    kept, left_out = first(rows, MOST_ROWS, ELSEWHERE)
    if total and not left_out:
        left_out = f"The first {len(kept):,} rows. {ELSEWHERE}"
    heads = columns("Metric", "Subgroup", "Setting", "Mean", "from", "to", "Seeds", "n", words=3)
    blocks: list[Block] = [
        Table(
            f"Means over seeds on the {split} split, with 95 % intervals", heads, kept, folded=True, left_out=left_out
        )
    ]
    explained = []
    for name in dict.fromkeys(name for name, _ in series):
        metric = got.words.metric(name)
        better = {True: "higher is better", False: "lower is better", None: "neither"}[metric.higher_is_better]
        explained.append([metric.title, metric.explanation, metric.unit or "–", better])
    blocks.append(
        Table(
            "What each metric means", columns("Metric", "Meaning", "Unit", "Direction", words=4), explained, folded=True
        )
    )
    return blocks


def sizes_of(got: Gathered, metrics: Sequence[str] = HEADLINE) -> list[tuple[str, dict[str, int]]]:
    """The fewest rows that each subgroup had in any run, by split: (subgroup, {split: n}), everybody first."""
    found: dict[str, dict[str, int]] = {}
    wanted = [name for name in metrics if got.words.metric(name).kind != "fairness"]
    for name, subgroup, split in got.runs.series():
        if name not in wanted or is_family(subgroup):
            continue
        n = got.column(name, subgroup, split)[1]
        n = n[n > 0]
        if len(n):
            at = found.setdefault(subgroup, {})
            at[split] = min(int(n.min()), at.get(split, int(n.min())))
    return sorted(found.items(), key=lambda one: (one[0] != ALL, INTERSECTION in one[0], one[0]))


def sizes_table(got: Gathered) -> Table | None:
    """n of every subgroup, small ones marked."""
    found = sizes_of(got)
    if not found:
        return None
    rows: list[Sequence[Cell]] = []
    measured = [split for split in ("train", "validation", "test") if any(split in one for _, one in found)]
    for subgroup, splits in found:
        small = [split for split, n in splits.items() if n < SMALL_N]
        mark = f"small: fewer than {SMALL_N} rows" if small else ""
        rows.append([got.words.subgroup(subgroup), mark, *(splits.get(split) for split in measured)])
    titles = {"train": "Training rows", "validation": "Validation rows", "test": "Test rows"}
    heads = columns("Subgroup", "Marked", *(titles[split] for split in measured), words=2)
    return Table("Rows of every subgroup, the fewest of any run", heads, rows)


def _data(got: Gathered) -> list[Block]:
    blocks: list[Block] = []
    configurations = [Setting.model_validate(row.config) for row in got.settings.values()]
    seen: dict[tuple[str, str | None], Setting] = {}
    for one in configurations:
        seen.setdefault((one.dataset.name, one.data_hash), one)
    for (name, digest), one in seen.items():
        plugin = got.catalogue.find("dataset", name) if got.catalogue else None
        facts = plugin.dataset if plugin else None
        pairs = [
            ("Data set", plugin.title if plugin else name),
            ("SHA-256 of its source", digest or "not known"),
            ("Parameters", parameters(one.dataset.params)),
        ]
        if facts is not None:
            if facts.data_hash != digest:
                pairs.append(
                    ("Since then", "the source that is here now has another hash; the facts below are its own")
                )
            rows = facts.train_rows_for(one.dataset.params)
            pairs += [
                ("About", plugin.summary if plugin else ""),
                ("Target", facts.target or "not known"),
                ("Rows of the whole source", f"{facts.rows:,}" if facts.rows else "not known"),
                ("Training rows of a run", f"{rows:,}" if rows else "not known"),
                ("Sensitive attributes", "; ".join(f"{a.title}: {', '.join(a.values)}" for a in facts.attributes)),
                ("Licence", facts.licence or "not known"),
                ("Source", facts.source or "not known"),
            ]
            if plugin is not None and plugin.citation:
                pairs.append(("Citation", plugin.citation))
        blocks.append(Facts(pairs))
    sizes = sizes_table(got)
    return [*blocks, sizes] if sizes is not None else blocks or [Text("No results yet.")]


def parameters(params: Mapping[str, object]) -> str:
    """Parameters as they would be written in a specification, in one line."""
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in params.items()) or "none"


def _privacy(got: Gathered) -> list[Block]:
    return privacy_blocks(got)


def privacy_blocks(got: Gathered) -> list[Block]:
    """Claims by three accountants, δ, what it covers, audited bounds and alarms."""
    table = got.table
    private = [(place, s) for place, (s, _) in enumerate(table.blocks()) if table.infos[s].private]
    blocks: list[Block] = []
    if len(private) < len(table.starts) or not private:
        blocks.append(Text(said.NOT_PRIVATE, "note"))
    if not private:
        return blocks
    names = ["delta", "noise_multiplier", *(f"epsilon_{a}" for a in ACCOUNTANTS)]
    means = {name: got.means(name, ALL, "test")[0] for name in names}
    rows: list[Sequence[Cell]] = []
    for place, setting in private:
        asked = got.settings[setting].config["method"]["params"].get("accountant") or "rdp"
        rows.append(
            [
                got.labels[setting], ACCOUNTANTS.get(asked, asked), table.infos[setting].epsilon,
                *(finite(means[name][place]) for name in ("delta", "noise_multiplier")),
                *(finite(means[f"epsilon_{a}"][place]) for a in ACCOUNTANTS),
            ]
        )  # fmt: skip
    heads = columns(
        "Setting", "Accountant", "Claimed ε", "δ", "σ", *(f"ε by {title}" for title in ACCOUNTANTS.values()), words=2
    )
    kept, left_out = first(rows, MOST_SETTINGS, ELSEWHERE)
    blocks += [
        Table("What is claimed", heads, kept, left_out=left_out),
        Text(said.ACCOUNTANTS, "note"),
        Listing(list(said.COVERS)),
    ]
    return [*blocks, *_audits(got)]


def _audits(got: Gathered) -> list[Block]:
    mine = {str(key): got.labels[s] for s, b in got.table.blocks() for key in got.table.keys[b]}
    found: list[Sequence[Cell]] = []
    warnings: list[str] = []
    titles = charts.attack_titles(got.session)
    for job_id, audits in alarms.audits_of(got.session, got.request.job_id).items():
        mine_here = [one for one in audits if one.run in mine]
        for one in mine_here:
            found.append([mine[one.run], one.run, titles.get(one.audit, one.audit), one.claim, one.bound, one.p])
        raised = alarms.of_runs(got.session, job_id, sorted({one.run for one in mine_here}))
        warnings += [f"{mine[run]}, run {run}: {text}" for run, text in raised.items() if text]
    found = sorted(dict.fromkeys(tuple(row) for row in found), key=lambda row: (str(row[0]), str(row[1]), str(row[2])))
    return audit_blocks(found, list(dict.fromkeys(warnings)), most=MOST_RUNS)


def audit_blocks(audits: Sequence[Sequence[Cell]], alarms: Sequence[str], *, most: int) -> list[Block]:
    """Rows (setting, run, audit, claim, bound, p) as a table under the alarms that they raise."""
    raised: list[Block] = [Text(text, "alarm") for text in alarms]
    if not audits:
        return [*raised, Text("No run was audited: that ε holds rests on the analysis and the code alone.", "note")]
    heads = columns("Setting", "Run", "Audit", "Claimed ε", "ε is at least", "p of the claim", words=3)
    kept, left_out = first(audits, most, ELSEWHERE)
    table = Table("Audits: lower bounds beside the claims", heads, kept, left_out=left_out)
    return [*raised, table, Text(said.AUDITS, "note")]


def _methods(got: Gathered) -> list[Block]:
    rows: list[Sequence[Cell]] = []
    for kind, name, version in parts_of(got):
        plugin = got.catalogue.find(kind, name) if got.catalogue else None  # type: ignore[arg-type]
        rows.append(
            [
                plugin.title if plugin else name,
                kind,
                plugin.summary if plugin else "no longer in the catalogue",
                (plugin.citation if plugin else None) or "–",
                version[:12],
            ]
        )
    heads = columns("Name", "Kind", "What it does", "Citation", "Code", words=5)
    presets = [job.preset for job in got.jobs if job.preset]
    blocks: list[Block] = [Table("Everything that took part, with the hash of its code", heads, rows)]
    if presets:
        from backend.presets import load_presets

        known = {preset.name: preset for preset in load_presets()}
        for name in dict.fromkeys(presets):
            preset = known.get(name or "")
            if preset is not None:
                pairs = [("Preset", preset.title), ("Question", preset.question), ("Citation", preset.citation)]
                blocks.append(Facts([*pairs, ("Notes", preset.notes)] if preset.notes else pairs))
    return blocks


def parts_of(got: Gathered) -> list[tuple[str, str, str]]:
    """(kind, name, version) of every plugin that the settings use, each once."""
    found: dict[tuple[str, str, str], None] = {}
    for row in got.settings.values():
        for kind, part in Setting.model_validate(row.config).parts():
            found[kind, part.name, part.version] = None
    order = ["dataset", "model", "method", "attack"]
    return sorted(found, key=lambda one: (order.index(one[0]), one[1], one[2]))


def versions_blocks(got: Gathered) -> list[Block]:
    """Hashes of engine and metrics, and the packages that were installed."""
    engines = sorted({str(row.config.get("engine_version", "")) for row in got.settings.values()})
    metrics = sorted({str(row.config.get("metrics_version", "")) for row in got.settings.values()})
    pairs = [
        ("Equipoise", __version__),
        ("Engine, by hash of its code", ", ".join(engines) or "none yet"),
        ("Metrics, by hash of their code", ", ".join(metrics) or "none yet"),
    ]
    blocks: list[Block] = []
    for engine in engines:
        known = workers.catalogue_of_engine(got.session, engine)
        if known is None or not known.packages:
            continue
        pairs.append(("Python", known.python))
        rows = [[name, version] for name, version in sorted(known.packages.items())]
        blocks.append(Table("Packages that were installed", columns("Package", "Version", words=2), rows, folded=True))
    return [Facts(pairs), *blocks]


def _versions(got: Gathered) -> list[Block]:
    blocks = versions_blocks(got)
    for job in got.jobs:
        command = f"equipoise bundle {job.id} > bundle-{job.id}.json\nequipoise submit bundle-{job.id}.json --wait\n"
        text = json.dumps(job.spec.model_dump(mode="json"), indent=2, ensure_ascii=False)
        named = f" of {job.name}" if len(got.jobs) > 1 else ""
        blocks += [Code(f"Train it again{named}", command), Code(f"Specification{named}", text)]
    labels = got.labels
    ids = got.table.ids.tolist()[:MOST_RUNS]
    query = select(RunRow.id, RunRow.config_hash).where(RunRow.id.in_(ids))
    hashes = {row[0]: row[1] for row in got.session.execute(query)}
    rows: list[Sequence[Cell]] = [
        [labels[int(s)], int(seed), str(key), hashes.get(i, "")]
        for s, seed, key, i in zip(got.table.settings, got.table.seeds, got.table.keys, ids, strict=False)
    ]
    heads = columns("Setting", "Seed", "Run", "Hash of its configuration", words=1)
    heads = [column.model_copy(update={"numeric": column.title == "Seed"}) for column in heads]
    left_out = f"The first {len(rows):,} of {len(got.table):,} runs. {ELSEWHERE}" if len(got.table) > len(rows) else ""
    return [*blocks, Table("Runs", heads, rows, folded=True, left_out=left_out)]
