"""DP-SGD with a fixed clipping threshold (Abadi et al. 2016)."""

from __future__ import annotations

from worker.methods._arrays import Array
from worker.methods._private import ClippedParams, clipped
from worker.plugins import Method, State


class DpSgd(Method[ClippedParams]):
    """Scale = min(1, C / norm): a scaled gradient has norm at most C, which is the sensitivity of the sum."""

    name = "dp_sgd"
    title = "DP-SGD"
    summary = "Clips each record's gradient to a fixed length and adds Gaussian noise to the sum."
    citation = "Abadi et al. 2016, Deep learning with differential privacy, arXiv:1607.00133"
    private = True
    Params = ClippedParams

    def start(self, params: ClippedParams) -> State:
        """The threshold; it stays as it is."""
        return {"threshold": params.clip}

    def scale(self, norms: Array, state: State, params: ClippedParams) -> Array:
        """min(1, C / norm), `[..., records]`."""
        return clipped(norms, state["threshold"])

    def sensitivity(self, state: State, params: ClippedParams) -> Array:
        """C."""
        return state["threshold"]


PLUGIN = DpSgd()
