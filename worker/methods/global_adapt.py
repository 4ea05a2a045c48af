"""DPSGD-Global-Adapt: gradients are scaled down together and hardly ever clipped (Esipova et al. 2023)."""

from __future__ import annotations

from typing import Any

from backend.contracts.catalogue import StatisticNoise
from worker.methods._arrays import Array, as_share, exp, within
from worker.methods._private import PrivateParams
from worker.plugins import Method, State, param

#: The upper threshold stays between these whatever the noise does. Ours: without a lowest one C / Z can overflow.
LOWEST, HIGHEST = 1e-6, 1e6


class GlobalAdaptParams(PrivateParams):
    """Budget, the threshold C, and how the upper threshold Z follows the norms; defaults are the paper's for Adult."""

    clip: float = param(
        0.5,
        "Clipping threshold",
        "No record contributes more than this; the noise is proportional to it.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
    )
    upper_threshold: float = param(
        50.0,
        "Initial upper threshold",
        "Gradients up to this length are all scaled by the same factor; only longer ones are clipped.",
        unit="gradient norm",
        ge=1e-6,
        le=1e6,
        sweepable=True,
        log=True,
    )
    upper_rate: float = param(
        0.1,
        "Upper threshold learning rate",
        "The upper threshold is multiplied by exp(share above - rate) each step, so it settles where this share of the "
        "gradients is above it.",
        gt=0,
        le=1,
        sweepable=True,
    )
    tolerance: float = param(
        1.0,
        "Tolerance",
        "Gradients count as above where they are longer than this times the upper threshold.",
        gt=0,
        le=100,
        advanced=True,
    )
    bit_noise: float = param(
        10.0,
        "Noise on the count",
        "Standard deviation of the noise on the number of records above the upper threshold.",
        unit="records",
        ge=1e-3,
        le=1e6,
        advanced=True,
    )


class GlobalAdapt(Method[GlobalAdaptParams]):
    """g -> g C / max(Z, |g|): C / Z where |g| <= Z, clipped to C above; then Z <- Z exp(-lr_Z + b~).

    b~ is the noisy share of the batch whose norm exceeds `tolerance` x Z.

    Sensitivity. |g| C / max(Z, |g|) <= C for every Z > 0: the sum moves by at most C, as in DP-SGD. The scale of a
    record depends on its own norm and on Z, which follows from released counts alone.

    The count is a second query on the same batch, with noise of standard deviation `bit_noise` (10 in the authors'
    code, which accounts it as a mechanism of its own with sensitivity 1). Here it is centred, each record adding +1/2
    or -1/2, and accounted jointly with the gradient (`worker.privacy.accounting.gradient_multiplier`): the same noise
    costs less, and both together cost the asked epsilon. The share is divided by the expected batch size.

    Read from the authors' code (github.com/layer6ai-labs/fair-dp); Z is kept within [1e-6, 1e6], which is ours.
    """

    name = "global_adapt"
    title = "DPSGD-Global-Adapt"
    summary = "Scales nearly all gradients by one factor, so that clipping does not favour groups with short ones."
    citation = "Esipova et al. 2023, Disparate impact in differential privacy, arXiv:2206.07737"
    private = True
    #: The centred count of records above.
    released = StatisticNoise(param="bit_noise", sensitivity=0.5)
    Params = GlobalAdaptParams

    def start(self, params: GlobalAdaptParams) -> State:
        """Z_0."""
        return {"upper_threshold": params.upper_threshold}

    def scale(self, norms: Array, state: State, params: GlobalAdaptParams) -> Array:
        """C / max(Z, norm), `[..., records]`."""
        return params.clip / norms.clip(state["upper_threshold"])

    def sensitivity(self, state: State, params: GlobalAdaptParams) -> Array:
        """C."""
        return params.clip

    def statistic(self, norms: Array, state: State, params: GlobalAdaptParams) -> Array:
        """1 for each record whose gradient is longer than tolerance x Z, else 0."""
        return as_share(norms > params.tolerance * state["upper_threshold"], norms)

    def update(self, state: State, statistic: Array | None, params: GlobalAdaptParams) -> State:
        """Z exp(-lr_Z + share above), within [1e-6, 1e6]. Noise may take the share outside [0, 1]."""
        if statistic is None:
            return state
        move: Any = exp(statistic - params.upper_rate)
        return {"upper_threshold": within(state["upper_threshold"] * move, LOWEST, HIGHEST)}


PLUGIN = GlobalAdapt()
