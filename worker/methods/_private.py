"""What private methods share: the budget's parameters, and the adaptive clipping threshold."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from backend.contracts.catalogue import StatisticNoise
from worker.methods._arrays import Array, as_share, at_most, exp, within
from worker.plugins import Params, State, param
from worker.privacy.accounting import Accountant

#: Below this a norm counts as zero: it keeps 0 / 0 out of a scale without touching any other value.
TINY = 1e-30


class PrivateParams(Params):
    """The budget of a private method.

    The default accountant is `rdp`: it is the one that previews a study at once, so the noise shown before is the
    noise used, and it needs a few per cent more of it than the tighter two.
    """

    epsilon: float = param(
        3.0,
        "Privacy budget \u03b5",
        "How much one record may change what is learnt, at most; smaller is more private. The noise follows from it.",
        gt=0,
        le=1000,
        sweepable=True,
        log=True,
    )
    delta: float | None = param(
        None,
        "Failure probability \u03b4",
        "Probability with which \u03b5 may not hold. Empty: the largest power of ten below 1 / training rows.",
        gt=0,
        lt=1,
        log=True,
        advanced=True,
    )
    accountant: Accountant = param(
        "rdp",
        "Accountant",
        "How \u03b5 is computed: rdp (at once, needs slightly more noise), prv or pld (tighter, take seconds).",
        advanced=True,
    )


class ClippedParams(PrivateParams):
    """Budget and a fixed threshold."""

    clip: float = param(
        1.0,
        "Clipping threshold",
        "A record's gradient longer than this is shortened to it; the noise is proportional to it.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
    )


def clipped(norms: Array, threshold: Array) -> Array:
    """min(1, C / norm), `[..., records]`: a gradient scaled by it has norm at most C (Abadi et al. 2016)."""
    return at_most(threshold / (norms + TINY), 1.0)


class QuantileParams(PrivateParams):
    """A clipping threshold that follows a quantile of the gradient norms (Andrew et al. 2021), between two bounds."""

    threshold: float = param(
        0.1,
        "Initial threshold",
        "Length of gradient from which clipping starts, before it adapts.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
    )
    # Andrew et al. propose 0.5 for federated averaging. In DP-SGD on tables the median norm falls as the model learns
    # and the threshold with it, until noise and bias leave a model that predicts one class.
    quantile: float = param(
        0.8,
        "Target quantile",
        "Share of the records whose gradient should be no longer than the threshold, which follows it. A low share "
        "lets the threshold shrink until nothing more is learnt.",
        unit="share of records",
        gt=0,
        lt=1,
        sweepable=True,
    )
    threshold_rate: float = param(
        0.2,
        "Threshold learning rate",
        "How fast the threshold follows the quantile: it is multiplied by exp(-rate x (share below - quantile)).",
        gt=0,
        le=10,
        sweepable=True,
        advanced=True,
    )
    count_noise: float = param(
        0.05,
        "Noise on the count",
        "Standard deviation of the noise on the number of records below the threshold, as a share of the batch size.",
        unit="share of the batch",
        gt=0,
        le=10,
        advanced=True,
    )
    threshold_cap: float = param(
        100.0,
        "Highest threshold",
        "The threshold never rises above it. Without one it can grow without bound, and the noise with it.",
        unit="gradient norm",
        ge=1e-6,
        le=1e6,
        sweepable=True,
        log=True,
        advanced=True,
    )

    @property
    def lowest(self) -> float:
        """What the threshold never falls below; named by the methods."""
        raise NotImplementedError


class AdaptiveParams(QuantileParams):
    """The lower bound is a safeguard."""

    # Submissions are checked against the schema, where a validator's condition would not be seen.
    model_config = ConfigDict(json_schema_extra={"ordered": [["threshold_floor", "threshold_cap"]]})

    threshold_floor: float = param(
        0.01,
        "Lowest threshold",
        "The threshold never falls below it. Without one it can collapse, and the model with it.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
        advanced=True,
    )

    @property
    def lowest(self) -> float:
        """The floor."""
        return self.threshold_floor

    @model_validator(mode="after")
    def _floor_below_cap(self) -> Self:
        if self.threshold_floor > self.threshold_cap:
            raise ValueError(
                f"Expected threshold_floor={self.threshold_floor:g} <= threshold_cap={self.threshold_cap:g}; "
                "lower the floor or raise the cap."
            )
        return self


#: Noise on the count of records below the threshold: `count_noise` x batch size (sigma_b of Andrew et al.).
#: The count is centred (each record adds +1/2 or -1/2), so adding or removing one record moves it by 1/2.
NOISY_COUNT = StatisticNoise(param="count_noise", share_of_batch=True, sensitivity=0.5)


def adaptive_start(params: QuantileParams) -> State:
    """The initial threshold, between floor and cap."""
    return {"threshold": within(params.threshold, params.lowest, params.threshold_cap)}


def below_threshold(norms: Array, state: State) -> Array:
    """1 for each record whose gradient is no longer than the threshold, else 0."""
    return as_share(norms <= state["threshold"], norms)


def adapted(state: State, share_below: Array | None, params: QuantileParams) -> State:
    """C <- C exp(-eta (b - gamma)), between floor and cap: algorithm 1 of Andrew et al. 2021.

    `share_below` is the noisy share b; noise may take it outside [0, 1], and moving it back would bias it.
    """
    if share_below is None:
        return state
    move: Any = exp(-params.threshold_rate * (share_below - params.quantile))
    return {"threshold": within(state["threshold"] * move, params.lowest, params.threshold_cap)}
