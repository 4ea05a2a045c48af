"""Adversarial training: the model learns from the inputs that make it worst."""

from __future__ import annotations

from worker.methods._adversarial import AdversaryParams, Perturbed
from worker.plugins import Method
from worker.training.objective import Objective


class Pgd(Method[AdversaryParams]):
    """The loss of each batch at the inputs that projected gradient ascent finds within the perturbation."""

    name = "pgd"
    title = "Adversarial training (PGD)"
    summary = "Trains on inputs that are moved, within a bound, to where the model is most wrong."
    citation = "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, ICLR"
    Params = AdversaryParams

    def objective(self, params: AdversaryParams) -> Objective:
        """Training on perturbed inputs."""
        return Perturbed(params)


PLUGIN = Pgd()
