"""White-box audit of every step of one more training (Nasr et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from worker.attacks._canaries import audit_streams, gradient_canaries, part, trained_by
from worker.metrics._figures import Figure
from worker.plugins import Audit, Params, param
from worker.privacy.accounting import Schedule, epsilon
from worker.privacy.step_audit import Claim, Multiplier, Steps, corrected, effective, p_values
from worker.training.engine import Canaries, Examples, Trained, Work
from worker.training.streams import Purpose, Streams, uniforms

if TYPE_CHECKING:
    from worker.evaluate import Prepared

NAME = "step_audit"
#: Numeric columns of records trained on alone are multiplied by these: a guarantee covers every record, however odd.
OUT_OF_RANGE = (1.0, 1e1, 1e2, 1e3, 1e4)
#: Below it an accountant has nothing more to tell apart.
LEAST_MULTIPLIER = 0.05


class StepAuditParams(Params):
    """How much to look at."""

    canaries: int = param(
        1000, "Number of canaries", "Weights at which every step is seen; half of them take part in batches. Limited "
        "by the number of weights.", ge=20, le=100_000,
    )  # fmt: skip
    records: int = param(
        15, "Records trained on alone", "Each takes one step alone, its numbers multiplied by up to 10,000: its scaled "
        "gradient must not be longer than the sensitivity.", ge=0, le=1000, advanced=True,
    )  # fmt: skip


def _metrics() -> tuple[MetricInfo, ...]:
    common: dict[str, Any] = {"family": NAME, "per_subgroup": False, "low": 0.0}

    def p(what: str, title: str, explanation: str) -> MetricInfo:
        return MetricInfo(
            name=f"{NAME}_p_{what}", title=f"p-value of {title}, step audit", kind="attack", high=1.0, log=True,
            explanation=explanation, higher_is_better=True, **common,
        )  # fmt: skip

    return (
        MetricInfo(
            name=f"{NAME}_epsilon", title="Audited lower bound of \u03b5, step audit", kind="privacy",
            explanation="What the steps leak at least, with 95 % confidence, if each is a Gaussian mechanism on a "
            "Poisson sample at the stated rate, with the noise that was seen; by the PRV accountant.",
            higher_is_better=False, **common,
        ),
        MetricInfo(
            name=f"{NAME}_multiplier", title="Effective noise multiplier, step audit", kind="attack",
            explanation="Deviation of the noise over what one record adds at most, as seen in the steps, with a 95 % "
            "interval that should reach the claimed one.", higher_is_better=None, **common,
        ),
        MetricInfo(
            name=f"{NAME}_claimed_multiplier", title="Claimed noise multiplier, step audit", kind="attack",
            explanation="The multiple of the sensitivity that is accounted for as the noise on the gradient.",
            higher_is_better=None, **common,
        ),
        MetricInfo(
            name=f"{NAME}_observations", title="Noisy sums seen, step audit", kind="attack",
            explanation="Steps times canaries: how many noisy numbers the audit rests on.", higher_is_better=None,
            **common,
        ),
        p("noise", "the noise", "If the noise were as large as claimed in all steps and at all weights, and every step "
          "accounted for were released, something at least as unlikely would be seen this often."),
        p("clipping", "clipping", "If no record added more than the sensitivity, canaries would add so much this "
          "often; 0 where a record was seen to add more."),
        p("correlation", "independent noise", "If all noise were independent, two steps or two weights would be so "
          "alike, or share so large a part, this often."),
        p("batches", "Poisson batches", "If every row joined every batch independently at the claimed rate, batch "
          "sizes, rows' turns and repeats would be so odd this often: shuffled, cut or dropped batches give 0."),
        p("at_claim", "the claim", "All of these together, corrected for the number of tests; an alarm is raised "
          "by it."),
    )  # fmt: skip


class StepAudit(Audit[StepAuditParams]):
    """Trains the run's setting once more, sees every noisy sum, and tests noise, clipping and batches."""

    name = NAME
    title = "Step audit"
    summary = (
        "Tests noise, clipping and batches of every step in one more training, and bounds \u03b5 from what it sees."
    )
    citation = (
        "Nasr et al. 2023, Tight auditing of differentially private machine learning, arXiv:2302.07956 (the white-box "
        "observer; here each part of a step is tested by itself, and \u03b5 follows from the effective noise)"
    )
    Params = StepAuditParams
    metrics = _metrics()

    def audit(self, prepared: Prepared, trained: Trained, params: StepAuditParams) -> Iterator[Figure]:
        """Nine figures, undefined where the audit's own training diverged."""
        work, budget = prepared.work, prepared.work.budget
        assert budget is not None
        streams = audit_streams(prepared, self.name, params.model_dump_json())
        steps = observe(prepared, trained, params, streams)
        if steps is None:
            yield from _figures({}, Multiplier(*[math.nan] * 3), math.nan, math.nan, None)
            return
        schedule = work.schedule
        claim = Claim(budget.gradient_multiplier, schedule.sampling_rate, schedule.steps, len(work.train))
        needed = uniforms(streams.own, Purpose.CANARY_CHOICE, 2, 2 * claim.steps + claim.rows)
        found = effective(steps)
        yield from _figures(
            p_values(steps, claim, needed), found, budget.gradient_multiplier, _epsilon(found.high, work),
            int(np.isfinite(steps.seen).sum()),
        )  # fmt: skip


def observe(prepared: Prepared, trained: Trained, params: StepAuditParams, streams: Streams) -> Steps | None:
    """The steps of another training by the engine that trained the run; None where it diverges."""
    work = prepared.work
    canaries = gradient_canaries(work, params.canaries, streams)
    (audited,) = trained_by(prepared.device, trained.engine, [_watched(work, "audit", streams, canaries)])
    if audited.diverged is not None:
        return None
    seen, count = np.stack(canaries.observed), len(canaries.places)
    drawn = np.zeros(seen.shape, bool)
    for step in range(len(seen)):
        drawn[step, streams.canary_batch(step, count, work.schedule.sampling_rate)] = True
    alone = [_alone(work, row, streams) for row in range(min(params.records, len(work.train)))]
    trained_by(prepared.device, trained.engine, alone) if alone else None
    return Steps(
        seen=seen,
        included=canaries.included,
        drawn=drawn & canaries.included,
        batches=canaries.batches,
        norms=np.array(canaries.norms),
        alone=np.array([norm for one in alone if one.canaries is not None for norm in one.canaries.norms]),
    )


def _watched(work: Work, key: str, streams: Streams, canaries: Canaries) -> Work:
    return replace(work, key=key, streams=streams, canaries=canaries)


def _alone(work: Work, row: int, streams: Streams) -> Work:
    """One step on one row that is far out of range; no canary joins it."""
    train, at = part(work.train, np.array([row])), np.arange(1)
    far = (train.numeric * OUT_OF_RANGE[row % len(OUT_OF_RANGE)]).astype(train.numeric.dtype)
    groups = None if work.groups is None else replace(work.groups, codes=work.groups.codes[[row]])
    return replace(
        _watched(work, f"audit-{row}", streams, Canaries(at, np.zeros(1, bool))),
        train=Examples(train.rows, train.inputs, far, train.active, train.target),
        validation=part(work.validation, at),
        schedule=Schedule(sampling_rate=1.0, steps_per_epoch=1, steps=1),
        public_rows=None,
        groups=groups,
    )


def _epsilon(multiplier: float, work: Work) -> float:
    """What steps with this noise cost by the accountant that is closest to the truth; the others' slack is no leak."""
    budget, schedule = work.budget, work.schedule
    assert budget is not None
    if math.isnan(multiplier):
        return math.nan
    if math.isinf(multiplier):
        return 0.0
    kept = max(multiplier, LEAST_MULTIPLIER)
    return epsilon("prv", kept, budget.delta, schedule.sampling_rate, schedule.steps)


def _figures(
    tests: dict[str, dict[str, float]], found: Multiplier, claimed: float, bound: float, seen: int | None
) -> Iterator[Figure]:
    n = None if seen is None else np.array([seen])

    def figure(what: str, value: float, low: float = math.nan, high: float = math.nan) -> Figure:
        value, high = (math.nan if math.isinf(one) else one for one in (value, high))
        return Figure(f"{NAME}_{what}", (ALL,), np.array([value]), n, np.array([low]), np.array([high]))

    yield figure("epsilon", bound, low=bound)
    yield figure("multiplier", found.value, found.low, found.high)
    yield figure("claimed_multiplier", claimed)
    yield figure("observations", math.nan if seen is None else seen)
    everything = {f"{group}: {name}": p for group, its in tests.items() for name, p in its.items()}
    for group in ("noise", "clipping", "correlation", "batches"):
        yield figure(f"p_{group}", corrected(tests[group]) if tests else math.nan)
    yield figure("p_at_claim", corrected(everything) if tests else math.nan)


PLUGIN = StepAudit()
