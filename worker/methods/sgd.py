"""Minibatch gradient descent without privacy: the baseline."""

from __future__ import annotations

from worker.plugins import Method, NoParams


class Sgd(Method[NoParams]):
    """Every record's gradient is used whole and no noise is added.

    Batches are Poisson-sampled as those of the private methods are, and the sum is divided by the expected batch
    size, so that a private run of the same seed differs in clipping and noise alone.
    """

    name = "sgd"
    title = "SGD (not private)"
    summary = "Ordinary training without clipping or noise: what privacy is compared with."
    citation = "Robbins and Monro 1951, A stochastic approximation method, Ann. Math. Statist. 22(3)"
    Params = NoParams


PLUGIN = Sgd()
