"""What audits share: canaries, training a run's own setting with them, and the figures of a bound.

A canary is a record of our own that joins the training data or does not. An audit trains with fresh randomness: its
initial weights, batches and noise are draws of the same mechanism, independent of those of the run. The run's sampling
rate, steps, noise and divisor stay; only the rows change, which is what its epsilon is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from worker.metrics._figures import Figure
from worker.privacy.audit import Bound
from worker.training.engine import Canaries, Examples, Trained, Work, choose
from worker.training.engines import engines
from worker.training.initial import build
from worker.training.losses import per_record_numpy
from worker.training.streams import Purpose, Streams, own_key, uniforms

if TYPE_CHECKING:
    from worker.evaluate import Prepared

Array = np.ndarray[Any, Any]
#: So many standard deviations lies the wrong value of a regression's canary from the right one.
WRONG_BY = 5.0


def metrics_of_audit(name: str, title: str) -> tuple[MetricInfo, ...]:
    """The four figures of an audit."""
    common: dict[str, Any] = {"family": name, "per_subgroup": False, "low": 0.0}
    what = title.lower()
    return (
        MetricInfo(
            name=f"{name}_epsilon", title=f"Audited lower bound of \u03b5, {what}", kind="privacy",
            explanation="The training leaks at least this much, with 95 % confidence; it should be below the claimed "
            "\u03b5. A low bound may only mean that the attack was weak.", higher_is_better=False, **common,
        ),
        MetricInfo(
            name=f"{name}_correct", title=f"Right guesses, {what}", kind="attack", unit="guesses",
            explanation="Guesses about which records were trained on that were right.", higher_is_better=False,
            **common,
        ),
        MetricInfo(
            name=f"{name}_guesses", title=f"Guesses, {what}", kind="attack", unit="guesses",
            explanation="Guesses that the audit made; it abstains where it is not sure.", higher_is_better=None,
            **common,
        ),
        MetricInfo(
            name=f"{name}_p_at_claim", title=f"p-value of the claimed \u03b5, {what}", kind="privacy",
            explanation="How probable so many right guesses are if the claimed \u03b5 is true. Very small values mean "
            "that it is not.", higher_is_better=True, high=1.0, unit="probability", **common,
        ),
    )  # fmt: skip


def figures_of(name: str, bound: Bound | None) -> Iterator[Figure]:
    """The measurements of one run; not defined where the audit's own training diverged."""

    def figure(what: str, value: float, n: int | None, low: float | None = None) -> Figure:
        count = None if n is None else np.array([n])
        return Figure(f"{name}_{what}", (ALL,), np.array([value]), count, None if low is None else np.array([low]))

    if bound is None:
        for what in ("epsilon", "correct", "guesses", "p_at_claim"):
            yield figure(what, np.nan, None)
        return
    yield figure("epsilon", bound.epsilon, bound.guesses, bound.epsilon)
    yield figure("correct", bound.correct, bound.guesses)
    yield figure("guesses", bound.guesses, None)
    yield figure("p_at_claim", bound.p_at_claim, bound.guesses)


def audit_streams(prepared: Prepared, *parts: object) -> Streams:
    """Streams of one audit training: nothing in them is shared with the run, or with another audit training."""
    name = "/".join(["audit", prepared.config.hash(), *map(str, parts)])
    return Streams(own_key(f"{name}/shared"), own_key(name), prepared.work.streams.secure)


def mislabelled(prepared: Prepared, count: int, streams: Streams) -> Examples:
    """`count` test rows, none of which was trained on, with wrong targets; at most as many as there are."""
    test = prepared.data.test
    chosen = np.argsort(uniforms(streams.own, Purpose.CANARY_CHOICE, 0, len(test)))[:count]
    rows = part(test, np.sort(chosen))
    draws = uniforms(streams.own, Purpose.CANARY_CHOICE, 1, len(rows))
    if prepared.data.task == "regression":
        spread = WRONG_BY * float(np.std(prepared.data.train.target))
        wrong = rows.target + np.where(draws < 0.5, -spread, spread)
    else:
        classes = max(2, prepared.data.outputs)
        wrong = (rows.target + 1 + (draws * (classes - 1)).astype(np.int64)) % classes
    return Examples(rows.rows, rows.inputs, rows.numeric, rows.active, wrong.astype(rows.target.dtype))


def part(examples: Examples, places: Array) -> Examples:
    """Some of the rows, in this order."""
    e = examples
    return Examples(e.rows[places], e.inputs, e.numeric[places], e.active[places], e.target[places])


def with_rows(work: Work, canaries: Examples, streams: Streams, key: str) -> Work:
    """The run's work with these rows added to its training part. What is public of n stays that of the claim."""
    train = work.train
    arrays = ("rows", "numeric", "active", "target")
    rows, numeric, active, target = (np.concatenate([getattr(train, a), getattr(canaries, a)]) for a in arrays)
    added = Examples(rows, train.inputs, numeric, active, target)
    return replace(work, key=key, streams=streams, train=added, public_rows=len(train))


def gradient_canaries(work: Work, count: int, streams: Streams) -> Canaries:
    """At most `count` of them, at places drawn among all weights, each included with probability one half."""
    weights = sum(p.numel() for p in build(work).parameters() if p.requires_grad)
    count = min(count, weights)
    places = np.argsort(uniforms(streams.own, Purpose.CANARY_CHOICE, 0, weights))[:count]
    return Canaries(places, coins(streams, count))


def coins(streams: Streams, count: int) -> Array:
    """`[count]` whether each canary is in the data."""
    return uniforms(streams.own, Purpose.CANARY_INCLUDED, 0, count) < 0.5


def trained_by(device: str, engine_name: str, works: Sequence[Work]) -> list[Trained]:
    """All of them, in order, by the engine that trained the run and on its device, where that engine can.

    Nobody looks at their clipping: they are trained for what an audit asks of them alone.
    """
    works = [replace(work, sample=None) for work in works]
    there = engines(device)
    named = [engine for engine in there if engine.name == engine_name]
    done = {one.key: one for one in choose(works[0], (*named, *there)).train(works)}
    return [done[work.key] for work in works]


def losses(trained: Trained, canaries: Examples, task: Any) -> Array:
    """`[canaries]` losses of a model, float64."""
    return np.asarray(per_record_numpy(trained.logits(canaries), canaries.target, task), np.float64)
