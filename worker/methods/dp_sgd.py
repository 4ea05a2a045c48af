"""DP-SGD with a fixed clipping threshold (Abadi et al. 2016)."""

from __future__ import annotations

from worker.methods._arrays import Array, at_most
from worker.methods._private import TINY, PrivateParams
from worker.plugins import Method, State, param


class DpSgdParams(PrivateParams):
    """Budget and threshold."""

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


class DpSgd(Method[DpSgdParams]):
    """Scale = min(1, C / norm): a scaled gradient has norm at most C, which is the sensitivity of the sum."""

    name = "dp_sgd"
    title = "DP-SGD"
    summary = "Clips each record's gradient to a fixed length and adds Gaussian noise to the sum."
    citation = "Abadi et al. 2016, Deep learning with differential privacy, arXiv:1607.00133"
    private = True
    Params = DpSgdParams

    def start(self, params: DpSgdParams) -> State:
        """The threshold; it stays as it is."""
        return {"threshold": params.clip}

    def scale(self, norms: Array, state: State, params: DpSgdParams) -> Array:
        """min(1, C / norm), `[..., records]`."""
        return at_most(state["threshold"] / (norms + TINY), 1.0)

    def sensitivity(self, state: State, params: DpSgdParams) -> Array:
        """C."""
        return state["threshold"]


PLUGIN = DpSgd()
