"""DP-SGD on perturbed inputs: private and adversarial training at once."""

from __future__ import annotations

from worker.methods._adversarial import AdversaryParams, Perturbed
from worker.methods._arrays import Array
from worker.methods._private import ClippedParams, clipped
from worker.plugins import Method, State
from worker.training.objective import Objective


class DpPgdParams(ClippedParams, AdversaryParams):
    """Budget, threshold and perturbation."""


class DpPgd(Method[DpPgdParams]):
    """Each record's gradient at its own perturbed input, clipped as in DP-SGD.

    A record's perturbed input follows from that record and the weights, which are released: its scaled gradient still
    has norm at most C, and the sensitivity of the sum is that of DP-SGD. A layer that mixes records, such as batch
    normalisation, would break this.
    """

    name = "dp_pgd"
    title = "DP-SGD + PGD"
    summary = "Clips and noises the gradients of adversarial training: privacy and robustness at once."
    citation = "Madry et al. 2018 and Abadi et al. 2016, combined record by record"
    private = True
    Params = DpPgdParams

    def objective(self, params: DpPgdParams) -> Objective:
        """Perturbed inputs."""
        return Perturbed(params)

    def start(self, params: DpPgdParams) -> State:
        """The threshold; it stays as it is."""
        return {"threshold": params.clip}

    def scale(self, norms: Array, state: State, params: DpPgdParams) -> Array:
        """min(1, C / norm), `[..., records]`."""
        return clipped(norms, state["threshold"])

    def sensitivity(self, state: State, params: DpPgdParams) -> Array:
        """C."""
        return state["threshold"]


PLUGIN = DpPgd()
