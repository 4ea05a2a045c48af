"""The calculator: noise of an epsilon and epsilon of a noise, by the accountants that are asked for."""

from __future__ import annotations

from backend.contracts.accounting import Account, Accounting, AccountingRequest
from backend.contracts.results import Problem
from backend.errors import EpsilonUnreachable, InvalidRequest
from backend.settings import Settings

#: More steps than any training here takes; beyond them PRV and PLD would take minutes.
MOST_STEPS = 1_000_000


def answer(settings: Settings, asked: AccountingRequest) -> Accounting:
    """Raises `InvalidRequest`, naming the field, where the training or an epsilon is impossible."""
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    from backend.analysis import accountants
    from backend.analysis.accounting import Schedule, default_delta

    if asked.batch_size > asked.rows:
        raise _invalid("batch_size", f"at most the {asked.rows:,} training rows", asked.batch_size, "Lower batch_size.")
    schedule = Schedule.of(asked.rows, asked.batch_size, asked.epochs)
    if schedule.steps > MOST_STEPS:
        fix = "Lower epochs, or raise batch_size."
        raise _invalid("epochs", f"at most {MOST_STEPS:,} steps in all", f"{schedule.steps:,}", fix)
    delta = default_delta(asked.rows) if asked.delta is None else asked.delta
    cache, rate, steps = settings.cache_dir(), schedule.sampling_rate, schedule.steps
    noise, cost = [], []
    for name in asked.accountants:
        for place, epsilon in enumerate(asked.epsilons):
            try:
                sigma = accountants.sigma(name, epsilon, delta, rate, steps, cache_dir=cache)
            except EpsilonUnreachable as error:
                expected, _, _ = error.detail.removeprefix("Expected ").partition(", got ")
                raise _invalid(f"epsilons.{place}", expected, f"{epsilon:g}", error.fix) from error
            spent = accountants.epsilon(name, sigma, delta, rate, steps, cache_dir=cache)
            noise.append(Account(accountant=name, epsilon=spent, sigma=sigma))
        for sigma in asked.sigmas:
            spent = accountants.epsilon(name, sigma, delta, rate, steps, cache_dir=cache)
            cost.append(Account(accountant=name, epsilon=spent, sigma=sigma))
    return Accounting(sampling_rate=rate, steps=steps, delta=delta, noise=noise, cost=cost)


def _invalid(field: str, expected: str, got: object, fix: str) -> InvalidRequest:
    problem = Problem(field=field, expected=expected, got=str(got), fix=fix)
    return InvalidRequest(f"{field}: expected {expected}, got {got}. {fix}", problems=[problem])
