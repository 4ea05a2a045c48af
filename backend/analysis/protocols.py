"""Methods compared as tuned in four ways, and at equal loss: a claim may hold in one way and not in another.

validation_loss      of each method and epsilon the setting with the lowest mean validation loss
shared               the same values for all of what every method sweeps (the learning rate, and a threshold where all
                     have a parameter of that name): those with the lowest validation loss, averaged over the methods,
                     each at its best there; what a method has alone is then chosen on validation loss
validation_accuracy  the setting with the highest mean validation accuracy
matched_loss         the candidate as in validation_loss; of each rival the setting whose mean validation loss is
                     closest to the candidate's and not above it
best_cell            the candidate's smallest gap on the test rows, degenerate settings included, against the rival as
                     in validation_loss: "up to". It is chosen on what it is judged by, so it has no p

Degenerate settings are left out of all but the last. A mean is over the seeds of the setting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.effects import Effect, effect, sign_flip
from backend.analysis.labels import differing
from backend.analysis.significance import FEWEST_PAIRS, holm, wilcoxon
from backend.analysis.table import Flags, Floats, RunTable, SettingInfo

TITLES = {
    "validation_loss": "Tuned on validation loss",
    "shared": "Same settings for all",
    "validation_accuracy": "Tuned on validation accuracy",
    "matched_loss": "At equal loss",
    "best_cell": "Best cell of the grid",
}
#: Ways of tuning that are tests; the best cell is chosen on the test rows.
TESTED = ("validation_loss", "shared", "validation_accuracy", "matched_loss")

#: (method, epsilon) -> place of its setting.
Selection = dict[tuple[str, float], int]


@dataclass(frozen=True)
class Grid:
    """All settings of one study; matrices are `[settings, seeds]`, NaN where there is no number.

    `loss` and `accuracy` are on validation rows, `gaps` on test rows, one per attribute or intersection.
    """

    infos: Sequence[SettingInfo]
    seeds: Sequence[int]
    degenerate: Flags
    diverged: Sequence[int]
    loss: Floats
    accuracy: Floats
    gaps: Mapping[str, Floats]

    @classmethod
    def of(cls, table: RunTable, loss: Floats, accuracy: Floats, gaps: Mapping[str, Floats]) -> Grid:
        """From columns over the runs of `table`, `[runs]` each."""
        blocks = table.blocks()
        return cls(
            infos=[table.infos[setting] for setting, _ in blocks],
            seeds=seeds_of(table),
            degenerate=np.array([2 * table.degenerate[b].sum() >= b.stop - b.start for _, b in blocks], dtype=bool),
            diverged=[int(table.diverged[b].sum()) for _, b in blocks],
            loss=matrix(table, loss),
            accuracy=matrix(table, accuracy),
            gaps={name: matrix(table, values) for name, values in gaps.items()},
        )

    def members(self, method: str, epsilon: float | None) -> list[int]:
        """Places of the settings of a method at an epsilon."""
        return [i for i, info in enumerate(self.infos) if (info.method, info.epsilon) == (method, epsilon)]

    def best(self, places: Iterable[int], cost: Floats, *, degenerate: bool = False) -> int | None:
        """The place of the lowest cost `[settings]`; one with fewer diverged runs goes before it."""
        fit = [i for i in places if np.isfinite(cost[i]) and (degenerate or not self.degenerate[i])]
        return min(fit, key=lambda i: (self.diverged[i], cost[i], self.infos[i].id), default=None)

    @property
    def private(self) -> list[str]:
        """Private methods."""
        return sorted({info.method for info in self.infos if info.private})

    @property
    def epsilons(self) -> list[float]:
        """Every epsilon, ascending."""
        return sorted({info.epsilon for info in self.infos if info.epsilon is not None})

    @property
    def baseline(self) -> int | None:
        """The model without privacy that is best on validation loss."""
        return self.best((i for i, info in enumerate(self.infos) if not info.private), means(self.loss))


@dataclass(frozen=True)
class Compared:
    """Candidate against one reference, in one way of tuning, at one epsilon, for one attribute."""

    protocol: str
    subgroup: str
    epsilon: float
    method: str
    reference: str
    place: int
    reference_place: int
    effect: Effect
    p: float | None
    p_sign_flip: float | None
    corrected: float | None


def seeds_of(table: RunTable) -> list[int]:
    """Seeds of a table, ascending."""
    return sorted(set(table.seeds.tolist()))


def matrix(table: RunTable, values: Floats) -> Floats:
    """`[runs]` as `[settings, seeds]`."""
    at = {seed: i for i, seed in enumerate(seeds_of(table))}
    out = np.full((len(table.blocks()), len(at)), np.nan)
    for place, (_, block) in enumerate(table.blocks()):
        out[place, [at[s] for s in table.seeds[block].tolist()]] = values[block]
    return out


def means(values: Floats) -> Floats:
    """Mean over the finite seeds of each setting, NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def shared_names(grid: Grid) -> list[str]:
    """Parameters that every private method sweeps under the same name."""
    swept = [set(differing(info for info in grid.infos if info.method == method)) for method in grid.private]
    return sorted(set.intersection(*swept)) if swept else []


def select(grid: Grid, protocol: str, candidate: str, subgroup: str) -> Selection:
    """The setting of every private method and epsilon in one way of tuning. Without a fit one, it is left out."""
    if protocol == "shared":
        return _shared(grid)
    costs = {"validation_accuracy": -means(grid.accuracy), "best_cell": means(grid.gaps[subgroup])}
    cost = costs.get(protocol, means(grid.loss))
    found: Selection = {}
    for epsilon in grid.epsilons:
        for method in grid.private:
            place = grid.best(grid.members(method, epsilon), cost, degenerate=protocol == "best_cell")
            if place is not None:
                found[method, epsilon] = place
    return _matched(grid, found, candidate) if protocol == "matched_loss" else found


def _shared(grid: Grid) -> Selection:
    names, cost = shared_names(grid), means(grid.loss)
    found: Selection = {}
    for epsilon in grid.epsilons:
        by_value: dict[str, Selection] = {}
        methods = [method for method in grid.private if grid.members(method, epsilon)]
        for method in methods:
            groups: dict[str, list[int]] = {}
            for i in grid.members(method, epsilon):
                groups.setdefault(json.dumps([grid.infos[i].params.get(n) for n in names]), []).append(i)
            for value, places in groups.items():
                if (best := grid.best(places, cost)) is not None:
                    by_value.setdefault(value, {})[method, epsilon] = best
        whole = {v: s for v, s in by_value.items() if len(s) == len(methods)}
        if whole:
            pooled = {v: float(np.mean([cost[i] for i in s.values()])) for v, s in whole.items()}
            found.update(whole[min(pooled, key=lambda v: (pooled[v], v))])
    return found


def _matched(grid: Grid, tuned: Selection, candidate: str) -> Selection:
    cost, found = means(grid.loss), Selection()
    for epsilon in grid.epsilons:
        own = tuned.get((candidate, epsilon))
        if own is None:
            continue
        found[candidate, epsilon] = own
        for method in grid.private:
            if method != candidate:
                near = [i for i in grid.members(method, epsilon) if cost[i] <= cost[own]]
                if (place := grid.best(near, -cost)) is not None:
                    found[method, epsilon] = place
    return found


def compare(grid: Grid, candidate: str, references: Sequence[str]) -> list[Compared]:
    """Every way of tuning x attribute x epsilon x reference, Holm-corrected within each way of tuning.

    Each way of tuning is a question of its own, whose family is all attributes, epsilons and references of it, whether
    or not each could be compared: a family that shrank with the data would not be a planned one.
    """
    found: list[Compared] = []
    for protocol in TITLES:
        some: list[Compared] = []
        for subgroup, gaps in grid.gaps.items():
            chosen = select(grid, protocol, candidate, subgroup)
            rivals = select(grid, "validation_loss", candidate, subgroup) if protocol == "best_cell" else chosen
            for epsilon in grid.epsilons:
                for reference in references:
                    own, other = chosen.get((candidate, epsilon)), rivals.get((reference, epsilon))
                    if own is None or other is None:
                        continue
                    a, b = gaps[own], gaps[other]
                    tested = protocol in TESTED
                    test = wilcoxon(a, b)
                    some.append(
                        Compared(
                            protocol, subgroup, epsilon, candidate, reference, own, other, effect(a, b),
                            test.p if tested else None, sign_flip(a, b) if tested else None, None,
                        )
                    )  # fmt: skip
        enough = [c for c in some if c.p is not None and c.effect.pairs >= FEWEST_PAIRS]
        # The family is the planned one: what could not be compared counts as a test that did not pass.
        planned = len(grid.gaps) * len(grid.epsilons) * len(references)
        padded = [c.p or 0.0 for c in enough] + [1.0] * (planned - len(enough))
        corrected = dict(zip(map(id, enough), holm(padded), strict=False)) if enough else {}
        found += [Compared(**{**c.__dict__, "corrected": corrected.get(id(c))}) for c in some]
    return found
