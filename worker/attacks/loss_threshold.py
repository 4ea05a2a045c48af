"""Loss-threshold membership inference (Yeom et al. 2018): a small loss suggests a training row."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.attacks._target import Target
from worker.plugins import Attack, NoParams


class LossThreshold(Attack[NoParams]):
    """Score = minus the loss, with one threshold for everybody.

    The weakest attack in use: it needs no other model, and rows that are easy for every model look like members. A low
    figure here is no proof of privacy. Compared across subgroups it mixes memorisation with how hard the subgroup is
    (Kulynych et al. 2022).
    """

    name = "loss_threshold"
    title = "Loss-threshold attack"
    summary = "Guesses that rows with a small loss were trained on. Cheap, and the weakest attack in use."
    citation = "Yeom et al. 2018, Privacy risk in machine learning, arXiv:1709.01604"
    Params = NoParams

    def score(self, target: Target, params: NoParams) -> np.ndarray[Any, Any]:
        """Minus the loss, `[..., candidates]`."""
        return -target.losses


PLUGIN = LossThreshold()
