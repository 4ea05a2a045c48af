"""From the store to verdicts: a preset's claims against the runs of a job."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from backend.analysis import claims as judging
from backend.analysis import protocols
from backend.analysis.labels import Words, is_family
from backend.analysis.plain import finite
from backend.analysis.power import most_tests, seeds_for_effect
from backend.analysis.protocols import Compared, Grid
from backend.analysis.table import Floats
from backend.api.services import charts
from backend.contracts.public import Claim, ProtocolResult, ProtocolRow, Reproduction
from backend.contracts.results import ALL
from backend.contracts.spec import JobSpec
from backend.errors import NotFound
from backend.presets import get_preset
from backend.store import jobs, measurements

BESIDE = ("loss", "accuracy", "auroc", "calibration_error", "majority_share")


@dataclass(frozen=True)
class Evidence:
    """A job's grid and its comparisons for the claims of its preset."""

    preset: str
    claims: list[Claim]
    grid: Grid | None
    compared: list[Compared]
    beside: dict[str, Floats]
    labels: dict[int, str]
    words: Words
    why_empty: str = ""


def claims_of(session: Session, job_id: str) -> tuple[str, list[Claim]]:
    """The preset that a job came from, and those of its claims that can be tested. Raises `NotFound`."""
    preset = jobs.get(session, job_id).spec.get("preset")
    found = [c for c in get_preset(preset).claims if c.metric and c.method and c.reference] if preset else []
    if not found:
        raise NotFound("This study comes from no preset with a claim that can be tested.", fix="Submit such a preset.")
    return str(preset), found


def evidence(session: Session, job_id: str) -> Evidence:
    """Everything that verdicts and figure rest on."""
    preset, claims = claims_of(session, job_id)
    words, table = charts.words_of(session), charts.load_table(session, [job_id])
    nothing = Evidence(preset, claims, None, [], {}, {}, words)
    if not len(table):
        return nothing
    if len({table.infos[s].context for s, _ in table.blocks()}) > 1:
        return Evidence(preset, claims, None, [], {}, {}, words, "The study mixes data or models.")
    metric, candidate = str(claims[0].metric), str(claims[0].method)

    def column(name: str, subgroup: str, split: str) -> Floats:
        return table.column(measurements.values(session, [job_id], name, subgroup, split)).values

    order = charts._subgroup_order(session, [job_id])
    gaps = {name: column(metric, name, "test") for name in order if is_family(name)}
    gaps = {name: values for name, values in gaps.items() if np.isfinite(values).any()}
    grid = Grid.of(table, column("loss", ALL, "validation"), column("accuracy", ALL, "validation"), gaps)
    references = list(dict.fromkeys(str(c.reference) for c in claims))
    compared = protocols.compare(grid, candidate, references)
    beside = {name: protocols.matrix(table, column(name, ALL, "test")) for name in BESIDE}
    return Evidence(preset, claims, grid, compared, beside, charts.labels_of(table, words), words)


def reproduction(session: Session, job_id: str) -> Reproduction:
    """Verdicts, comparisons and rows of a job. Raises `NotFound` where its preset claims nothing."""
    found = evidence(session, job_id)
    counts = jobs.counts(session, [job_id]).get(job_id, {})
    runs, finished = counts.get("runs", 0), counts.get("finished", 0) + counts.get("failed", 0)
    verdicts = [
        judging.verdict(claim, found.compared, found.words, finished=finished, runs=runs) for claim in found.claims
    ]
    if not as_planned(session, job_id, found.preset):
        changed = "; a changed study, not the planned one"
        verdicts = [v.model_copy(update={"sentence": v.sentence + changed}) for v in verdicts]
    family = max((sum(c.protocol == p for c in found.compared) for p in protocols.TESTED), default=0)
    pairs = max((c.effect.pairs for c in found.compared), default=0)
    notes = [
        f"Exact paired Wilcoxon tests over {pairs} seeds, Holm-corrected within each way of tuning ({family} tests; "
        f"with {pairs} seeds at most {most_tests(pairs)} can pass); intervals of a reduction are bootstrap (BCa)",
        "Tuning on validation rows and standardising on training rows are not private steps: ε does not cover them",
    ]
    if found.grid is not None:
        names = [n.partition(".")[2].replace("_", " ") for n in protocols.shared_names(found.grid)]
        notes.append(f"Same settings for all: shared {', '.join(names) or 'nothing, since no parameter is common'}")
    if found.why_empty:
        notes.append(found.why_empty)
    return Reproduction(
        preset=found.preset,
        rule=judging.RULE,
        verdicts=verdicts,
        protocols=protocols.TITLES,
        comparisons=[_result(found, c, family) for c in found.compared],
        rows=rows(found),
        degenerate_settings=int(found.grid.degenerate.sum()) if found.grid is not None else 0,
        notes=notes,
    )


def as_planned(session: Session, job_id: str, preset: str) -> bool:
    """Whether the study is the preset's in everything but its name, description, tags and priority."""
    parts = ("dataset", "model", "methods", "training", "seeds")
    own, planned = JobSpec.model_validate(jobs.get(session, job_id).spec), get_preset(preset).spec
    return all(getattr(own, part) == getattr(planned, part) for part in parts)


def rows(found: Evidence) -> list[ProtocolRow]:
    """Every way of tuning x attribute x epsilon x method, and the model without privacy first."""
    grid = found.grid
    if grid is None:
        return []
    base = grid.baseline
    out: list[ProtocolRow] = []
    for subgroup in grid.gaps:
        if base is not None:
            out.append(_row(found, grid, "validation_loss", subgroup, base))
        for protocol in protocols.TITLES:
            chosen = protocols.select(grid, protocol, str(found.claims[0].method), subgroup)
            out += [
                _row(found, grid, protocol, subgroup, place) for _, place in sorted(chosen.items(), key=_by_epsilon)
            ]
    return out


def _by_epsilon(item: tuple[tuple[str, float], int]) -> tuple[float, str]:
    return item[0][1], item[0][0]


def _row(found: Evidence, grid: Grid, protocol: str, subgroup: str, place: int) -> ProtocolRow:
    gaps, base, info = grid.gaps[subgroup], grid.baseline, grid.infos[place]
    excess = gaps[place] - gaps[base] if base is not None else np.array([np.nan])
    beside = {name: _mean(values[place]) for name, values in found.beside.items()}
    return ProtocolRow(
        protocol=protocol, subgroup=subgroup, epsilon=info.epsilon, method=info.method, setting_id=info.id,
        label=found.labels.get(info.id, info.method), gap=_mean(gaps[place]), excess_gap=_mean(excess),
        degenerate=bool(grid.degenerate[place]), **beside,
    )  # fmt: skip


def _result(found: Evidence, c: Compared, family: int) -> ProtocolResult:
    assert found.grid is not None
    gaps = found.grid.gaps[c.subgroup]
    difference = gaps[c.place] - gaps[c.reference_place]
    known = difference[np.isfinite(difference)]
    deviation = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    e = c.effect
    return ProtocolResult(
        protocol=c.protocol, subgroup=c.subgroup, epsilon=c.epsilon, method=c.method, reference=c.reference,
        setting_id=found.grid.infos[c.place].id, reference_setting_id=found.grid.infos[c.reference_place].id,
        pairs=e.pairs, gap=finite(e.mean_a), reference_gap=finite(e.mean_b), difference=finite(e.difference),
        difference_low=e.low, difference_high=e.high, reduction=e.reduction, reduction_low=e.reduction_low,
        reduction_high=e.reduction_high, rank_biserial=e.rank_biserial, p=c.p, p_sign_flip=c.p_sign_flip,
        corrected=c.corrected, seeds_needed=seeds_for_effect(e.difference, deviation, tests=max(1, family)),
    )  # fmt: skip


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
