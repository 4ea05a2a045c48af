"""A model card of one setting, under the headings of Mitchell et al. (2019), "Model Cards for Model Reporting".

What the database knows is filled in. What only people know (who is responsible, what the model is for, whom it may
harm) is left as a marked blank: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend import __version__
from backend.analysis.intervals import grouped
from backend.analysis.labels import is_family
from backend.analysis.plain import finite
from backend.api.services import reports
from backend.api.services.reports import Gathered, Request
from backend.contracts.results import ALL
from backend.contracts.runs import Setting
from backend.contracts.spec import INTERSECTION
from backend.errors import NotFound
from backend.figures.parts import SMALL_N
from backend.reports import words as said
from backend.reports.document import Blank, Block, Cell, Document, Facts, Listing, Section, Table, Text, columns, first
from backend.store.tables import JobRow, JobRunRow, RunRow, SettingRow

CITATION = (
    "Headings after Mitchell, Wu, Zaldivar, Barnes, Vasserman, Hutchinson, Spitzer, Raji and Gebru 2019, Model Cards "
    "for Model Reporting, FAT*, doi:10.1145/3287560.3287596"
)
#: Studies of a setting that are looked at, newest first.
MOST_JOBS = 20
#: Rows of one table; the CSV file of the measurements has all.
MOST_ROWS = 400


def card(session: Session, setting_id: int, job_ids: Sequence[str] = ()) -> Document:
    """The card. `job_ids`: the studies that it is of, all that have the setting where none are named.

    Raises `NotFound` for a setting that does not exist or has no run in them.
    """
    row = session.get(SettingRow, setting_id)
    if row is None:
        raise NotFound(f"There is no setting {setting_id}.", fix="Take it from `setting_id` of a study's runs.")
    if not job_ids:
        with_runs = (
            select(JobRunRow.job_id).join(RunRow, RunRow.id == JobRunRow.run_id).where(RunRow.setting_id == setting_id)
        )
        query = select(JobRow.id).where(JobRow.id.in_(with_runs)).order_by(JobRow.created_at.desc()).limit(MOST_JOBS)
        job_ids = list(session.scalars(query))
    if not job_ids:
        raise NotFound(f"No study has runs of the setting {setting_id}.", fix="It may have been deleted.")
    got = reports.gather(session, Request(job_id=list(job_ids), setting=[setting_id]))
    setting = Setting.model_validate(row.config)
    privacy = reports.privacy_blocks(got)
    label = got.words.method(setting.method.name)
    epsilon = setting.epsilon()
    title = f"{label} on {got.words.dataset(setting.dataset.name)}" + (f", ε = {epsilon:g}" if epsilon else "")
    return Document(
        title=title,
        kind="Model card",
        lead=[
            Text(
                "Every number here was measured on this setting's runs. What is not known is a blank to be filled in; "
                "nothing was guessed.",
                "note",
            ),
            *(block for block in privacy if isinstance(block, Text) and block.kind == "alarm"),
        ],
        sections=[
            Section("Model details", _details(got, row, setting)),
            Section("Intended use", _use(got)),
            Section("Factors", _factors(got, setting)),
            Section("Metrics", _metrics(got)),
            Section("Evaluation data", _evaluation_data(got, setting)),
            Section("Training data", _training_data(got, setting)),
            Section("Quantitative analyses", _lead_of_analyses(got)),
            Section("Unitary results", _results(got, crossed=False), 3),
            Section("Intersectional results", _results(got, crossed=True), 3),
            Section("Privacy", privacy, 3),
            Section("Ethical considerations", _ethics(got, setting)),
            Section("Caveats and recommendations", _caveats(got)),
        ],
        moment=got.moment,
        release=__version__,
    )


def _details(got: Gathered, row: SettingRow, setting: Setting) -> list[Block]:
    catalogue = got.catalogue
    pairs: list[tuple[str, str]] = []
    for kind, part in (("method", setting.method), ("model", setting.model)):
        plugin = catalogue.find(kind, part.name) if catalogue else None  # type: ignore[arg-type]
        title = {"method": "Training algorithm", "model": "Architecture"}[kind]
        pairs.append((title, plugin.title if plugin else part.name))
        if plugin is not None:
            pairs.append((f"About the {kind}", plugin.summary))
            if plugin.citation:
                pairs.append((f"Citation of the {kind}", plugin.citation))
        pairs.append((f"Parameters of the {kind}", reports.parameters(part.params)))
    ends = _ended(got)
    pairs += [
        ("Training parameters", reports.parameters(setting.training)),
        ("Version", f"configuration {row.hash}"),
        ("Trainings", f"{len(got.table):,}, with the seeds {', '.join(str(s) for s in got.table.seeds.tolist()[:50])}"),
        ("Trained", " to ".join(dict.fromkeys(f"{end:%Y-%m-%d}" for end in ends)) if ends else "not known"),
        ("From the study", "; ".join(f"{job.name} ({job.id})" for job in got.jobs)),
        ("Structure of this card", CITATION),
    ]
    return [
        Facts(pairs),
        *(block for block in reports.versions_blocks(got) if isinstance(block, Facts)),
        Blank("Person or organisation that developed the model and answers for it."),
        Blank("Licence of the model, and how it is to be cited."),
        Blank("Where questions and comments go."),
        Blank("Which of the trainings is released. A card is of a setting; each of its seeds is a model of its own."),
    ]


def _ended(got: Gathered) -> list[datetime]:
    """First and last moment at which a run of the table ended."""
    query = select(RunRow.finished_at).where(RunRow.id.in_(got.table.ids.tolist()), RunRow.finished_at.is_not(None))
    found = sorted(one for one in got.session.scalars(query) if one is not None)
    return [found[0], found[-1]] if found else []


def _use(got: Gathered) -> list[Block]:
    blocks: list[Block] = [
        Text(f"What the study says of itself: {job.spec.description}") for job in got.jobs if job.spec.description
    ]
    return [
        *blocks,
        Blank("Primary intended uses."),
        Blank("Primary intended users."),
        Blank("Out-of-scope uses."),
    ]


def _factors(got: Gathered, setting: Setting) -> list[Block]:
    plugin = got.catalogue.find("dataset", setting.dataset.name) if got.catalogue else None
    attributes = plugin.dataset.attributes if plugin is not None and plugin.dataset is not None else []
    there = [f"{one.title}: {', '.join(one.values)}" for one in attributes]
    evaluated = [" and ".join(got.words.attribute(name) for name in family) for family in setting.subgroups]
    not_evaluated = [one.title for one in attributes if [one.name] not in setting.subgroups]
    blocks: list[Block] = [
        Facts(
            [
                ("Sensitive attributes in the data", "; ".join(there) or "not known"),
                ("Evaluated by", "; ".join(evaluated) or "none"),
                *([("Not evaluated by", "; ".join(not_evaluated))] if not_evaluated else []),
            ]
        )
    ]
    sizes = reports.sizes_table(got)
    return [
        *blocks,
        *([sizes] if sizes is not None else []),
        Blank(
            "Other groups, instruments or environments that matter for the intended use and that the data do not name."
        ),
    ]


def _metrics(got: Gathered) -> list[Block]:
    names = dict.fromkeys(name for name, _, split in got.runs.series() if split == "test")
    rows: list[Sequence[Cell]] = []
    for name in names:
        metric = got.words.metric(name)
        better = {True: "higher", False: "lower", None: "neither"}[metric.higher_is_better]
        rows.append([metric.title, metric.explanation or "–", metric.unit or "–", better])
    return [
        Table("What was measured", columns("Metric", "Meaning", "Unit", "Better", words=4), rows),
        Listing(list(said.STATISTICS)),
        Blank("Why these metrics are the right ones for the intended use, and which errors weigh more."),
        Blank("The decision threshold that is used with the model, and who chose it."),
    ]


def _data_facts(got: Gathered, setting: Setting) -> list[tuple[str, str]]:
    plugin = got.catalogue.find("dataset", setting.dataset.name) if got.catalogue else None
    facts = plugin.dataset if plugin is not None else None
    pairs = [
        ("Data set", plugin.title if plugin is not None else setting.dataset.name),
        ("SHA-256 of its source", setting.data_hash or "not known"),
        ("Parameters", reports.parameters(setting.dataset.params)),
    ]
    if plugin is not None and facts is not None:
        pairs += [
            ("About", plugin.summary),
            ("Target", facts.target or "not known"),
            ("Licence", facts.licence or "not known"),
            ("Source", facts.source or "not known"),
            *([("Citation", plugin.citation)] if plugin.citation else []),
        ]
    return pairs


def _sizes(got: Gathered, split: str) -> str:
    found = dict(reports.sizes_of(got)).get(ALL, {}).get(split)
    return f"{found:,}, the fewest of any run" if found else "not known"


def _evaluation_data(got: Gathered, setting: Setting) -> list[Block]:
    return [
        Facts([*_data_facts(got, setting), ("Test rows", _sizes(got, "test"))]),
        Text("Test rows are a part of the same source, drawn anew for every seed; the model did not see them."),
        Blank("Why this data set, and how near it is to the people whom the model will meet."),
    ]


def _training_data(got: Gathered, setting: Setting) -> list[Block]:
    plugin = got.catalogue.find("dataset", setting.dataset.name) if got.catalogue else None
    rows = plugin.dataset.train_rows_for(setting.dataset.params) if plugin is not None and plugin.dataset else None
    measured = _sizes(got, "train")
    counted = measured if measured != "not known" or not rows else f"{rows:,} by the catalogue"
    return [
        Facts([("Data set", "as for the evaluation"), ("Training rows of a run", counted)]),
        Blank("How the data were collected, with whose consent, and what they leave out."),
    ]


def _lead_of_analyses(got: Gathered) -> list[Block]:
    diverged, ill = int(got.table.diverged.sum()), int(got.table.degenerate.sum())
    counted = len(got.table)
    seeds = f"{counted:,} training{'' if counted == 1 else 's'}"
    text = f"Means over {seeds} on test rows, with 95 % Student t intervals over seeds"
    text += f"; {diverged:,} diverged and are left out" if diverged else ""
    text += f"; {ill:,} predict one class for nearly everybody" if ill else ""
    return [Text(f"{text}.")]


def _results(got: Gathered, *, crossed: bool) -> list[Block]:
    """One row per metric and subgroup: of single attributes and everybody, or of intersections."""
    order = {name: place for place, name in enumerate(reports.HEADLINE)}
    kinds = {"utility": 0, "fairness": 1, "robustness": 2, "attack": 3, "privacy": 4, "cost": 5}
    series = sorted(
        (
            (name, subgroup)
            for name, subgroup, split in got.runs.series()
            if split == "test" and (INTERSECTION in subgroup) == crossed and got.words.metric(name).kind != "privacy"
        ),
        key=lambda s: (kinds[got.words.metric(s[0]).kind], order.get(s[0], 99), s[0], s[1] != ALL, s[1]),
    )
    rows: list[Sequence[Cell]] = []
    for name, subgroup in series:
        values, sizes = got.column(name, subgroup, "test")
        mean, low, high, seeds = grouped(values, np.zeros(len(values), dtype=np.int64), 1)
        if not int(seeds[0]):
            continue
        n = sizes[sizes > 0]
        least = int(n.min()) if len(n) else None
        small = "small" if least is not None and least < SMALL_N and not is_family(subgroup) else ""
        metric = got.words.metric(name)
        cells = [finite(mean[0]), finite(low[0]), finite(high[0]), int(seeds[0]), least]
        rows.append([metric.title, got.words.subgroup(subgroup), small, metric.unit or "–", *cells])
    if not rows:
        if crossed:
            return [Text("The study asked for no intersections, so none were measured.")]
        return [Text("No results yet.")]
    kept, left_out = first(rows, MOST_ROWS, reports.ELSEWHERE)
    heads = columns("Metric", "Subgroup", "Marked", "Unit", "Mean", "from", "to", "Seeds", "n", words=4)
    return [Table("Intersections" if crossed else "Everybody and single attributes", heads, kept, left_out=left_out)]


def _ethics(got: Gathered, setting: Setting) -> list[Block]:
    plugin = got.catalogue.find("dataset", setting.dataset.name) if got.catalogue else None
    attributes = plugin.dataset.attributes if plugin is not None and plugin.dataset is not None else []
    known: list[str] = []
    if attributes:
        named = ", ".join(got.words.attribute(one.name) for one in attributes)
        known.append(f"The data name sensitive attributes of people: {named}.")
    if setting.epsilon() is None:
        known.append(said.NOT_PRIVATE)
    else:
        known.append("The training is differentially private for single rows; see Privacy for what that covers.")
    attacks = [part.name for part in setting.attacks]
    if attacks:
        titles = {p.name: p.title for p in got.catalogue.plugins if p.kind == "attack"} if got.catalogue else {}
        known.append(f"It was attacked with: {', '.join(titles.get(name, name) for name in attacks)}.")
    else:
        known.append("No attack was made on it.")
    return [
        Listing(known),
        Blank("Whether the model decides about matters central to human life, such as health, credit or freedom."),
        Blank("Risks and harms: whom errors hurt, how likely and how badly, and what was done about it."),
        Blank("Uses that are known and especially fraught."),
    ]


def _caveats(got: Gathered) -> list[Block]:
    known: list[str] = []
    small = [got.words.subgroup(s) for s, splits in reports.sizes_of(got) if splits.get("test", SMALL_N) < SMALL_N]
    if small:
        known.append(f"Fewer than {SMALL_N} test rows, so that their figures say little: {', '.join(small)}.")
    seeds = len(set(got.table.seeds.tolist()))
    if seeds < 6:
        known.append(f"With {seeds} seed{'' if seeds == 1 else 's'} no paired test can reach p < 0.05.")
    if got.table.degenerate.any():
        known.append(
            "Some trainings predict one class for nearly everybody: small gaps between groups mean nothing there."
        )
    if got.table.diverged.any():
        known.append("Some trainings diverged. Whether one diverges depends on the data and is not accounted for.")
    known.append("Subgroups are what the data call them; how people were assigned to them is not known here.")
    known.append("If the setting was chosen by looking at results, the choice is not covered by ε.")
    return [Listing(known), Blank("Further tests that are needed before use, and groups that are missing.")]
