"""The likelihood-ratio attack, LiRA (Carlini et al. 2022)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from worker.attacks._references import confidence, fewer, known, mean_where, median_where, too_few, variance_where
from worker.attacks._target import Target
from worker.plugins import Attack, Params, param

#: With fewer shadow models than this, `auto` uses one variance for all rows (as the authors advise).
ENOUGH_FOR_VARIANCE = 64
#: Least variance of a row's confidence, so that models that all agree do not divide by zero.
SMALLEST_VARIANCE = 1e-12


class LiraParams(Params):
    """Parameters of LiRA."""

    mode: Literal["online", "offline"] = param(
        "online", "Mode", "Online compares models with and without the row; offline uses those without it alone."
    )
    variance: Literal["auto", "fixed", "per_example"] = param(
        "auto", "Variance", "One for all rows, or one per row; auto takes one for all below 64 shadow models."
    )
    center: Literal["median", "mean"] = param(
        "median", "Center", "Of a row's confidences: the median as in the authors' code, or the mean as in their paper."
    )
    shadow_models: int = param(
        64,
        "Shadow models",
        "Models trained on other splits of the table; more make the attack stronger.",
        ge=16,
        le=256,
    )


class Lira(Attack[LiraParams]):
    """Fits normal distributions to a row's logit-scaled confidence phi under models with (IN) and without it (OUT).

    Online score = log N(phi; IN) - log N(phi; OUT). Offline score = (phi - center OUT) / deviation OUT, which orders
    rows as the one-sided 1 - Pr[N > phi] of the paper does, without its rounding to 1. The authors' code takes
    -log N(phi; OUT) there, two-sided: a row that is less sure than usual looks like a member too.

    A fixed variance is the mean over all rows of their variances around their own centre, IN and OUT together. The
    authors' code takes the deviation of all IN confidences for both; with one variance for both the choice changes the
    scale of online scores, not their order. Variances here divide by n - 1, theirs by n. For regression phi is minus
    the log of the squared error. A row with fewer than two OUT models, or online fewer than two IN models, has no
    score.
    """

    name = "lira"
    title = "Likelihood-ratio attack"
    summary = "Compares a row's confidence with that of shadow models trained with it and without it (LiRA)."
    citation = "Carlini et al. 2022, Membership inference attacks from first principles, arXiv:2112.03570"
    Params = LiraParams
    models_param = "shadow_models"

    def undefined(self, target: Target, params: LiraParams) -> str | None:
        """Too few shadow models."""
        return too_few(target.shadows, params.shadow_models)

    def caution(self, target: Target, params: LiraParams) -> str | None:
        """That shadow models are missing, and that it therefore takes one variance for all rows."""
        said = fewer(target.shadows, params.shadow_models)
        if said and params.variance == "auto" and params.shadow_models >= ENOUGH_FOR_VARIANCE:
            said += f" With fewer than {ENOUGH_FOR_VARIANCE} it takes one variance for all rows."
        return said

    def score(self, target: Target, params: LiraParams) -> np.ndarray[Any, Any]:
        """Log-likelihood ratio, or standard score, `[..., candidates]`; NaN where a row has too few models."""
        assert target.shadows is not None
        shadows = target.shadows.first(params.shadow_models)
        phi = confidence(shadows.logits, target.target, target.task)
        seen = confidence(target.logits, target.target, target.task)
        sides = (~shadows.members,) if params.mode == "offline" else (~shadows.members, shadows.members)
        usable = np.all([known(side, 2) for side in sides], axis=0)
        fixed = params.variance == "fixed" or (params.variance == "auto" and len(shadows) < ENOUGH_FOR_VARIANCE)
        middle = median_where if params.center == "median" else mean_where
        centers = [middle(phi, side) for side in sides]
        variances = [variance_where(phi, side) for side in sides]
        if fixed:
            pooled = np.mean([one[usable] for one in variances]) if usable.any() else np.nan
            variances = [np.full(usable.shape, pooled)] * len(sides)
        variances = [np.maximum(one, SMALLEST_VARIANCE) for one in variances]
        if params.mode == "offline":
            score = (seen - centers[0]) / np.sqrt(variances[0])
        else:
            out, inside = (
                -((seen - center) ** 2) / (2 * variance) - np.log(variance) / 2
                for center, variance in zip(centers, variances, strict=True)
            )
            score = inside - out
        return np.where(usable, score, np.nan)


PLUGIN = Lira()
