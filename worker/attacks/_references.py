"""What attacks compute of shadow models: statistics of rows that a model was, and was not, trained on."""

from __future__ import annotations

import numpy as np
from scipy import special

from worker.attacks._target import Shadows
from worker.datasets._table import Task
from worker.metrics._predictions import Array, Flags, Floats
from worker.training.losses import per_record_numpy

#: With fewer usable shadow models than this, or than were asked for if that is less, an attack has no figures.
FEWEST_MODELS = 8
#: Keeps the logarithm of a squared error finite.
SMALLEST_ERROR = 1e-12


def confidence(logits: Array, target: Array, task: Task) -> Floats:
    """Logit-scaled confidence `[..., rows]` in float64: log p_y - log sum over y' != y of p_y' (Carlini et al. 2022).

    Computed from the logits, logit_y - logsumexp of the others, hence exact however sure the model is. For regression
    minus the log of the squared error: the scale on which errors are nearest to a normal distribution.

    >>> confidence(np.array([[3.0, 1.0], [1000.0, 0.0]]), np.array([0, 1]), "binary").tolist()
    [2.0, -1000.0]
    """
    if task == "regression":
        return np.asarray(-np.log(per_record_numpy(logits, target, task) + SMALLEST_ERROR))
    exact = logits.astype(np.float64)
    if exact.shape[-1] == 2:
        difference = exact[..., 1] - exact[..., 0]
        return np.asarray(np.where(target == 1, difference, -difference))
    right = np.broadcast_to(np.asarray(target, np.int64), exact.shape[:-1])[..., None]
    own = np.take_along_axis(exact, right, axis=-1)[..., 0]
    np.put_along_axis(exact, right, -np.inf, axis=-1)
    return np.asarray(own - special.logsumexp(exact, axis=-1))


def known(inside: Flags, least: int) -> Flags:
    """`[rows]` whether at least `least` of the models are marked in `inside[models, rows]`."""
    return np.asarray(inside.sum(axis=0) >= least)


def mean_where(values: Array, inside: Flags) -> Floats:
    """`[rows]` means of `values[models, rows]` over the marked models; NaN where none is."""
    count = inside.sum(axis=0)
    total = np.where(inside, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def median_where(values: Array, inside: Flags) -> Floats:
    """`[rows]` medians of `values[models, rows]` over the marked models; NaN where none is."""
    count = inside.sum(axis=0)
    ascending = np.sort(np.where(inside, values, np.inf).T, axis=1)
    rows = np.arange(len(count))
    middle = (
        ascending[rows, np.maximum(count - 1, 0) // 2] / 2
        + ascending[rows, np.minimum(count // 2, len(inside) - 1)] / 2
    )
    return np.where(count > 0, middle, np.nan)


def variance_where(values: Array, inside: Flags) -> Floats:
    """`[rows]` variances (n - 1) of `values[models, rows]` over the marked models; NaN where fewer than two are."""
    count = inside.sum(axis=0)
    squares = np.where(inside, (values - mean_where(values, inside)) ** 2, 0.0).sum(axis=0)
    return np.asarray(np.divide(squares, count - 1, out=np.full(count.shape, np.nan), where=count > 1))


def log_mean_exp_where(values: Array, inside: Flags) -> Floats:
    """`[rows]` log of the mean of exp `values[models, rows]` over the marked models; NaN where none is."""
    masked = np.where(inside, values, -np.inf)
    top = masked.max(axis=0)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        answer = shift + np.log(np.exp(masked - shift).sum(axis=0) / inside.sum(axis=0))
    return np.where(inside.any(axis=0), answer, np.nan)


def fewer(shadows: Shadows | None, asked: int) -> str | None:
    """What is to be said of figures that rest on fewer shadow models than were asked for; None where all are there."""
    there = 0 if shadows is None else min(len(shadows), asked)
    if there >= asked:
        return None
    return (
        f"Only {there} of {asked} shadow models could be used, the others diverged or failed: the attack is weaker "
        "than it should be, and what it does not find may leak all the same."
    )


def too_few(shadows: Shadows | None, asked: int) -> str | None:
    """Why the shadow models do not do for an attack that asked for so many, or None where they do."""
    there, needed = 0 if shadows is None else min(len(shadows), asked), min(FEWEST_MODELS, asked)
    if there >= needed:
        return None
    left_out = "" if shadows is None or not shadows.left_out else f", {shadows.left_out} diverged or failed"
    return f"The attack needs at least {needed} shadow models, there are {there}{left_out}."
