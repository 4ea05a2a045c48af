"""Privacy loss distributions of the Poisson-subsampled Gaussian mechanism, by dp-accounting; without torch.

Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022, "Connect the dots: tighter discrete approximations of privacy
loss distributions". The discretisation is pessimistic, so that what is reported is an upper bound of epsilon whatever
the grid; a coarser grid costs tightness and never validity. Adjacency is add/remove of one record, the larger of both
directions.

>>> round(epsilon(1.0, 1e-5, 0.01, 1000), 2)
1.83
"""

from __future__ import annotations

import math

import numpy as np

from backend.analysis import accounting

#: Grid of losses, as a share of the epsilon of Renyi accounting over sqrt(steps): about the loss of one step.
RELATIVE_INTERVAL = 0.015
#: The grid is never finer, which bounds the memory, nor coarser, which keeps an epsilon below one sharp.
FINEST, COARSEST = 1e-7, 1e-3
#: Of an epsilon that promises nothing, only its Renyi bound is given.
POINTLESS = 1000.0


def epsilon(noise_multiplier: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Upper bound of the epsilon of `steps` steps at `delta`; never above that of Renyi accounting.

    It is that of Renyi accounting where delta is so small that rounding could swamp it, below 2e-16 times the steps.
    """
    loose = accounting.epsilon(noise_multiplier, delta, sampling_rate, steps)
    if sampling_rate == 0 or steps == 0:
        return 0.0
    if not 0 < loose < POINTLESS:
        return loose
    from dp_accounting.pld import privacy_loss_distribution  # takes half a second: only those who ask for it pay

    interval = RELATIVE_INTERVAL * loose / math.sqrt(steps)
    coarsest = max(COARSEST, 2e-3 * loose / math.sqrt(steps))
    one = privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier,
        value_discretization_interval=min(max(interval, FINEST), coarsest),
        sampling_prob=sampling_rate,
    )
    # Its power of the transform carries one rounding a step, which its bound leaves out.
    rounding = float(np.finfo(np.float64).eps) * (steps + 64)
    if rounding >= delta:
        return loose
    with np.errstate(over="ignore"):
        # The library divides by the smallest masses; what overflows is compared and not kept.
        tight = float(one.self_compose(steps).get_epsilon_for_delta(delta - rounding))
    return min(loose, tight)
