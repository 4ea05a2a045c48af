"""Synthetic customers in the manner of Purchase100: made up here, so that nobody has to bring a file."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

from worker.datasets._files import Source
from worker.datasets._labelled import Bytes, Labelled, LabelledParams
from worker.datasets._table import Domain, Integers
from worker.plugins import param
from worker.training.streams import Key, Purpose, own_key, words

Doubles = np.ndarray[Any, np.dtype[np.float64]]

ITEMS = 600
ROWS = 50_000
#: Log-odds of buying an item: mean and deviation over the items, which makes about 16 % ones.
POPULARITY = (-2.0, 1.0)
#: Rows drawn together; a row is the same however many are drawn.
BLOCK = 500
#: Uniforms whose sum stands for a normal: mean 6, variance 1 (Irwin and Hall). Sums of whole numbers, so that every
#: machine draws the same.
UNIFORMS = 12
#: Probabilities are multiples of 1 / 2^16.
STEPS = 1 << 16


class PurchaseLikeParams(LabelledParams):
    """How the customers are made up."""

    classes: int = param(
        100,
        "Classes",
        "Kinds of customers, each with its own odds of buying each item; all are as frequent.",
        ge=2,
        le=200,
    )
    separation: float = param(
        0.55,
        "Separation",
        "How far kinds of customers differ: deviation of an item's log-odds between them. Larger is easier.",
        ge=0,
        le=5,
        sweepable=True,
    )
    noise: float = param(
        0.0,
        "Noise",
        "Share of items that are bought as by everybody, whatever the kind of customer. Larger is harder.",
        ge=0,
        le=1,
        sweepable=True,
    )
    data_seed: int = param(
        0,
        "Data seed",
        "Another number makes up other kinds of customers and other customers. It is not the seed of the runs.",
        ge=0,
        le=2**31 - 1,
        advanced=True,
    )


class PurchaseLike(Labelled[PurchaseLikeParams]):
    """50,000 synthetic customers and 600 items: item i is bought by kind k with log-odds b_i + separation z_ki.

    b_i and z_ki are drawn once, about normally; an item is bought independently of the others. It imitates how
    Purchase100 was made (customers clustered by what they bought) and not its content: figures on it say nothing of
    real customers. The same parameters give the same rows on every machine.

    About as hard as Purchase100: a perceptron (256 and 128 units, SGD with momentum 0.9, rate 0.1, batches of 128, 20
    epochs) fits all of its 19,800 training rows and is right on 77 % of the test rows; with 9,900 training rows, 68 %.

    Its data hash is that of a fixed sample of what the generator draws. Parameters are no part of it: a run's identity
    has them beside the hash.
    """

    name = "purchase_like"
    title = "Purchase-like (synthetic)"
    summary = "Synthetic: 50,000 made-up customers and what they bought of 600 items, to stand in for Purchase100."
    citation = "After Shokri, Stronati, Song and Shmatikov 2017, Membership inference attacks against ML models"
    Params = PurchaseLikeParams
    domain = Domain(bounds=(0.0, 1.0))
    rows = ROWS
    target = "kind of customer (synthetic)"
    licence = "Synthetic; made by Equipoise, Apache-2.0"
    origin = "Made up by a random generator; no real customers"

    def classes(self, params: PurchaseLikeParams) -> tuple[str, ...]:
        """Numbered from 1, as those of Purchase100."""
        return tuple(str(number + 1) for number in range(params.classes))

    def source(self, params: PurchaseLikeParams) -> Source:
        """Always there."""
        return Source(ROWS, _sample_hash())

    def read(self, params: PurchaseLikeParams) -> tuple[Bytes, Integers]:
        """As many rows as the limit says; row r is of the kind r modulo their number."""
        return draw(params, min(ROWS, params.limit or ROWS))


def draw(params: PurchaseLikeParams, rows: int) -> tuple[Bytes, Integers]:
    """Bits `[rows, ITEMS]` and kinds `[rows]`."""
    key = own_key(f"purchase_like/{params.data_seed}")
    below = np.round(probabilities(params) * STEPS).astype(np.uint32)
    kinds = np.arange(rows, dtype=np.int64) % params.classes
    bits = np.empty((rows, ITEMS), np.uint8)
    for block, start in enumerate(range(0, rows, BLOCK)):
        some = kinds[start : start + BLOCK]
        # Two draws of 16 bits from each word.
        drawn = words(key, Purpose.SUBSET, 2 + block, len(some) * ITEMS // 2)
        halves = np.stack([drawn & np.uint32(STEPS - 1), drawn >> np.uint32(16)], axis=1)
        bits[start : start + BLOCK] = halves.reshape(len(some), ITEMS) < below[some]
    return bits, kinds


def probabilities(params: PurchaseLikeParams) -> Doubles:
    """`[classes, ITEMS]`: how likely each kind of customer buys each item."""
    key = own_key(f"purchase_like/{params.data_seed}")
    mean, deviation = POPULARITY
    common = mean + deviation * _normals(key, 0, ITEMS)
    own = common + params.separation * _normals(key, 1, params.classes * ITEMS).reshape(params.classes, ITEMS)
    odds, everybody = np.exp(own), np.exp(common)
    mixed: Doubles = (1 - params.noise) * odds / (1 + odds) + params.noise * everybody / (1 + everybody)
    return mixed


def _normals(key: Key, step: int, count: int) -> Doubles:
    """About normal: see `UNIFORMS`."""
    drawn = words(key, Purpose.SUBSET, step, UNIFORMS * count).reshape(count, UNIFORMS)
    normal: Doubles = drawn.sum(axis=1, dtype=np.uint64) / 2.0**32 - UNIFORMS / 2
    return normal


@lru_cache(maxsize=1)
def _sample_hash() -> str:
    bits, kinds = draw(PurchaseLikeParams(), 2 * BLOCK)
    return hashlib.sha256(bits.tobytes() + kinds.astype("<i8").tobytes()).hexdigest()


PLUGIN = PurchaseLike()
