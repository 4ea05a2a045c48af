"""The robust membership-inference attack, RMIA (Zarifzadeh et al. 2024)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from worker.attacks._references import fewer, known, log_mean_exp_where, too_few
from worker.attacks._target import Target
from worker.metrics._predictions import Floats
from worker.plugins import Attack, Params, param
from worker.training.losses import per_record_numpy


class RmiaParams(Params):
    """Parameters of RMIA."""

    mode: Literal["online", "offline"] = param(
        "offline", "Mode", "Online uses models with and without the row; offline uses those without it alone."
    )
    shadow_models: int = param(
        16, "Reference models", "Models trained on other splits of the table; few do already.", ge=1, le=256
    )
    gamma: float = param(2.0, "γ", "How much likelier than another row, relative to usual, counts.", ge=1, le=100)
    a: float = param(
        0.3, "a", "Offline: how far the usual likelihood of a member exceeds that of a non-member.", ge=0, le=1
    )


class Rmia(Attack[RmiaParams]):
    """Score = share of population rows z with ratio_x / ratio_z > gamma, where ratio = p(row | target) / p(row).

    Online p(row) is the mean of the mean likelihoods IN and OUT, whatever the number of reference models
    that had the row; offline ((1 + a) p_OUT + (1 - a)) / 2. The population is the validation rows: no candidates,
    and never trained on. Everything is in logarithms, and the share is found by sorting the ratios of the population,
    O(n log n). A row needs one OUT model, online one IN model as well. Not defined for regression, whose squared error
    is no likelihood.

    Compared with the authors' code (github.com/privacytrustlab/ml_privacy_meter): the same ratios and offline
    approximation. It fixes gamma = 1, tunes a on a paired model, has OUT models alone for its population and, with a
    single reference model that had the row, inverts the approximation, where here such a row has no score.
    """

    name = "rmia"
    title = "Robust attack"
    summary = "Asks against how many other rows a row is unusually likely under the target (RMIA); few models do."
    citation = "Zarifzadeh et al. 2024, Low-cost high-power membership inference attacks, arXiv:2312.03262"
    Params = RmiaParams
    models_param = "shadow_models"

    def undefined(self, target: Target, params: RmiaParams) -> str | None:
        """Regression, too few reference models, or no population."""
        if target.task == "regression":
            return "A regression's squared error is no likelihood, which the attack compares."
        if target.population is None or not len(target.population.target):
            return "There are no rows besides the candidates to compare with."
        return too_few(target.shadows, params.shadow_models)

    def caution(self, target: Target, params: RmiaParams) -> str | None:
        """That shadow models are missing."""
        return fewer(target.shadows, params.shadow_models)

    def score(self, target: Target, params: RmiaParams) -> np.ndarray[Any, Any]:
        """Share of the population that a row exceeds, `[..., candidates]`; NaN where a row has too few models."""
        assert target.population is not None
        rows, others = log_ratio(target, params), log_ratio(target.population, params)
        others = others[..., np.isfinite(others).reshape(-1, others.shape[-1]).all(axis=0)]
        if not others.shape[-1]:
            return np.full(rows.shape, np.nan)
        wanted = (rows - np.log(params.gamma)).reshape(-1, rows.shape[-1])
        pairs = zip(np.sort(others, axis=-1).reshape(-1, others.shape[-1]), wanted, strict=True)
        below = np.stack([np.searchsorted(ascending, one, side="left") for ascending, one in pairs])
        return np.where(np.isnan(rows), np.nan, below.reshape(rows.shape) / others.shape[-1])


def log_ratio(target: Target, params: RmiaParams) -> Floats:
    """log p(row | target) - log p(row), `[..., rows]`; NaN where the reference models say nothing of a row."""
    assert target.shadows is not None
    shadows = target.shadows.first(params.shadow_models)
    log_p = -per_record_numpy(shadows.logits, target.target, target.task)
    out = log_mean_exp_where(log_p, ~shadows.members)
    if params.mode == "online":
        usual = np.logaddexp(out, log_mean_exp_where(log_p, shadows.members)) - np.log(2)
        usable = known(shadows.members, 1) & known(~shadows.members, 1)
    else:
        a = params.a
        usual = np.log(((1 + a) * np.exp(out) + (1 - a)) / 2) if a < 1 else out
        usable = known(~shadows.members, 1)
    return np.where(usable, -target.losses - usual, np.nan)


PLUGIN = Rmia()
