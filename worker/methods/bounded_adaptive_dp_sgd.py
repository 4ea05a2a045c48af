"""Adaptive clipping whose threshold has a lower bound that is tuned (Zhao et al. 2025)."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, model_validator

from worker.methods._arrays import Array, at_most
from worker.methods._private import NOISY_COUNT, TINY, QuantileParams, adapted, adaptive_start, below_threshold
from worker.plugins import Method, State, param


class BoundedAdaptiveParams(QuantileParams):
    """The lower bound is the parameter to tune; the quantile is that of Andrew et al. 2021."""

    # Submissions are checked against the schema, where a validator's condition would not be seen.
    model_config = ConfigDict(json_schema_extra={"ordered": [["lower_bound", "threshold_cap"]]})

    # On Adult the threshold lies on its bound, and with 0.1 hardly anything is learnt; see docs/sharp_edges.md.
    lower_bound: float = param(
        1.0,
        "Lower bound of the threshold",
        "The threshold never falls below it, however short most gradients become: long ones, often those of small "
        "groups, keep at least this much.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
    )
    quantile: float = param(
        0.5,
        "Target quantile",
        "Share of the records whose gradient should be no longer than the threshold, which follows it down to its "
        "lower bound.",
        unit="share of records",
        gt=0,
        lt=1,
        sweepable=True,
    )

    @property
    def lowest(self) -> float:
        """The lower bound."""
        return self.lower_bound

    @model_validator(mode="after")
    def _bound_below_cap(self) -> Self:
        if self.lower_bound > self.threshold_cap:
            raise ValueError(
                f"Expected lower_bound={self.lower_bound:g} <= threshold_cap={self.threshold_cap:g}; "
                "lower the bound or raise the cap."
            )
        return self


class BoundedAdaptiveDpSgd(Method[BoundedAdaptiveParams]):
    """C <- max(lower bound, C exp(-eta (b - gamma))): hard clipping at a threshold learnt privately, bounded below.

    Sensitivity: a clipped gradient has norm at most C, the threshold of its step. Each step releases the clipped sum
    and the noisy centred count of records below the threshold, accounted jointly as in `adaptive_dp_sgd`; the bound is
    a setting, not a statistic, and costs nothing unless it is chosen by looking at the data.

    Read from the authors' code (github.com/TrustworthyMLHelsinki/adaptive-clipping-fairness): the update and the split
    of the noise are those of Andrew et al. 2021 with a lowest threshold, at the quantile 0.5 and rate 0.2 as here. The
    cap and the default of the bound are ours. Theirs differs in three things. A gradient is divided by C after
    clipping (min(1 / |g|, 1 / C), noise of sigma), which makes a learning rate L there L / C here, whatever C has
    become. Records are counted below 2.5 C in the published runs, here below C. The count is divided by the batch's
    own size, here by the expected one.
    """

    name = "bounded_adaptive_dp_sgd"
    title = "Bounded adaptive DP-SGD"
    summary = "Adaptive clipping whose threshold cannot fall below a bound, so that small groups' gradients survive."
    citation = "Zhao et al. 2025, Bounded adaptive clipping, arXiv:2506.01396"
    private = True
    released = NOISY_COUNT
    Params = BoundedAdaptiveParams

    def start(self, params: BoundedAdaptiveParams) -> State:
        """The initial threshold, not below its bound."""
        return adaptive_start(params)

    def scale(self, norms: Array, state: State, params: BoundedAdaptiveParams) -> Array:
        """min(1, C / norm), `[..., records]`."""
        return at_most(state["threshold"] / (norms + TINY), 1.0)

    def sensitivity(self, state: State, params: BoundedAdaptiveParams) -> Array:
        """C, the threshold of this step."""
        return state["threshold"]

    def statistic(self, norms: Array, state: State, params: BoundedAdaptiveParams) -> Array:
        """1 where the gradient is no longer than the threshold."""
        return below_threshold(norms, state)

    def update(self, state: State, statistic: Array | None, params: BoundedAdaptiveParams) -> State:
        """The next threshold."""
        return adapted(state, statistic, params)


PLUGIN = BoundedAdaptiveDpSgd()
