"""Audit of the claimed epsilon with one more training (Steinke, Nasr and Jagielski 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from worker.attacks._canaries import (
    audit_streams,
    coins,
    figures_of,
    gradient_canaries,
    losses,
    metrics_of_audit,
    mislabelled,
    part,
    trained_by,
    with_rows,
)
from worker.metrics._figures import Figure
from worker.plugins import Audit, Params, param
from worker.privacy.audit import Bound, one_run
from worker.training.engine import Trained
from worker.training.streams import Streams

if TYPE_CHECKING:
    from worker.evaluate import Prepared

Array = np.ndarray[Any, Any]
#: Shares of the canaries that are guessed where the number is to be found; three tries cost a Bonferroni correction.
SHARES = (1 / 20, 1 / 10, 1 / 4)


class OneRunParams(Params):
    """Which canaries, how many, and how often to guess."""

    kind: Literal["mislabelled", "gradient"] = param(
        "mislabelled",
        "Canaries",
        "mislabelled: rows with a wrong target, seen through the final model (weak). gradient: records whose gradient "
        "points along one weight, seen through every step (strong; checks sums, clipping, sampling and noise).",
    )
    canaries: int = param(
        1000, "Number of canaries", "Each is trained on with probability one half. Limited by test rows or weights.",
        ge=10, le=100_000,
    )  # fmt: skip
    guesses: int = param(
        100,
        "Guesses",
        "Half of them for the canaries that look most trained on, half for those that look least. 0 tries a twentieth, "
        "a tenth and a quarter of the canaries and corrects for it.",
        ge=0,
        le=100_000,
    )
    look: Literal["likelihood", "spread"] = param(
        "likelihood",
        "Look for",
        "How gradient canaries are told: by their likelihood under the claimed noise, or by how much they vary between "
        "steps, which finds noise that repeats.",
        advanced=True,
    )


class OneRunAudit(Audit[OneRunParams]):
    """Trains the run's setting once more with canaries, each in or out by a coin, and guesses the coins."""

    name = "one_run_audit"
    title = "One-run audit"
    summary = "Bounds \u03b5 from below: one more training, with records of our own that are in it by chance."
    citation = "Steinke, Nasr and Jagielski 2023, Privacy auditing with one (1) training run, arXiv:2305.08846"
    Params = OneRunParams
    metrics = metrics_of_audit(name, title)

    def audit(self, prepared: Prepared, trained: Trained, params: OneRunParams) -> Iterator[Figure]:
        """Four figures; see `worker.attacks._canaries`."""
        streams = audit_streams(prepared, self.name, params.model_dump_json())
        look = _gradients if params.kind == "gradient" else _labels
        found = look(prepared, trained, params, streams)
        budget = prepared.work.budget
        if found is None or budget is None:
            yield from figures_of(self.name, None)
            return
        scores, included = found
        bound: Bound = one_run(scores, included, sizes(params, len(scores)), delta=budget.delta, claim=budget.epsilon)
        yield from figures_of(self.name, bound)


def sizes(params: OneRunParams, canaries: int) -> Sequence[int]:
    """Numbers of guesses to try, fixed before anything is seen."""
    return (params.guesses,) if params.guesses else tuple(int(share * canaries) for share in SHARES)


def _labels(prepared: Prepared, trained: Trained, params: OneRunParams, streams: Streams) -> tuple[Array, Array] | None:
    """How much smaller the loss is than that of the run's own model, which never saw a canary.

    The difference takes away how hard each row is (Watson et al. 2022). It is a valid score: the run's randomness is
    independent of the coins and of the audit's training.
    """
    canaries = mislabelled(prepared, params.canaries, streams)
    included = coins(streams, len(canaries))
    work = with_rows(prepared.work, part(canaries, np.flatnonzero(included)), streams, "audit")
    (audited,) = trained_by(prepared.device, trained.engine, [work])
    if audited.diverged is not None:
        return None
    task = prepared.data.task
    return losses(trained, canaries, task) - losses(audited, canaries, task), included


def _gradients(
    prepared: Prepared, trained: Trained, params: OneRunParams, streams: Streams
) -> tuple[Array, Array] | None:
    """What the noisy sums show at each canary's weight, less what the rows added there.

    Taking the rows' part away is fair: given the rows' own batches and the weights so far it is a constant, and the
    guarantee for a canary holds whatever the other records do and even if their batches are told.
    """
    work, budget = prepared.work, prepared.work.budget
    assert budget is not None
    canaries = gradient_canaries(work, params.canaries, streams)
    watched = replace(work, key="audit", streams=streams, canaries=canaries)
    (audited,) = trained_by(prepared.device, trained.engine, [watched])
    if audited.diverged is not None:
        return None
    seen = np.stack(canaries.observed)
    if params.look == "spread":
        return seen.max(axis=0) - np.median(seen, axis=0), canaries.included
    return likelihood(seen, work.schedule.sampling_rate, budget.gradient_multiplier), canaries.included


def likelihood(seen: Array, rate: float, multiplier: float) -> Array:
    """`[canaries]` log likelihood ratio of in and out, from `seen[steps, canaries]` in multiples of the sensitivity.

    In: 1 is added with probability `rate` to a normal with deviation `multiplier`; out: the normal alone. By Neyman and
    Pearson no other score tells them apart better.
    """
    with np.errstate(divide="ignore"):
        out, drawn = np.log1p(-rate), np.log(rate)
    answer: Array = np.logaddexp(out, drawn + (2 * seen - 1) / (2 * multiplier**2)).sum(axis=0)
    return answer


PLUGIN = OneRunAudit()
