"""DP-SGD whose clipping threshold follows a quantile of the gradient norms (Andrew et al. 2021)."""

from __future__ import annotations

from worker.methods._arrays import Array, at_most
from worker.methods._private import NOISY_COUNT, TINY, AdaptiveParams, adapted, adaptive_start, below_threshold
from worker.plugins import Method, State


class AdaptiveDpSgd(Method[AdaptiveParams]):
    """Hard clipping at a threshold that is learnt privately.

    Each step releases two sums over the same batch: the clipped gradients, and the centred count of records whose
    gradient is no longer than the threshold. The accountant's sigma is split between them
    (`worker.privacy.accounting.gradient_multiplier`), so both together cost what a step of DP-SGD costs. The next
    threshold depends on the noisy count alone. Floor and cap are ours: without them the threshold can collapse or
    run away (Zhao et al. 2025, arXiv:2506.01396, show that a floor matters most for small subgroups).

    Compared with Opacus (`AdaClipDPOptimizer`): the same threshold exp(-eta (b - gamma)), the same split
    1 / sigma^2 = 1 / gradient^2 + 1 / (2 count noise)^2. It divides the count by the batch's own size, which is not
    released and which one record changes; here it is divided by the expected size, and the count is centred.
    """

    name = "adaptive_dp_sgd"
    title = "Adaptive DP-SGD"
    summary = "DP-SGD whose clipping threshold follows a private estimate of a quantile of the gradient norms."
    citation = "Andrew et al. 2021, Differentially private learning with adaptive clipping, arXiv:1905.03871"
    private = True
    released = NOISY_COUNT
    Params = AdaptiveParams

    def start(self, params: AdaptiveParams) -> State:
        """The initial threshold."""
        return adaptive_start(params)

    def scale(self, norms: Array, state: State, params: AdaptiveParams) -> Array:
        """min(1, C / norm), `[..., records]`."""
        return at_most(state["threshold"] / (norms + TINY), 1.0)

    def sensitivity(self, state: State, params: AdaptiveParams) -> Array:
        """C, the threshold of this step."""
        return state["threshold"]

    def statistic(self, norms: Array, state: State, params: AdaptiveParams) -> Array:
        """1 where the gradient is no longer than the threshold."""
        return below_threshold(norms, state)

    def update(self, state: State, statistic: Array | None, params: AdaptiveParams) -> State:
        """The next threshold."""
        return adapted(state, statistic, params)


PLUGIN = AdaptiveDpSgd()
