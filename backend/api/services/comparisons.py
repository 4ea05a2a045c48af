"""From the store to the figures of reductions."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.analysis.effects import effect
from backend.analysis.findings import _paired
from backend.analysis.significance import MOST_EXACT, bonferroni, holm, wilcoxon
from backend.api.services import charts
from backend.api.services import reproduction as service
from backend.contracts.public import Figure
from backend.errors import InvalidRequest
from backend.figures.reductions import Mark, reductions_figure, reproduction_figure_of
from backend.figures.theme import THEMES, ThemeName


def reductions(
    session: Session,
    job_id: str,
    reference: str,
    subgroup: str | None,
    theme: ThemeName,
    width: int | None,
    *,
    metric: str = "loss_gap",
) -> Figure:
    """Every private method against `reference` at each epsilon, each at its best validation loss."""
    request = charts.Request(job_id=[job_id], y=metric, subgroup=subgroup, choose=charts.LOSS)
    try:
        loaded = charts.load(session, request)
    except InvalidRequest:
        loaded = charts.load(session, request.model_copy(update={"choose": charts.AUTO}))
    table = loaded.table
    found: dict[float, dict[str, list[int]]] = {}
    rows = dict(table.blocks())
    for setting in rows:
        info = table.infos[setting]
        if info.epsilon is not None:
            found.setdefault(info.epsilon, {}).setdefault(info.method, []).append(setting)
    contexts = {table.infos[s].context for s in rows}
    plain: list[tuple[str, float, Mark]] = []
    for epsilon, methods in sorted(found.items()):
        own = methods.get(reference, [])
        for method, settings in sorted(methods.items()):
            if method == reference or len(own) != 1 or len(settings) != 1 or len(contexts) != 1:
                continue
            left, right = _paired(table, rows[settings[0]], rows[own[0]])
            if len(left) > MOST_EXACT:
                continue
            a, b = loaded.y.column.values[left], loaded.y.column.values[right]
            ill = any(2 * table.degenerate[side].sum() >= max(1, len(side)) for side in (left, right))
            test = wilcoxon(a, b)
            plain.append((method, epsilon, Mark(effect(a, b), test.p, None, None, test.reachable, ill)))
    p = [m.p for _, _, m in plain]
    both = zip(plain, holm(p), bonferroni(p), strict=True)
    marks = [(a, e, m.with_corrected(*corrected)) for (a, e, m), *corrected in both]
    pairs = sorted({m.effect.pairs for _, _, m in marks})
    counted = " to ".join(f"{n}" for n in dict.fromkeys((pairs[0], pairs[-1]))) + " paired seeds" if pairs else ""
    caption = charts.caption(loaded, "test", [], counted)
    mixed = len(contexts) > 1
    return reductions_figure(marks, reference, loaded.y, loaded.words, THEMES[theme], caption, width, mixed=mixed)


def reproduction_figure(
    session: Session, job_id: str, subgroup: str | None, theme: ThemeName, width: int | None
) -> Figure:
    """The claims beside what was measured."""
    found = service.evidence(session, job_id)
    names = list(found.grid.gaps) if found.grid is not None else []
    chosen = subgroup if subgroup in names else (names[0] if names else "all")
    rows = [row for row in service.rows(found) if row.subgroup == chosen]
    compared = [c for c in found.compared if c.subgroup == chosen]
    return reproduction_figure_of(compared, rows, found.claims, chosen, found.words, THEMES[theme], width)
