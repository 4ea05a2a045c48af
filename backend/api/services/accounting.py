"""The calculator: noise of an epsilon and epsilon of a noise, by the accountants that are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

from backend.contracts.accounting import (
    Account,
    Accounting,
    AccountingRequest,
    Selected,
    Selection,
    SpendingRequest,
    TrainingAsked,
    Tries,
)
from backend.contracts.public import Figure
from backend.contracts.results import Problem
from backend.errors import EpsilonUnreachable, InvalidRequest
from backend.settings import Settings

#: More steps than any training here takes; beyond them PRV and PLD would take minutes.
MOST_STEPS = 1_000_000
#: Places besides the first step at which epsilon is worked out, by the steps in all: each takes the longer, the more.
POINTS = ((20_000, 6), (100_000, 3), (MOST_STEPS, 2))


def answer(settings: Settings, asked: AccountingRequest) -> Accounting:
    """Raises `InvalidRequest`, naming the field, where the training or an epsilon is impossible."""
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    from backend.analysis import accountants

    rate, _, steps, delta = _training(asked)
    cache = settings.cache_dir()
    noise, cost = [], []
    for name in asked.accountants:
        for place, epsilon in enumerate(asked.epsilons):
            sigma = _reached(
                place,
                epsilon,
                lambda e, by=name: accountants.sigma(by, e, delta, rate, steps, cache_dir=cache),  # type: ignore[misc]
            )
            spent = accountants.epsilon(name, sigma, delta, rate, steps, cache_dir=cache)
            noise.append(Account(accountant=name, epsilon=spent, sigma=sigma))
        for sigma in asked.sigmas:
            spent = accountants.epsilon(name, sigma, delta, rate, steps, cache_dir=cache)
            cost.append(Account(accountant=name, epsilon=spent, sigma=sigma))
    selection = None if asked.tries is None else _selection(asked, asked.tries, rate, steps, delta)
    return Accounting(sampling_rate=rate, steps=steps, delta=delta, noise=noise, cost=cost, selection=selection)


def spending(settings: Settings, asked: SpendingRequest) -> Figure:
    """Epsilon along the training's epochs by each accountant, as a figure. Raises as `answer` does."""
    from backend.analysis import accountants
    from backend.figures.spending import spending as draw
    from backend.figures.theme import THEMES

    rate, per_epoch, steps, delta = _training(asked)
    most = next(points for limit, points in POINTS if steps <= limit)
    # Epsilon grows about as the root of the steps: even distances in the root are even ones of the curve.
    places = sorted({1} | {max(1, round(steps * (k / most) ** 2)) for k in range(1, most + 1)})
    cache = settings.cache_dir()
    found: dict[str, list[float]] = {
        name: [accountants.epsilon(name, asked.sigma, delta, rate, place, cache_dir=cache) for place in places]
        for name in accountants.ACCOUNTANTS
    }
    caption = (
        f"{asked.rows:,} training rows, expected batch {asked.batch_size:,}, \u03b4 = {delta:g}, adding or removing "
        "one row; each is an upper bound; straight lines between the marks"
    )
    epochs = [place / per_epoch for place in places]
    return draw(epochs, places, found, asked.sigma, THEMES[asked.theme], caption=caption, width=asked.width)


def _training(asked: TrainingAsked) -> tuple[float, int, int, float]:
    """Sampling rate, steps of an epoch, steps of all, delta."""
    from backend.analysis.accounting import Schedule, default_delta

    if asked.batch_size > asked.rows:
        raise _invalid("batch_size", f"at most the {asked.rows:,} training rows", asked.batch_size, "Lower batch_size.")
    schedule = Schedule.of(asked.rows, asked.batch_size, asked.epochs)
    if schedule.steps > MOST_STEPS:
        fix = "Lower epochs, or raise batch_size."
        raise _invalid("epochs", f"at most {MOST_STEPS:,} steps in all", f"{schedule.steps:,}", fix)
    delta = default_delta(asked.rows) if asked.delta is None else asked.delta
    return schedule.sampling_rate, schedule.steps_per_epoch, schedule.steps, delta


def _selection(asked: AccountingRequest, tries: Tries, rate: float, steps: int, delta: float) -> Selection:
    from backend.analysis import accounting, tuning

    mean, shape = tries.mean, tries.shape_value()

    def row(sigma: float) -> Selected:
        return Selected(
            sigma=sigma,
            one=accounting.epsilon(sigma, delta, rate, steps),
            selected=tuning.epsilon(sigma, delta, rate, steps, mean=mean, shape=shape),
            all=accounting.epsilon(sigma, delta, rate, steps * math.ceil(mean)),
        )

    def needed(epsilon: float) -> float:
        return tuning.noise_multiplier(epsilon, delta, rate, steps, mean=mean, shape=shape)

    return Selection(
        noise=[row(_reached(place, epsilon, needed)) for place, epsilon in enumerate(asked.epsilons)],
        cost=[row(sigma) for sigma in asked.sigmas],
    )


def _reached(place: int, epsilon: float, sigma_of: Callable[[float], float]) -> float:
    """The noise multiplier of an asked epsilon; `InvalidRequest` names the epsilon that none reaches."""
    try:
        return sigma_of(epsilon)
    except EpsilonUnreachable as error:
        expected, _, _ = error.detail.removeprefix("Expected ").partition(", got ")
        raise _invalid(f"epsilons.{place}", expected, f"{epsilon:g}", error.fix) from error


def _invalid(field: str, expected: str, got: object, fix: str) -> InvalidRequest:
    problem = Problem(field=field, expected=expected, got=str(got), fix=fix)
    return InvalidRequest(f"{field}: expected {expected}, got {got}. {fix}", problems=[problem])
