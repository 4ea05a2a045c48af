"""Difficulty calibration (Watson et al. 2021): the loss compared with that of models that never saw the row."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.attacks._references import fewer, known, mean_where, too_few
from worker.attacks._target import Target
from worker.plugins import Attack, Params, param
from worker.training.losses import per_record_numpy


class CalibratedLossParams(Params):
    """Parameters of the calibrated-loss attack."""

    shadow_models: int = param(64, "Shadow models", "Models trained on other splits, for comparison.", ge=16, le=256)


class CalibratedLoss(Attack[CalibratedLossParams]):
    """Score = mean loss of the shadow models that did not train on the row, less the target's loss.

    What is easy for every model is no longer taken for a member. Losses are in nats, or squared errors for regression.
    A row that fewer than two shadow models left out has no score.
    """

    name = "calibrated_loss"
    title = "Calibrated-loss attack"
    summary = "Guesses that rows were trained on whose loss is smaller than that of models that never saw them."
    citation = (
        "Watson et al. 2021, On the importance of difficulty calibration in membership inference, arXiv:2111.08440"
    )
    Params = CalibratedLossParams
    models_param = "shadow_models"

    def undefined(self, target: Target, params: CalibratedLossParams) -> str | None:
        """Too few shadow models."""
        return too_few(target.shadows, params.shadow_models)

    def caution(self, target: Target, params: CalibratedLossParams) -> str | None:
        """That shadow models are missing."""
        return fewer(target.shadows, params.shadow_models)

    def score(self, target: Target, params: CalibratedLossParams) -> np.ndarray[Any, Any]:
        """Difference of losses, `[..., candidates]`; NaN where a row has too few models."""
        assert target.shadows is not None
        shadows = target.shadows.first(params.shadow_models)
        losses = per_record_numpy(shadows.logits, target.target, target.task)
        usual = np.where(known(~shadows.members, 2), mean_where(losses, ~shadows.members), np.nan)
        return np.asarray(usual - target.losses)


PLUGIN = CalibratedLoss()
