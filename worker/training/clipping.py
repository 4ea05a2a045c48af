"""What a method's clipping does to the gradients of each subgroup: looked at a few times along training.

On a sample of training rows, at weights w and the method's state there: the norm n of each record's gradient g and the
factor s by which the method would scale it. Of a group of records then

- quantiles of n;
- the cosine of sum(s g) and sum(g): whether the group's gradient still points where it did (Esipova et al. 2023,
  arXiv:2206.07737, find disparate impact to follow from this misalignment);
- sum(s n) / sum(n), the share of length that is left;
- the share of records that are clipped. "Longer than the sensitivity" says that of hard clipping alone, so a record
  counts as clipped where its factor is smaller than the largest that the method gives: to a gradient of length 0, or in
  the sample. That is norm > C for hard clipping, norm > Z for DPSGD-Global-Adapt, whose common factor C / Z bends
  nothing, and nearly every record for a smooth method.

Sums of gradients are never formed record by record. For linear layers, with input x and error d of a record, the
gradient is d [x, 1]^T: its squared norm is |d|^2 (|x|^2 + 1) (Goodfellow 2015, arXiv:1510.01799), and a sum over
records is a product of matrices. How gradients are taken is the engine's own: this file asks for norms and for products
of sums, and makes figures of them, of all looks of a run at once when they are asked for.

All of it is computed on private rows without noise: epsilon does not cover it. Nothing here touches what training
reads. The sample is drawn for its own purpose and from the seed alone: runs of a seed are looked at through the same
rows, so that methods are compared in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from worker.datasets._table import Integers, Task
from worker.metrics._groups import Groups
from worker.plugins import GROUP, State
from worker.training.engine import Examples, Work
from worker.training.streams import Key, Purpose, uniforms

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Rows of a sample, at most.
SAMPLE_ROWS = 1024
#: Groups of fewer sampled rows have no figures.
LEAST_ROWS = 10
#: Times at which a run is looked at after its start, at most, and the least ratio between two of them.
TIMES, RATIO = 8, 2.5
#: In per cent.
QUANTILES = (5, 25, 50, 75, 95)
#: Name and unit of what is recorded of everybody and of each subgroup.
SERIES = (
    *((f"gradient_norm_p{share:02d}", "gradient norm") for share in QUANTILES),
    ("gradient_cosine", "cosine"),
    ("share_clipped_sample", "share of records"),
    ("gradient_length_kept", "share of length"),
)
#: Factors that differ by less, relative to the larger, count as equal.
SAME = 1e-4
#: A sum of gradients shorter than this share of their lengths is rounding, and has no direction.
CANCELLED = 1e-6


def times(epochs: int) -> tuple[int, ...]:
    """Epochs after which a run is looked at: 0, the first, the last and some between, in geometric steps.

    >>> times(1), times(10), times(100)
    ((0, 1), (0, 1, 3, 10), (0, 1, 3, 6, 16, 40, 100))
    """
    steps = min(TIMES - 1, math.floor(math.log(epochs, RATIO)))
    return tuple(sorted({0, 1, epochs} | {round(epochs ** (k / steps)) for k in range(1, steps)}))


@lru_cache(maxsize=16)
def places(key: Key, rows: int) -> Integers:
    """`[min(rows, SAMPLE_ROWS)]` different places among the training rows, ascending, from a seed's shared key."""
    if rows <= SAMPLE_ROWS:
        return np.arange(rows, dtype=np.int64)
    drawn = uniforms(key, Purpose.CLIPPING_SAMPLE, 0, rows)
    return np.sort(np.argpartition(drawn, SAMPLE_ROWS)[:SAMPLE_ROWS])


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows looked at, ordered by the cells that subgroups consist of.

    `rows` are their places among the training rows, `examples` the rows themselves, `names` the subgroups with at least
    `LEAST_ROWS` of them, the first being all; `members[group, cell]` says which cells a subgroup is made of, and
    `starts` `[cells + 1]` where cells begin.
    """

    rows: Integers
    examples: Examples
    names: tuple[str, ...]
    members: Floats
    starts: Integers

    @classmethod
    def of(cls, train: Examples, rows: Integers, groups: Groups) -> Sample:
        """`groups` are those of these rows of the training part."""
        kinds, cell = np.unique(groups.masks, axis=1, return_inverse=True)
        cell = cell.reshape(-1)
        order = np.argsort(cell, kind="stable")
        large = np.flatnonzero(groups.sizes >= LEAST_ROWS)
        rows, starts = rows[order], np.searchsorted(cell[order], np.arange(kinds.shape[1] + 1))
        arrays = (getattr(train, name)[rows] for name in ("numeric", "active", "target"))
        examples = Examples(train.rows[rows], train.inputs, *arrays)
        return cls(rows, examples, tuple(groups.names[g] for g in large), kinds[large].astype(np.float64), starts)

    @classmethod
    def draw(cls, train: Examples, groups_of: Callable[[Integers], Groups], key: Key) -> Sample:
        """`groups_of` answers the subgroups of training rows, given by their places; `key` is a seed's shared key."""
        rows = places(key, len(train))
        return cls.of(train, rows, groups_of(rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.starts) - 1

    @cached_property
    def cell(self) -> Integers:
        """`[rows]`, ascending."""
        return np.repeat(np.arange(self.cells), np.diff(self.starts))

    @cached_property
    def places(self) -> list[Integers]:
        """Of each group the places of its rows in the sample."""
        return [np.flatnonzero(mask) for mask in self.members[:, self.cell] > 0]

    @cached_property
    def sizes(self) -> Integers:
        """`[groups]` rows."""
        return np.array([len(places) for places in self.places])

    def sums(self, values: Array) -> Floats:
        """`[..., groups]` of `values[..., k, rows]`."""
        return np.asarray(np.add.reduceat(values, self.starts[:-1], axis=-1) @ self.members.T)

    @cached_property
    def parts(self) -> tuple[Integers, Integers]:
        """Cells of the first group, of the second, ..., and `[groups + 1]` where those of each begin."""
        groups, cells = np.nonzero(self.members)
        return np.ascontiguousarray(cells), np.searchsorted(groups, np.arange(len(self.names) + 1))

    @cached_property
    def features(self) -> torch.Tensor:
        """`[rows, inputs + 1]` float32, the last column being 1."""
        return _with_ones(torch.from_numpy(self.examples.features))

    @cached_property
    def target(self) -> torch.Tensor:
        """`[rows]`."""
        return torch.from_numpy(np.ascontiguousarray(self.examples.target))


class Gradients(Protocol):
    """The gradients of a sample's rows at one place of training: of one run, or of several at a time."""

    def norms(self) -> Array:
        """`[runs, rows]` float32 lengths."""

    def products(self, factors: Array) -> Floats:
        """`[runs, groups, 3]`, of each group's sum of gradients and of its sum of gradients times `factors`
        `[runs, rows]` float32: the square of the first, the inner product of both, the square of the second.
        """


class Look(NamedTuple):
    """What was seen of one run at one place: `norms`, `factors` and the largest factors a record could have had there,
    `lenient`, are `[rows]`; `products` are `[groups, 3]` as `Gradients` has them; `limit` is the method's sensitivity.
    """

    limit: float
    norms: Array
    factors: Array
    lenient: Array
    products: Floats


def look(gradients: Gradients, sample: Sample, works: Sequence[Work], states: Sequence[State]) -> list[Look]:
    """Of each run, by its own method with its state there. Nothing is seen of a sample without groups but the limit."""
    limits = [
        float(work.method.sensitivity(state, work.method_params)) for work, state in zip(works, states, strict=True)
    ]
    if not sample.names:
        nothing = np.zeros(0, np.float32)
        return [Look(limit, nothing, nothing, nothing, np.zeros((0, 3))) for limit in limits]
    norms = gradients.norms()
    factors, lenient = np.empty_like(norms), np.empty_like(norms)
    zeros = np.zeros_like(norms[0])
    with np.errstate(all="ignore"):
        for run, (work, state) in enumerate(zip(works, states, strict=True)):
            shown = {name: np.asarray(value) if np.ndim(value) else value for name, value in state.items()}
            if work.groups is not None:
                shown[GROUP] = work.groups.codes[sample.rows]
            factors[run] = work.method.scale(norms[run], shown, work.method_params)
            lenient[run] = work.method.scale(zeros, shown, work.method_params)
    return list(map(Look, limits, norms, factors, lenient, gradients.products(factors)))


# --- figures ----------------------------------------------------------------------------------------------------------


def figures(looks: Sequence[Look], sample: Sample) -> Floats:
    """`[looks, groups, series]` as `SERIES` names them; NaN where not defined, as in a run whose gradients are no
    longer numbers. Each look's are the same bits whatever other looks are there.
    """
    found = np.full((len(looks), len(sample.names), len(SERIES)), np.nan)
    known = [i for i, one in enumerate(looks) if np.isfinite(one.norms).all() and np.isfinite(one.factors).all()]
    if not known or not sample.names:
        return found
    norms, factors, lenient, products = (
        np.stack([getattr(looks[i], name) for i in known]) for name in ("norms", "factors", "lenient", "products")
    )
    quantiles = _quantiles(norms, sample)
    norms, factors, lenient = (values.astype(np.float64) for values in (norms, factors, lenient))
    clipped = factors < (1 - SAME) * np.maximum(lenient, factors.max(axis=1, keepdims=True))
    sums = sample.sums(np.stack([norms, norms * factors, clipped], axis=1))
    total, scaled, count = np.moveaxis(sums, 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole, cross, left = np.moveaxis(products, 2, 0)
        direction = cosine(whole, cross, left, total, scaled)
        kept = np.where(total > 0, scaled / total, np.nan)
    others = np.stack([direction, count / sample.sizes, kept], axis=2)
    found[known] = np.concatenate([quantiles, others], axis=2)
    return found


def cosine(whole: Floats, cross: Floats, left: Floats, total: Floats, scaled: Floats) -> Floats:
    """Of sums of vectors, elementwise, from their squares and inner products; NaN where cancelled down to rounding.

    `total` and `scaled` are the sums of the vectors' lengths.

    >>> float(cosine(*map(np.float64, (4.0, 2.0, 1.0, 2.0, 1.0))))
    1.0
    """
    known = (whole > (CANCELLED * total) ** 2) & (left > (CANCELLED * scaled) ** 2)
    return np.asarray(np.where(known, np.clip(cross / np.sqrt(whole * left), -1, 1), np.nan))


def _quantiles(norms: Array, sample: Sample) -> Floats:
    """`[looks, groups, quantiles]`, linear between order statistics as `numpy.quantile` has them, which would sort for
    each of them."""
    ordered = np.concatenate([np.sort(norms[:, rows], axis=1) for rows in sample.places], axis=1).astype(np.float64)
    sizes = sample.sizes[:, None]
    first, at = np.cumsum(sizes, axis=0) - sizes, np.array(QUANTILES) / 100 * (sizes - 1)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, sizes - 1)
    below, above = ordered[:, first + low], ordered[:, first + high]
    return np.asarray(below + (at - low) * (above - below))


# --- linear layers, in torch ------------------------------------------------------------------------------------------


def _slope(activation: str, z: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """Derivative of an activation at z, from its answer where that suffices."""
    if activation == "relu":
        return (answer > 0).to(z.dtype)
    if activation == "tanh":
        return 1 - answer * answer
    # GELU: x P(x) with the normal distribution's P.
    share: torch.Tensor = torch.special.ndtr(z)
    return share + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
}


class LinearGradients:
    """Of linear layers with one kind of activation between them, of several runs at once, on any device.

    `matrices` are `[runs, inputs + 1, outputs]` of each layer, the last row being the bias.
    """

    def __init__(self, matrices: Sequence[torch.Tensor], activation: str, task: Task, sample: Sample) -> None:
        self._sample = sample
        #: What each layer takes with a 1 for the bias, `[runs or 1, rows, inputs + 1]`, and the derivatives of each
        #: record's loss by what it answers, `[runs, rows, outputs]`.
        self._inputs = [sample.features.to(matrices[0].device)[None]]
        slopes = []
        for matrix in matrices[:-1]:
            z = torch.matmul(self._inputs[-1], matrix)
            hidden = ACTIVATIONS[activation](z)
            slopes.append(_slope(activation, z, hidden))
            self._inputs.append(_with_ones(hidden))
        logits = torch.matmul(self._inputs[-1], matrices[-1])
        self._errors = [_head_errors(logits, sample.target.to(logits.device), task)]
        for matrix, slope in zip(reversed(matrices[1:]), reversed(slopes), strict=True):
            self._errors.insert(0, torch.matmul(self._errors[0], matrix[:, :-1].transpose(1, 2)).mul_(slope))

    def norms(self) -> Array:
        """`[runs, rows]`."""
        squares = torch.zeros_like(self._errors[0][:, :, 0])
        for taken, error in zip(self._inputs, self._errors, strict=True):
            squares += taken.square().sum(dim=2) * error.square().sum(dim=2)
        answer: Array = squares.sqrt_().cpu().numpy()
        return answer

    def products(self, factors: Array) -> Floats:
        """`[runs, groups, 3]`."""
        device = self._errors[0].device
        scale = torch.from_numpy(np.ascontiguousarray(factors, np.float32)).to(device)[:, :, None]
        both = [torch.cat([error, error * scale], dim=2) for error in self._errors]
        total = torch.zeros(len(scale), len(self._sample.names), 3, dtype=torch.float64, device=device)
        for group, places in enumerate(self._sample.places):
            rows = torch.from_numpy(places).to(device)
            for taken, pair in zip(self._inputs, both, strict=True):
                sums = torch.matmul(taken[:, rows].transpose(1, 2), pair[:, rows])
                whole, scaled = sums.chunk(2, dim=2)
                for place, (a, b) in enumerate(((whole, whole), (whole, scaled), (scaled, scaled))):
                    total[:, group, place] += (a * b).sum(dim=(1, 2), dtype=torch.float64)
        answer: Floats = total.cpu().numpy()
        return answer


def _with_ones(values: torch.Tensor) -> torch.Tensor:
    return torch.cat([values, values.new_ones(*values.shape[:-1], 1)], dim=-1)


def _head_errors(logits: torch.Tensor, target: torch.Tensor, task: Task) -> torch.Tensor:
    """`[runs, rows, outputs]` derivatives of each record's loss by its logits."""
    if task == "regression":
        return 2 * (logits - target[:, None])
    label = target[None, :, None].expand(len(logits), -1, 1)
    # p - 1 for the true class is minus the sum of the others: exact where p rounds to 1.
    errors = torch.softmax(logits, dim=2).scatter_(2, label, 0.0)
    return errors.scatter_(2, label, -errors.sum(dim=2, keepdim=True))


# --- any module -------------------------------------------------------------------------------------------------------


class PerRecord(Protocol):
    """Gradients of a batch, record by record."""

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses `[records]` and gradient norms `[records]` of a batch that is not empty."""

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        """Sum of the batch's gradients, each times its scale, one tensor per parameter."""

    def quietly(self, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Runs the module without what gradients per record need."""


class ModuleGradients:
    """Of any module, through what trains it: `per_record`. At most `most` rows at a time.

    Layers that draw, such as dropout, draw from a copy of torch's generators.
    """

    def __init__(self, per_record: PerRecord, sample: Sample, device: torch.device, most: int) -> None:
        self._per_record, self._sample, self._device = per_record, sample, device
        bounds = zip(sample.starts[:-1].tolist(), sample.starts[1:].tolist(), strict=True)
        self._chunks = [(a, min(a + most, stop)) for start, stop in bounds for a in range(start, stop, most)]

    def norms(self) -> Array:
        """`[1, rows]`."""
        found = np.zeros((1, len(self._sample)), np.float32)
        for start, stop, norms in self._passes():
            found[0, start:stop] = norms
        return found

    def products(self, factors: Array) -> Floats:
        """`[1, groups, 3]`."""
        cells, members = self._sample.cells, self._sample.members
        weights = np.stack([np.ones_like(factors[0]), factors[0]])
        sums: list[list[Any]] = [[0.0] * cells for _ in weights]
        for start, stop, _ in self._passes():
            at = int(self._sample.cell[start])
            for k, weight in enumerate(weights):
                scale = torch.from_numpy(np.ascontiguousarray(weight[start:stop], np.float32)).to(self._device)
                flat = torch.cat([g.detach().reshape(-1) for g in self._per_record.sum(scale)])
                sums[k][at] = sums[k][at] + flat
        flat = torch.stack([one for some in sums for one in some])
        between = (flat @ flat.T).double().cpu().numpy().reshape(2, cells, 2, cells)
        pairs = [between[i, :, j] for i, j in ((0, 0), (0, 1), (1, 1))]
        return np.stack([((members @ pair) * members).sum(axis=1) for pair in pairs], axis=1)[None]

    def _passes(self) -> Iterator[tuple[int, int, Array]]:
        features = torch.from_numpy(self._sample.examples.features)
        devices = [self._device] if self._device.type != "cpu" else []
        with torch.random.fork_rng(devices=devices):
            for start, stop in self._chunks:
                part = (one[start:stop].to(self._device) for one in (features, self._sample.target))
                _, norms = self._per_record.norms(*part)
                yield start, stop, norms.detach().cpu().numpy()
