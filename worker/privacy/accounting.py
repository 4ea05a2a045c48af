"""Which noise a run adds: sigma from (epsilon, delta, sampling rate, steps) by three accountants, cached on disk.

`rdp` is `backend.analysis.accounting`, the same code that previews a study. `prv` is Opacus' PRV accountant (Gopi, Lee
and Wutschitz 2021), `pld` dp-accounting's privacy loss distributions (Doroshenko et al. 2022). Both are tighter by a
few per cent of sigma, and take seconds; both return an upper bound of epsilon.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from backend.analysis import accounting as renyi
from backend.analysis.accounting import Schedule, default_delta, search_noise_multiplier
from backend.contracts.runs import canonical_hash
from backend.contracts.training import Training
from backend.errors import EpsilonUnreachable

if TYPE_CHECKING:
    from worker.plugins import Mechanism, Method, Params

__all__ = ["Accountant", "Budget", "Schedule", "budget", "default_delta", "epsilon", "gradient_multiplier", "sigma"]

Accountant = Literal["rdp", "prv", "pld"]
ACCOUNTANTS: tuple[Accountant, ...] = get_args(Accountant)

#: Error that PRV may make in epsilon; it is added to what is reported. In delta it is delta / 1000.
PRV_ERROR = 0.01
#: Grid of privacy losses of PLD; rounding is upwards, so a coarser grid costs tightness and never validity.
PLD_INTERVAL = 1e-3
#: Relative width of the search with the slow accountants.
SLOW_TOLERANCE = 1e-3
#: How far from the answer of `rdp` the answers of the others are searched.
SLOW_RANGE = (0.5, 1.05)


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


def epsilon(accountant: Accountant, noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Epsilon that `steps` Poisson-subsampled Gaussian steps cost (add/remove), by one accountant."""
    if accountant == "rdp":
        return renyi.epsilon(noise_multiplier, delta, sampling_rate, steps)
    return _SLOW[accountant](noise_multiplier, delta, sampling_rate, steps)


def _prv(noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    from opacus.accountants import PRVAccountant  # slow to import: only those who ask for it pay

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sampling_rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(accountant.get_epsilon(delta, eps_error=PRV_ERROR, delta_error=delta / 1000))


def _pld(noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    step = dp_accounting.PoissonSampledDpEvent(sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    accountant = PLDAccountant(value_discretization_interval=PLD_INTERVAL)
    accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(delta))


_SLOW: dict[str, Callable[[float, float, float, int], float]] = {"prv": _prv, "pld": _pld}
_DISCRETISATION = {"rdp": len(renyi.ORDERS), "prv": PRV_ERROR, "pld": PLD_INTERVAL}


def sigma(
    accountant: Accountant,
    target_epsilon: float,
    delta: float,
    sampling_rate: float,
    steps: int,
    *,
    cache_dir: Path | None = None,
) -> float:
    """The smallest noise multiplier whose epsilon is at most `target_epsilon`. Raises `EpsilonUnreachable`.

    With a `cache_dir` the answer is kept as one small file, written atomically, so that workers may share the folder.
    """
    key: dict[str, object] = {
        "accountant": accountant,
        "discretisation": _DISCRETISATION[accountant],
        "epsilon": target_epsilon,
        "delta": delta,
        "sampling_rate": sampling_rate,
        "steps": steps,
        "format": 1,
    }
    path = None if cache_dir is None else cache_dir / "sigma" / f"{canonical_hash(key)[:32]}.json"
    kept = _read(path, key)
    if kept is not None:
        return kept
    found = _calibrate(accountant, target_epsilon, delta, sampling_rate, steps)
    if path is not None:
        _write(path, {**key, "sigma": found})
    return found


def _calibrate(accountant: Accountant, target: float, delta: float, sampling_rate: float, steps: int) -> float:
    start = renyi.noise_multiplier(target, delta, sampling_rate, steps)
    if accountant == "rdp":
        return start
    return search_noise_multiplier(
        lambda s: epsilon(accountant, s, delta, sampling_rate, steps),
        target,
        bounds=(SLOW_RANGE[0] * start, SLOW_RANGE[1] * start),
        tolerance=SLOW_TOLERANCE,
    )


def _read(path: Path | None, key: dict[str, object]) -> float | None:
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        found = float(kept.pop("sigma"))
    except (OSError, ValueError, KeyError, AttributeError):
        return None  # absent or damaged: calibrate again
    return found if kept == key else None


def _write(path: Path, content: dict[str, object]) -> None:
    """Write whole or not at all. A full disk costs the cache and not the run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump(content, file)
        os.replace(file.name, path)
    except OSError as error:
        warnings.warn(f"The noise multiplier could not be cached in {path.parent}: {error}.", stacklevel=2)


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
    return Budget(asked, delta, accountant, found, gradient_multiplier(found, mechanism), mechanism.statistic_std)
