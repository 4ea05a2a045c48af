"""DPSGD-F: every group has a clipping threshold of its own (Xu, Du and Wu 2021)."""

from __future__ import annotations

import numpy as np

from backend.contracts.catalogue import StatisticNoise
from worker.methods._arrays import Array, as_share, at_most, joined, largest, members, of_group
from worker.methods._private import TINY, PrivateParams
from worker.plugins import GROUP, Method, State, param


class DpsgdFParams(PrivateParams):
    """Budget, base threshold, the attribute whose groups are told apart, and the noise on their counts."""

    attribute: str = param(
        "sex",
        "Sensitive attribute",
        "Whose groups get thresholds of their own; the dataset must have it. Each training row's value is used.",
        refers_to="attribute",
        min_length=1,
        max_length=100,
    )
    clip: float = param(
        0.5,
        "Base threshold",
        "A group's threshold is this times 1 + how much more often than everybody's its gradients are longer.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
    )
    count_noise: float = param(
        10.0,
        "Noise on the counts",
        "Standard deviation of the noise on each group's two counts, of long and of short gradients in the batch.",
        unit="records",
        ge=1e-3,
        le=1e6,
        sweepable=True,
        log=True,
        advanced=True,
    )
    largest_factor: float = param(
        10.0,
        "Largest factor",
        "No threshold exceeds this times the base threshold: noise on the counts of a small group could raise it, and "
        "all the noise with it.",
        ge=2,
        le=1000,
        advanced=True,
    )


class DpsgdF(Method[DpsgdFParams]):
    """C_k = C_0 (1 + (m_k / b_k) / (m / b)), after Xu, Du and Wu 2021.

    m_k and o_k are noisy counts of the records of group k whose gradient is longer than C_0, and of the others;
    b_k = m_k + o_k, and m and b are their sums over groups. A record of group k is clipped to C_k.

    Sensitivity. A scaled gradient has norm at most C_k <= max C_k, and the thresholds follow from released counts
    alone. One record is in one group and in one of its two counts, so it changes one number of the whole vector of
    counts by 1: its L2 sensitivity is 1, however many groups there are. Gradient and counts are accounted jointly.

    Readings. The paper itself was not at hand. Esipova et al.'s code (github.com/layer6ai-labs/fair-dp) divides by the
    mean of m_k / b_k over the groups, large and small alike, where the published formula, as others quote it, has the
    share of the whole batch, m / b; so it is here. That code scales a batch by counts of the same batch, and its noise
    by the largest C_k that occurs in it, which the records decide; here counts set the thresholds of the next step,
    which begin at 2 C_0, where all groups are alike, and the noise follows the largest C_k of all groups. It has the
    same noise on both counts, deviation 10, and accounts them apart from the gradient at the same sensitivity, 1. Noisy
    counts are moved to at least 0, the sizes they are divided by to at least 1, and the factor to at most
    `largest_factor`: all of it after the noise.
    """

    name = "dpsgd_f"
    title = "DPSGD-F"
    summary = "DP-SGD that clips less in groups whose gradients are long. Uses the sensitive attribute in training."
    citation = "Xu, Du and Wu 2021, Removing disparate impact on model accuracy in DP-SGD, arXiv:2003.03699"
    private = True
    #: Two counts per group; one record is in one of them all.
    released = StatisticNoise(param="count_noise", sensitivity=1.0)
    Params = DpsgdFParams

    def attribute(self, params: DpsgdFParams) -> str:
        """Its groups."""
        return params.attribute

    def start(self, params: DpsgdFParams) -> State:
        """Of a single group: 2 C_0."""
        return {"threshold": 2 * params.clip}

    def start_groups(self, params: DpsgdFParams, groups: int) -> State:
        """2 C_0 for each group, `[groups]`."""
        return {"threshold": np.full(groups, 2 * params.clip)}

    def scale(self, norms: Array, state: State, params: DpsgdFParams) -> Array:
        """min(1, C_k / norm), `[..., records]`."""
        return at_most(of_group(state["threshold"], state.get(GROUP)) / (norms + TINY), 1.0)

    def sensitivity(self, state: State, params: DpsgdFParams) -> Array:
        """The largest C_k."""
        return largest(state["threshold"])

    def statistic(self, norms: Array, state: State, params: DpsgdFParams) -> Array:
        """`[..., records, 2 groups]`: 1 in one place of each row, for long gradients among the first half."""
        long, codes = as_share(norms > params.clip, norms)[..., None], state.get(GROUP)
        if codes is None:
            return joined(long, 1 - long)
        group = members(codes, state["threshold"].shape[-1], norms)
        return joined(group * long, group * (1 - long))

    def update(self, state: State, statistic: Array | None, params: DpsgdFParams) -> State:
        """The thresholds of the next step, `[..., groups]`, from the noisy counts `[..., 2 groups]`."""
        if statistic is None:
            return state
        counts = statistic.clip(0)
        groups = counts.shape[-1] // 2
        long = counts[..., :groups]
        size = (long + counts[..., groups:]).clip(1)
        overall = (long.sum(-1) / size.sum(-1))[..., None]
        factor = at_most(1 + long / size / (overall + TINY), params.largest_factor)
        return {"threshold": params.clip * factor}


PLUGIN = DpsgdF()
