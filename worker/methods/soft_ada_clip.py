"""SoftAdaClip: smooth clipping by tanh of the gradient's norm, on an adaptive threshold (Soleymani et al. 2025)."""

from __future__ import annotations

from worker.methods._arrays import Array, tanh
from worker.methods._private import NOISY_COUNT, AdaptiveParams, adapted, adaptive_start, below_threshold
from worker.plugins import Method, State, param

#: A norm is at least this fraction of the threshold where tanh(x) / x is computed; there it is 1 in any precision.
SMALLEST = 1e-12


class SoftAdaClipParams(AdaptiveParams):
    """Budget, adaptive threshold, and switches where the published description can be read in two ways."""

    adaptive: bool = param(
        True,
        "Adaptive threshold",
        "Let the threshold follow the quantile. Off: it stays at its initial value and all noise goes to the gradient, "
        "which separates the effect of smoothing from that of adapting.",
        sweepable=True,
    )
    stabiliser: float = param(
        0.0,
        "Stabiliser",
        "Small constant added to the norm in the denominator. It shrinks gradients slightly and never lengthens them.",
        unit="gradient norm",
        ge=0,
        le=1,
        advanced=True,
    )


class SoftAdaClip(Method[SoftAdaClipParams]):
    """g -> g C tanh(|g| / C) / (|g| + stabiliser).

    Sensitivity. tanh(x) < 1, so a scaled gradient has norm C tanh(|g| / C) |g| / (|g| + stabiliser) < C: adding or
    removing one record moves the sum by less than C, and the accounting is that of DP-SGD at threshold C. The scale
    depends on the record's own norm alone, never on other records.

    Compared with hard clipping at the same C every gradient is shortened: at |g| = C it keeps tanh(1) = 76 %. C, or
    the quantile, and the learning rate therefore have to be tuned for it separately.

    Readings. Of the published text the abstract was at hand, and its open reviews: tanh in the place of min() inside
    adaptive clipping, a stabiliser beside the norm in its algorithm 2, and probably Adam in its code. This is what is
    implemented; whether its adaptive part uses the constants of Andrew et al. 2021 is not known, so all are parameters.
    The per-coordinate reading (C tanh(g_j / C) for each coordinate) is not offered: with d weights its L2 sensitivity
    is C sqrt(d), and the noise that this asks for leaves nothing to learn.
    """

    name = "soft_ada_clip"
    title = "SoftAdaClip"
    summary = "Shortens gradients smoothly by tanh instead of cutting them off, at an adaptive threshold."
    citation = "Soleymani et al. 2025, SoftAdaClip, arXiv:2510.01447"
    private = True
    released = NOISY_COUNT.model_copy(update={"only_if": "adaptive"})
    Params = SoftAdaClipParams

    def start(self, params: SoftAdaClipParams) -> State:
        """The initial threshold."""
        return adaptive_start(params) if params.adaptive else {"threshold": params.threshold}

    def scale(self, norms: Array, state: State, params: SoftAdaClipParams) -> Array:
        """C tanh(norm / C) / (norm + stabiliser), `[..., records]`; 1 at norm 0 without a stabiliser."""
        threshold = state["threshold"]
        x = (norms / threshold).clip(SMALLEST)
        soft = tanh(x) / x
        return soft if params.stabiliser == 0 else soft / (1 + params.stabiliser / (x * threshold))

    def sensitivity(self, state: State, params: SoftAdaClipParams) -> Array:
        """C, the threshold of this step."""
        return state["threshold"]

    def statistic(self, norms: Array, state: State, params: SoftAdaClipParams) -> Array | None:
        """1 where the gradient is no longer than the threshold, if it adapts."""
        return below_threshold(norms, state) if params.adaptive else None

    def update(self, state: State, statistic: Array | None, params: SoftAdaClipParams) -> State:
        """The next threshold."""
        return adapted(state, statistic, params)


PLUGIN = SoftAdaClip()
