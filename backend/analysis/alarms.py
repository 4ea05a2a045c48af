"""Whether an audit refutes a claimed epsilon: the rule by which alarms are raised.

An audit leaves at least two measurements of a run, `<audit>_epsilon` (a lower bound at 95 % confidence) and
`<audit>_p_at_claim` (the p-value of the claim). Of many honest audits one in twenty has
a p-value below 0.05, so an alarm needs one below 0.05 divided by the number of audits of the job (Bonferroni): whatever
their number, a job whose claims are all true raises one in at most 5 % of cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Chance of a false alarm in a job.
LEVEL = 0.05
P_AT_CLAIM, BOUND = "_p_at_claim", "_epsilon"


@dataclass(frozen=True)
class Audited:
    """One audit of one run: its p-value at the claim, its bound, and the claim."""

    run: str
    audit: str
    p: float
    bound: float | None
    claim: float | None


def audited(figures: Iterable[tuple[str, str, float | None]], claims: Mapping[str, float | None]) -> list[Audited]:
    """The audits among (run, metric, value) of everybody; `claims` are the epsilons of the runs."""
    values = {(run, metric): value for run, metric, value in figures}
    found = []
    for (run, metric), p in values.items():
        if metric.endswith(P_AT_CLAIM) and p is not None:
            audit = metric.removesuffix(P_AT_CLAIM)
            found.append(Audited(run, audit, p, values.get((run, audit + BOUND)), claims.get(run)))
    return found


def refuted(audits: Sequence[Audited], number: int | None = None) -> list[Audited]:
    """Those whose claim does not survive the correction for `number` audits (of these, unless it is given)."""
    level = LEVEL / max(1, len(audits) if number is None else number)
    return [one for one in audits if one.p < level]


def of_run(audits: Sequence[Audited], run: str, number: int | None = None) -> str | None:
    """What is said beside a run of a job that has these audits, or None; `number`: how many it has, if more."""
    mine = [one for one in refuted(audits, number) if one.run == run]
    if not mine:
        return None
    worst = min(mine, key=lambda one: one.p)
    claim = "" if worst.claim is None else f" of {worst.claim:.3g}"
    # A broken part of the mechanism refutes the claim whatever the bound that the other parts allow.
    exceeded = worst.bound is not None and (worst.claim is None or worst.bound > worst.claim)
    bound = "" if not exceeded else f": it leaks at least \u03b5 = {worst.bound:.3g} (95 % confidence)"
    count = len(audits) if number is None else number
    corrected = "" if count == 1 else f", corrected for {count} audits"
    return (
        f"An audit refutes the claimed \u03b5{claim}{bound}. If the claim were true, what was seen would have "
        f"probability {worst.p:.2g} (alarm below {LEVEL / count:.2g}{corrected}). "
        "Do not rely on this run's privacy until the cause is found."
    )


def of_job(audits: Sequence[Audited]) -> str | None:
    """What is said of a job, or None."""
    return of_count(len({one.run for one in refuted(audits)}), len(audits))


def of_count(runs: int, audits: int) -> str | None:
    """The same of a job with so many audits, where those of so many runs refute their claim."""
    if not runs:
        return None
    what = "The audit of 1 run refutes its" if runs == 1 else f"Audits of {runs} runs refute their"
    return (
        f"{what} claimed \u03b5 (p below {LEVEL / audits:.2g}, which is {LEVEL} over {audits} "
        f"audit{'s' if audits > 1 else ''}). Do not rely on this study's privacy until the cause is found."
    )
