"""Three accountants side by side: epsilon of a noise, noise of an epsilon, kept on disk.

`rdp` is `backend.analysis.accounting`, `prv` and `pld` the modules of those names. All three bound epsilon from above,
for the same mechanism and adjacency, so the smallest of them is true too. None needs torch, so that the page, a preview
and a worker say the same.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from backend.analysis import accounting as renyi
from backend.analysis import pld, prv
from backend.contracts.runs import canonical_hash

Accountant = Literal["rdp", "prv", "pld"]
ACCOUNTANTS: tuple[Accountant, ...] = get_args(Accountant)

#: What decides the digits of each; part of the key under which answers are kept.
DISCRETISATION: dict[Accountant, object] = {
    "rdp": len(renyi.ORDERS),
    "prv": [prv.RELATIVE_ERROR, prv.DELTA_ERROR],
    "pld": [pld.RELATIVE_INTERVAL, pld.FINEST, pld.COARSEST],
}
#: How much less than the asked epsilon the calibrated noise of `prv` and `pld` may cost, as a share of it.
EPSILON_TOLERANCE = 1e-3
#: Relative error of the grid on which the noise of `prv` is looked for first.
COARSE = 2e-2
#: Raised when an answer changes for another reason than the above.
FORMAT = 4


def epsilon(
    accountant: Accountant,
    noise_multiplier: float,
    delta: float,
    sampling_rate: float,
    steps: int,
    *,
    cache_dir: Path | None = None,
) -> float:
    """Epsilon that `steps` Poisson-subsampled Gaussian steps cost (add/remove of one record), by one accountant."""
    key = _key(accountant, delta, sampling_rate, steps, noise_multiplier=noise_multiplier)
    path = None if cache_dir is None else cache_dir / "epsilon" / f"{canonical_hash(key)[:32]}.json"
    kept = _read(path, key)
    if kept is None:
        kept = _epsilon(accountant, noise_multiplier, delta, sampling_rate, steps)
        _write(path, key, kept)
    return kept


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
    key = _key(accountant, delta, sampling_rate, steps, epsilon=target_epsilon)
    path = _sigma_path(cache_dir, key)
    kept = _read(path, key)
    if kept is None:
        kept = _calibrate(accountant, target_epsilon, delta, sampling_rate, steps)
        _write(path, key, kept)
    return kept


def kept_sigma(
    accountant: Accountant, target_epsilon: float, delta: float, sampling_rate: float, steps: int, *, cache_dir: Path
) -> float | None:
    """What `sigma` would answer, where that takes no time: by `rdp`, or worked out before. Else None."""
    if accountant == "rdp":
        return sigma(accountant, target_epsilon, delta, sampling_rate, steps)
    key = _key(accountant, delta, sampling_rate, steps, epsilon=target_epsilon)
    return _read(_sigma_path(cache_dir, key), key)


def _sigma_path(cache_dir: Path | None, key: dict[str, object]) -> Path | None:
    return None if cache_dir is None else cache_dir / "sigma" / f"{canonical_hash(key)[:32]}.json"


@lru_cache(maxsize=4096)
def _epsilon(accountant: Accountant, noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    if accountant == "rdp":
        return renyi.epsilon(noise_multiplier, delta, sampling_rate, steps)
    if accountant == "prv":
        return prv.epsilon(noise_multiplier, delta, sampling_rate, steps).upper
    return pld.epsilon(noise_multiplier, delta, sampling_rate, steps)


@lru_cache(maxsize=4096)
def _calibrate(accountant: Accountant, target: float, delta: float, sampling_rate: float, steps: int) -> float:
    """The noise that `rdp` needs is enough for all; from there downwards. `prv` looks on a coarse grid first."""
    enough = math.log(renyi.noise_multiplier(target, delta, sampling_rate, steps))
    if accountant == "rdp" or enough <= math.log(renyi.SIGMA_RANGE[0]):
        return math.exp(enough)

    def excess(place: float) -> float:
        return _log_ratio(_epsilon(accountant, math.exp(place), delta, sampling_rate, steps), target)

    def roughly(place: float) -> float:
        found = prv.epsilon(math.exp(place), delta, sampling_rate, steps, relative_error=COARSE)
        margin = (found.upper - found.estimate) * prv.RELATIVE_ERROR / COARSE
        return _log_ratio(found.estimate + margin, target)

    first = _search(roughly, enough) if accountant == "prv" else None
    return math.exp(_search(excess, enough, first))


def _log_ratio(found: float, target: float) -> float:
    return max(math.log(max(found, 1e-300) / target), -3.0)


def _search(excess: Callable[[float], float], enough: float, first: float | None = None) -> float:
    """The smallest log sigma at which `excess`, a log ratio of epsilons, is at most 0; at `enough` it is.

    Secant steps. The interval between too little and enough only ever shrinks, and its upper end is the answer.
    """
    too_little, at_too_little, at_enough = math.log(renyi.SIGMA_RANGE[0]), math.nan, math.nan
    if first is not None and too_little < first < enough:
        value = excess(first)
        if value <= 0:
            enough, at_enough = first, value
        else:
            too_little, at_too_little = first, value
    if math.isnan(at_enough):
        at_enough = excess(enough)
    aim = -EPSILON_TOLERANCE / 2
    for turn in range(60):
        if at_enough > -EPSILON_TOLERANCE or enough - too_little < 1e-6:
            break
        if math.isnan(at_too_little):  # log epsilon falls at least about as fast as log sigma grows
            guess = enough - 1.2 * max(aim - at_enough, EPSILON_TOLERANCE)
        elif turn % 5 == 4:
            guess = (enough + too_little) / 2
        else:
            guess = enough + (too_little - enough) * (aim - at_enough) / (at_too_little - at_enough)
        guess = min(max(guess, too_little + 1e-7), enough - 1e-7)
        value = excess(guess)
        if value <= 0:
            enough, at_enough = guess, value
        else:
            too_little, at_too_little = guess, value
    return enough


def _key(accountant: Accountant, delta: float, sampling_rate: float, steps: int, **asked: float) -> dict[str, object]:
    return {
        "accountant": accountant,
        "discretisation": DISCRETISATION[accountant],
        "delta": delta,
        "sampling_rate": sampling_rate,
        "steps": steps,
        "format": FORMAT,
        **asked,
    }


def _read(path: Path | None, key: dict[str, object]) -> float | None:
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        found = float(kept.pop("answer"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None  # absent or damaged: worked out again
    return found if kept == key and math.isfinite(found) else None


def _write(path: Path | None, key: dict[str, object], answer: float) -> None:
    """Write whole or not at all. A full disk costs the cache and not the run."""
    if path is None or not math.isfinite(answer):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump({**key, "answer": answer}, file)
        os.replace(file.name, path)
    except OSError as error:
        warnings.warn(f"An answer of the accountants could not be cached in {path.parent}: {error}.", stacklevel=3)
