"""One setting per method and epsilon, chosen on the validation split: what a person would have deployed.

Choosing on validation data is itself not private; the caption of whatever is drawn says that it was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.analysis.intervals import grouped
from backend.analysis.table import Column, RunTable, SettingInfo

#: With more settings than this of one method at one epsilon, `auto` chooses instead of drawing all.
MANY = 4

Group = tuple[str, str, float | None]


@dataclass(frozen=True)
class Choice:
    """Which settings are drawn, and from how many each was chosen."""

    settings: tuple[int, ...]
    of: Mapping[int, int]

    @property
    def most(self) -> int:
        """The most settings that one was chosen from."""
        return max(self.of.values(), default=1)

    @property
    def even(self) -> bool:
        """Whether every method was tuned over as many settings as every other."""
        return len(set(self.of.values())) <= 1


def groups(table: RunTable) -> dict[Group, list[SettingInfo]]:
    """Settings that compete: same data and model, same method, same epsilon."""
    found: dict[Group, list[SettingInfo]] = {}
    for info in table.ordered_infos:
        found.setdefault((info.context, info.method, info.epsilon), []).append(info)
    return found


def crowded(table: RunTable) -> bool:
    """Whether some method has more settings per epsilon than a chart can show."""
    return any(len(settings) > MANY for settings in groups(table).values())


def choose(table: RunTable, by: Column, *, higher_is_better: bool) -> Choice:
    """Of each group the setting with the best mean of `by` over its seeds.

    Degenerate settings are chosen only where there is no other, and a setting with a diverged run only where every
    one has as many: a mean over the seeds that happened to survive would flatter it. Ties fall to the lower id.
    """
    index = {setting: i for i, setting in enumerate(table.setting_ids.tolist())}
    place, count = table.place, len(index)
    mean, _, _, n = grouped(by.values, place, count)
    cost = np.where(n > 0, -mean if higher_is_better else mean, np.inf).tolist()
    degenerate = (
        np.bincount(place, weights=table.degenerate, minlength=count) * 2 >= np.maximum(table.sizes, 1)
    ).tolist()
    diverged = np.bincount(place, weights=table.diverged, minlength=count).tolist()
    chosen: dict[int, int] = {}
    for settings in groups(table).values():
        best = min(settings, key=lambda s: (degenerate[index[s.id]], diverged[index[s.id]], cost[index[s.id]], s.id))
        chosen[best.id] = len(settings)
    return Choice(tuple(sorted(chosen)), chosen)
