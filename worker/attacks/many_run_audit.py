"""Audit of the claimed epsilon with many trainings, with and without one canary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.attacks._canaries import (
    audit_streams,
    figures_of,
    losses,
    metrics_of_audit,
    mislabelled,
    part,
    trained_by,
    with_rows,
)
from worker.metrics._figures import Figure
from worker.plugins import Audit, Params, param
from worker.privacy.audit import many_run
from worker.training.engine import Trained

if TYPE_CHECKING:
    from worker.evaluate import Prepared

#: So many models are trained and kept at a time.
AT_ONCE = 32


class ManyRunParams(Params):
    """How many models, and among how many rows the canary is chosen."""

    models: int = param(
        128, "Models", "Half are trained with the canary and half without. Half of each choose the threshold, the "
        "others judge it; 128 cannot show more than \u03b5 = 2.1.", ge=16, le=100_000,
    )  # fmt: skip
    candidates: int = param(
        50, "Candidates", "The canary is the mislabelled row among so many that the run's model is most wrong about.",
        ge=1, le=10_000,
    )  # fmt: skip


class ManyRunAudit(Audit[ManyRunParams]):
    """Trains the run's setting with and without one mislabelled row, and tells the two kinds apart by its loss."""

    name = "many_run_audit"
    title = "Many-run audit"
    summary = "Bounds \u03b5 from below: many more trainings, half of them with one record of our own."
    citation = "Jagielski, Ullman and Oprea 2020, Auditing differentially private machine learning, arXiv:2006.07709"
    Params = ManyRunParams
    models_param = "models"
    at_once = AT_ONCE
    metrics = metrics_of_audit(name, title)

    def audit(self, prepared: Prepared, trained: Trained, params: ManyRunParams) -> Iterator[Figure]:
        """Four figures. The canary is chosen by the run's own model, which is independent of those that are judged."""
        budget, task = prepared.work.budget, prepared.data.task
        named = (self.name, params.model_dump_json())
        candidates = mislabelled(prepared, params.candidates, audit_streams(prepared, *named, "choice"))
        canary = part(candidates, np.array([np.argmax(losses(trained, candidates, task))]))
        scores = []
        work = prepared.work
        for inside in (True, False):
            added = with_rows(work, canary, work.streams, work.key) if inside else work
            models = [
                replace(added, key=f"{inside}-{model}", streams=audit_streams(prepared, *named, inside, model))
                for model in range(params.models // 2)
            ]
            scores.append(self._scores((prepared.device, trained.engine), models, canary, task))
        if budget is None:
            yield from figures_of(self.name, None)
            return
        yield from figures_of(self.name, many_run(*scores, delta=budget.delta, claim=budget.epsilon))

    def _scores(self, engine: tuple[str, str], works: list[Any], canary: Any, task: Any) -> np.ndarray[Any, Any]:
        """Minus the canary's loss, `[models]`; not a number where training diverged."""
        found: list[float] = []
        for start in range(0, len(works), AT_ONCE):
            done = trained_by(*engine, works[start : start + AT_ONCE])
            found += [np.nan if one.diverged is not None else -float(losses(one, canary, task)[0]) for one in done]
        return np.array(found)


PLUGIN = ManyRunAudit()
