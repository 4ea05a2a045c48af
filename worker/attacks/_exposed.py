"""The training rows that an attack tells apart most surely, and statements where it has no figures."""

from __future__ import annotations

import numpy as np

from backend.contracts.results import ALL, Exposed, ExposedRecord
from worker.attacks._target import Target
from worker.metrics._predictions import Array

#: So many rows are named per run and attack.
MOST = 20


def exposed(
    attack: str, scores: Array, target: Target, rows: Array, asked: int, caution: str | None = None
) -> list[Exposed]:
    """Of each run, from `scores[..., candidates]`; `rows` are the candidates' places in the table.

    `caution` is what has to be said of all of it.

    The percentile is the share of all scored candidates with a lower score. Of equal scores the first row is named.
    """
    shadows = target.shadows
    models, left_out = (0, 0) if shadows is None else (min(len(shadows), asked), shadows.left_out)
    answer = []
    for one in scores.reshape(-1, scores.shape[-1]):
        known = np.sort(one[~np.isnan(one)])
        inside = np.flatnonzero(target.members & ~np.isnan(one))
        top = inside[np.argsort(-one[inside], kind="stable")[:MOST]]
        below = 100 * np.searchsorted(known, one[top], side="left") / max(1, len(known))
        records = [
            ExposedRecord(row=int(rows[at]), score=float(one[at]), percentile=float(share), subgroups=_of(target, at))
            for at, share in zip(top, below, strict=True)
        ]
        unscored = int(len(one) - len(known))
        answer.append(
            Exposed(
                attack=attack,
                models=models,
                left_out=left_out,
                unscored=unscored,
                statement=caution,
                records=records,
            )
        )
    return answer


def _of(target: Target, row: int) -> list[str]:
    names = (target.groups.names[g] for g in np.flatnonzero(target.groups.masks[:, row]))
    return [name for name in names if name != ALL]
