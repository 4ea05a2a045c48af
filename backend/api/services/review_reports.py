"""A review as a report: its snapshot, what was said and decided, and the history with its hash chain.

Everything comes from the review itself, so the file says the same whatever is measured or deleted afterwards. What is
blind until a rating task closes stays out of it, whoever asks: the file may be handed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from backend import __version__
from backend.analysis.labels import is_family
from backend.api.context import Context
from backend.api.services import review_figures, reviews
from backend.api.services.reports import audit_blocks
from backend.api.services.review_figures import when
from backend.contracts.results import ALL
from backend.contracts.reviews import Anchor, Comparison, ReviewExport, Snapshot, Task
from backend.contracts.spec import INTERSECTION
from backend.figures.parts import SMALL_N
from backend.reports import words as said
from backend.reports.document import (
    Block,
    Cell,
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
from backend.store._sql import now

#: Metrics that are drawn, those of these that the snapshot has; and how many.
DRAWN = ("loss_gap", "loss", "accuracy")
#: Rows of one table; the CSV file of the review has all numbers.
MOST_ROWS = 2000
ELSEWHERE = "The CSV file of the review has all of them."
STATUS = {"open": "open", "changes_requested": "changes are asked for", "approved": "approved", "rejected": "rejected"}
DECISIONS = {"approve": "approves", "request_changes": "asks for changes", "reject": "rejects"}


def review(context: Context, review_id: str) -> Document:
    """The report. Raises `NotFound` for no such review, `Conflict` where its snapshot can no longer be read."""
    whole = reviews.export(context, None, review_id)
    compared = reviews.comparison(context, review_id, "test", [], [])
    tasks = [reviews.task(context, None, review_id, one.id) for one in whole.review.tasks]
    snapshot = whole.snapshot
    return Document(
        title=whole.review.title,
        kind="Report of a review",
        lead=_lead(whole),
        sections=[
            Section("Decision", _decision(whole)),
            Section("Findings", _findings(compared)),
            Section("Figures", list(_figures(snapshot))),
            Section("Settings compared", _settings(snapshot, compared)),
            Section("Side by side", _rows(snapshot, compared)),
            Section("Discussion", _discussion(whole)),
            Section("Ratings", _ratings(tasks)),
            Section("Data", _data(snapshot)),
            Section("Privacy", _privacy(snapshot)),
            Section("Statistics", [Listing(list(said.STATISTICS))]),
            Section("History", _history(whole)),
            Section("Versions", _versions(snapshot)),
        ],
        moment=now(),
        release=__version__,
    )


def _lead(whole: ReviewExport) -> list[Block]:
    held, snapshot = whole.review, whole.snapshot
    blocks: list[Block] = [Text(held.question)] if held.question else []
    if not held.verification.intact:
        blocks.append(Text(held.verification.sentence, "alarm"))
        blocks += [Text(problem, "alarm") for problem in held.verification.problems]
    blocks += [Text(alarm, "alarm") for alarm in held.alarms]
    facts = [
        ("Status", f"{STATUS[held.status]}. {held.missing}"),
        ("Author", held.author),
        ("Snapshot taken", when(snapshot.moment)),
        ("Studies", "; ".join(f"{job.name} ({job.id})" for job in snapshot.jobs)),
        ("History", held.verification.sentence),
        ("Since then", held.newer.sentence),
    ]
    if snapshot.cut:
        facts.append(("Left out of the snapshot", snapshot.cut))
    return [*blocks, Facts(facts)]


def _decision(whole: ReviewExport) -> list[Block]:
    held = whole.review
    blocks: list[Block] = [
        Facts(
            [
                ("Approvals", f"{held.approvals} of {held.required_approvals} that are required"),
                ("Members", "; ".join(f"{m.name}, {m.role}" for m in held.members)),
            ]
        ),
        Text("This server has no accounts: names are those that people gave themselves.", "note"),
    ]
    rows: list[Sequence[Cell]] = [
        [d.person, d.by(), DECISIONS[d.decision], "yes" if d.counts else "no",
         when(d.created_at), d.reason]
        for d in held.decisions
    ]  # fmt: skip
    if rows:
        heads = columns("Person", "Role", "Decision", "Counts", "When", "Reason", words=6)
        blocks.append(Table("Decisions that stand", heads, rows))
    else:
        blocks.append(Text("Nobody has decided yet."))
    point = whole.snapshot.operating_point
    if point is not None:
        label = next((s.label for s in whole.snapshot.settings if s.setting_id == point.setting_id), "")
        chosen = [
            ("Chosen setting", label),
            ("By", point.person),
            ("When", when(point.created_at)),
            ("Why", point.reason),
        ]
        blocks += [
            Text("The operating point that the review is about:"),
            Facts([*chosen, ("Rule", json.dumps(point.rule, ensure_ascii=False))]),
        ]
    return blocks


def _findings(compared: Comparison) -> list[Block]:
    sentences = compared.findings or ["The tests support no sentence about a difference between these settings."]
    return [Listing(sentences), Text(compared.family), *([Listing(compared.notes)] if compared.notes else [])]


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(snapshot: Snapshot) -> Iterator[Block]:
    drawn = 0
    for light, dark in review_figures.every(snapshot):
        drawn += 1
        yield Drawing(light, dark)
    if not drawn:
        yield Text("The snapshot has no figures to draw.")


# --- sections ---------------------------------------------------------------------------------------------------------


def _settings(snapshot: Snapshot, compared: Comparison) -> list[Block]:
    rows: list[Sequence[Cell]] = [
        [one.label, one.hash, one.epsilon, len(one.runs), one.diverged, sum(run.degenerate for run in one.runs)]
        for one in snapshot.settings
    ]
    heads = columns("Setting", "Hash of its configuration", "ε", "Runs", "Diverged", "Degenerate", words=2)
    blocks: list[Block] = [Table("Settings", heads, rows)]
    for title, differs in (("What differs between them", True), ("The same in all of them", False)):
        listed = [[p.title, *(text or "–" for text in p.texts)] for p in compared.parameters if p.differs == differs]
        heads = columns("Parameter", *(one.label for one in snapshot.settings), words=1 + len(snapshot.settings))
        if listed:
            blocks.append(Table(title, heads, listed, folded=not differs))
    return blocks


def _rows(snapshot: Snapshot, compared: Comparison) -> list[Block]:
    labels = {one.setting_id: one.label for one in snapshot.settings}
    rows: list[Sequence[Cell]] = []
    tests: list[Sequence[Cell]] = []
    for row in compared.rows:
        small = "small" if row.small else ""
        for one, cell in zip(snapshot.settings, row.cells, strict=True):
            if cell is not None:
                best = "best" if one.setting_id in row.best else ""
                numbers: list[Cell] = [cell.mean, cell.low, cell.high, cell.seeds, cell.n]
                rows.append([row.title, row.subgroup_title, small, one.label, best, *numbers])
        for test in row.tests:
            a, b = labels.get(test.a, ""), labels.get(test.b, "")
            numbers = [test.pairs, test.difference, test.low, test.high, test.p, test.corrected]
            tests.append([row.title, row.subgroup_title, f"{a} less {b}", *numbers])
    kept, left_out = first(rows, MOST_ROWS, ELSEWHERE)
    heads = columns("Metric", "Subgroup", "Marked", "Setting", "Best", "Mean", "from", "to", "Seeds", "n", words=5)
    blocks: list[Block] = [Table("Means over seeds on test rows, with 95 % intervals", heads, kept, left_out=left_out)]
    if tests:
        kept, left_out = first(tests, MOST_ROWS, ELSEWHERE)
        heads = columns("Metric", "Subgroup", "Pair", "Seeds", "Difference", "from", "to", "p", "Corrected p", words=3)
        title = f"Paired tests over shared seeds, Holm-corrected over these {compared.tests:,}"
        blocks.append(Table(title, heads, kept, folded=True, left_out=left_out))
    return blocks


def _about(anchor: Anchor, snapshot: Snapshot) -> str:
    labels = {one.setting_id: one.label for one in snapshot.settings}
    parts = [labels.get(one, f"setting {one}") for one in anchor.setting_ids]
    parts += [f"run {one}" for one in anchor.run_ids[:5]]
    for what, value in (("metric", anchor.metric), ("chart", anchor.chart), ("subgroup", anchor.subgroup)):
        if value:
            parts.append(f"{what} {value}")
    return ", ".join(parts) or "the review"


def _discussion(whole: ReviewExport) -> list[Block]:
    blocks: list[Block] = []
    for thread in whole.review.threads:
        state = f"resolved by {thread.resolved_by}" if thread.resolved else "open"
        rows: list[Sequence[Cell]] = [
            [one.person, when(one.created_at) + (", edited" if one.edited_at else ""), one.text]
            for one in thread.comments
        ]
        title = f"About {_about(thread.anchor, whole.snapshot)} ({state})"
        blocks.append(Table(title, columns("Person", "When", "Comment", words=3), rows))
    return blocks or [Text("Nothing was said.")]


def _ratings(tasks: Sequence[Task]) -> list[Block]:
    blocks: list[Block] = []
    for task in tasks:
        state = "closed" if task.closed else "open: answers and what is hidden stay out of this file"
        blocks.append(
            Facts(
                [
                    ("Task", task.title),
                    ("Items", f"{task.items:,}"),
                    ("Raters", ", ".join(task.raters)),
                    ("State", state),
                ]
            )
        )
        if task.results is not None:
            blocks.append(Text(task.results.sentence))
            blocks.append(Listing([one.sentence for one in task.results.agreement]))
            rows: list[Sequence[Cell]] = [
                [one.field, one.value, one.mean, one.low, one.high, one.items, one.answers]
                for one in task.results.by_hidden
            ]
            heads = columns("Field", "Value", "Mean answer", "from", "to", "Items", "Answers", words=2)
            if rows:
                blocks.append(Table("By what was hidden", heads, rows))
    return blocks or [Text("There was no rating task.")]


def _data(snapshot: Snapshot) -> list[Block]:
    hashes = dict.fromkeys((one.configuration["dataset"]["name"], one.data_hash) for one in snapshot.settings)
    facts = [(f"SHA-256 of {name}", digest or "not known") for name, digest in hashes]
    least: dict[str, int] = {}
    for series in snapshot.series:
        if series.split != "test" or is_family(series.subgroup):
            continue
        for cell in series.cells:
            if cell is not None and cell.n:
                least[series.subgroup] = min(cell.n, least.get(series.subgroup, cell.n))
    rows: list[Sequence[Cell]] = [
        [snapshot.subgroup_titles.get(name, name), f"small: fewer than {SMALL_N} rows" if n < SMALL_N else "", n]
        for name, n in sorted(least.items(), key=lambda one: (one[0] != ALL, INTERSECTION in one[0], one[0]))
    ]
    sizes = Table(
        "Test rows of every subgroup, the fewest of any run", columns("Subgroup", "Marked", "n", words=2), rows
    )
    return [Facts(facts), *([sizes] if rows else [])]


def _privacy(snapshot: Snapshot) -> list[Block]:
    blocks: list[Block] = []
    private = [one for one in snapshot.settings if one.epsilon is not None]
    if len(private) < len(snapshot.settings):
        blocks.append(Text(said.NOT_PRIVATE, "note"))
    if not private:
        return blocks
    names = ("delta", "noise_multiplier", "epsilon_rdp", "epsilon_prv", "epsilon_pld")
    rows: list[Sequence[Cell]] = [[s.label, s.epsilon, *(s.claims.get(name) for name in names)] for s in private]
    heads = columns("Setting", "Claimed ε", "δ", "σ", "ε by RDP", "ε by PRV", "ε by PLD")
    audits: list[Sequence[Cell]] = [
        [s.label, one.run_id, one.audit, one.claim, one.bound, one.p_at_claim] for s in private for one in s.audits
    ]
    blocks += [Table("What is claimed", heads, rows), Text(said.ACCOUNTANTS, "note"), Listing(list(said.COVERS))]
    return [*blocks, *audit_blocks(audits, [alarm for s in private for alarm in s.alarms], most=MOST_ROWS)]


def _history(whole: ReviewExport) -> list[Block]:
    held = whole.review
    rows: list[Sequence[Cell]] = [
        [str(one.number), when(one.created_at), one.person, one.type.replace("_", " "),
         "yes" if one.redacted else "", one.hash]
        for one in whole.history
    ]  # fmt: skip
    heads = columns("Entry", "When", "Person", "What", "In part left out", "Hash", words=6)
    kept, left_out = first(rows, MOST_ROWS, "The review's export has all of them.")
    return [
        Text(
            "Every entry's hash takes in the entry before it and the first takes in the snapshot: whoever keeps the "
            "last hash can prove later whether anything before it was altered."
        ),
        Facts([("Verified", held.verification.sentence), ("Hash of the last entry", held.verification.head)]),
        Table("Entries", heads, kept, left_out=left_out),
    ]


def _versions(snapshot: Snapshot) -> list[Block]:
    parts = sorted({(name, digest) for one in snapshot.settings for name, digest in one.versions.items()})
    rows: list[Sequence[Cell]] = [[name, digest] for name, digest in parts]
    runs: list[Sequence[Cell]] = [
        [one.label, str(run.seed), run.id, run.status, run.config_hash] for one in snapshot.settings for run in one.runs
    ]
    kept, left_out = first(runs, MOST_ROWS, ELSEWHERE)
    heads = columns("Setting", "Seed", "Run", "Status", "Hash of its configuration", words=5)
    return [
        Facts([("Equipoise at the snapshot", snapshot.equipoise), ("Review", snapshot.review_id)]),
        Table("Code that took part, by hash", columns("Part", "Hash", words=2), rows, folded=True),
        Table("Runs", heads, kept, folded=True, left_out=left_out),
    ]


CSV_COLUMNS = (
    "setting", "setting_hash", "run_id", "seed", "method", "epsilon", "metric", "subgroup", "split", "value", "n_least",
)  # fmt: skip


def csv_rows(snapshot: Snapshot) -> Iterator[list[Cell]]:
    """Every number of the snapshot, one row per run and series; the first row names the columns.

    `n_least` is the fewest rows of any run of the setting: the snapshot keeps no other.
    """
    yield list(CSV_COLUMNS)
    for series in snapshot.series:
        for one, cell in zip(snapshot.settings, series.cells, strict=True):
            if cell is None:
                continue
            for run, value in zip(one.runs, cell.values, strict=True):
                yield [
                    one.label, one.hash, run.id, run.seed, one.method, one.epsilon, series.metric, series.subgroup,
                    series.split, value, cell.n,
                ]  # fmt: skip
