"""Which noise a run adds: sigma from (epsilon, delta, sampling rate, steps) by three accountants, cached on disk.

The accountants are `backend.analysis.accountants`, the same code that previews a study and answers the calculator. Here
is what a run makes of them: its budget, the part of the noise that the gradient gets where a side statistic is released
too, and what each accountant says of the noise that was used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.analysis.accountants import ACCOUNTANTS, Accountant, epsilon, sigma
from backend.analysis.accounting import Schedule, default_delta
from backend.contracts.training import Training
from backend.errors import EpsilonUnreachable

if TYPE_CHECKING:
    from worker.plugins import Mechanism, Method, Params

__all__ = [
    "ACCOUNTANTS",
    "Accountant",
    "Budget",
    "Schedule",
    "budget",
    "default_delta",
    "epsilon",
    "gradient_multiplier",
    "side_by_side",
    "sigma",
]


@dataclass(frozen=True)
class Budget:
    """What a private run may spend and the noise that follows.

    `sigma` is the multiplier that the accountant charges; `gradient_multiplier` is the part on the gradient, larger
    where a side statistic is released with noise of standard deviation `statistic_std`.
    """

    epsilon: float
    delta: float
    accountant: Accountant
    sigma: float
    gradient_multiplier: float
    statistic_std: float | None
    cache_dir: Path | None = field(default=None, compare=False, repr=False)


def side_by_side(spent: Budget, schedule: Schedule) -> tuple[float, ...]:
    """Epsilon of the noise that was used, by each of `ACCOUNTANTS`; then the sigma each needs for the epsilon asked.

    All of it is about `spent.sigma`, which pays for the gradient and for a statistic released beside it
    (`gradient_multiplier`), so nothing is left out for an adaptive method. Runs of one setting share the answer.
    """
    return _side_by_side(
        spent.sigma, spent.epsilon, spent.delta, schedule.sampling_rate, schedule.steps, spent.cache_dir
    )


@lru_cache(maxsize=4096)
def _side_by_side(
    used: float, asked: float, delta: float, rate: float, steps: int, cache_dir: Path | None
) -> tuple[float, ...]:
    says = [epsilon(name, used, delta, rate, steps, cache_dir=cache_dir) for name in ACCOUNTANTS]
    needs = [sigma(name, asked, delta, rate, steps, cache_dir=cache_dir) for name in ACCOUNTANTS]
    return (*says, *needs)


def gradient_multiplier(noise_multiplier: float, mechanism: Mechanism) -> float:
    """Noise multiplier of the gradient so that gradient and statistic together cost `noise_multiplier`.

    Both are sums over the same Poisson batch. Divide each coordinate by its noise: one record then moves the joint
    sum by at most sqrt(1 / z^2 + (s / std)^2) with multiplier z on the gradient and a statistic of sensitivity s, and
    the pair is one Gaussian mechanism whose multiplier is the inverse. Solved for z; with s = 1/2 this is theorem 1
    of Andrew et al. 2021. Raises `EpsilonUnreachable` where the statistic alone spends it all.

    >>> from worker.plugins import Mechanism
    >>> round(gradient_multiplier(1.0, Mechanism(statistic_std=256 / 20)), 4)
    1.0008
    """
    if mechanism.statistic_std is None:
        return noise_multiplier
    spent = mechanism.statistic_sensitivity / mechanism.statistic_std
    left = noise_multiplier**-2 - spent**2
    if left <= 0:
        raise EpsilonUnreachable(
            f"Expected noise of more than {mechanism.statistic_sensitivity * noise_multiplier:.3g} on the statistic "
            f"that adapts the clipping threshold, got {mechanism.statistic_std:.3g}: it spends the whole budget.",
            fix="Raise the batch size, the share of noise on the count, or epsilon.",
        )
    return 1 / math.sqrt(left)


def budget(
    method: Method[Params], params: Params, training: Training, rows: int, *, cache_dir: Path | None = None
) -> Budget | None:
    """What a run may spend and the noise that follows; None for a method that is not private.

    `rows` is the number of training rows: the n of sampling rate and of the default delta. A private method's
    parameters have `epsilon`, and may have `delta` (None: `default_delta`) and `accountant` (default: rdp).
    """
    if not method.private:
        return None
    asked = float(getattr(params, "epsilon"))  # noqa: B009 - by convention of private methods, not by type
    given = getattr(params, "delta", None)
    delta = default_delta(rows) if given is None else float(given)
    accountant: Accountant = getattr(params, "accountant", "rdp")
    schedule = Schedule.of(rows, training.batch_size, training.epochs)
    mechanism = method.mechanism(params, training)
    found = sigma(accountant, asked, delta, schedule.sampling_rate, schedule.steps, cache_dir=cache_dir)
    return Budget(
        asked, delta, accountant, found, gradient_multiplier(found, mechanism), mechanism.statistic_std, cache_dir
    )
