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
gradient is d [x, 1]^T: its squared norm is |d|^2 (|x|^2 + 1) (Goodfellow 2015, arXiv:1510.01799), and inner products of
sums follow from sums over the disjoint cells that subgroups consist of, or from <g_i, g_j> = d_i.d_j (x_i.x_j + 1).

All of it is computed on private rows without noise: epsilon does not cover it. Nothing here touches what training
reads. The sample is drawn for its own purpose and from the seed alone: runs of a seed are looked at through the same
rows, so that methods are compared in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch

from backend.contracts.results import ALL
from worker.datasets._table import Integers, Task
from worker.metrics._groups import Groups
from worker.plugins import GROUP, Method, Params, State
from worker.training.engine import Examples
from worker.training.secure import HAS_NUMBA, njit
from worker.training.streams import Key, Purpose, uniforms

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Rows of a sample, at most.
SAMPLE_ROWS = 512
#: Groups of fewer sampled rows have no figures.
LEAST_ROWS = 10
#: Times at which a run is looked at after its start, at most, and the least ratio between two of them.
TIMES, RATIO = 8, 2.5
#: Layers of at most so many outputs are summed row by row, where a product of matrices per cell costs more.
NARROW = 8
#: In per cent.
QUANTILES = (5, 25, 50, 75, 95)
#: Name and unit of what is recorded of everybody, and of each subgroup with its name in brackets.
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
    def masks(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """`[groups, rows]`."""
        return np.asarray(self.members[:, self.cell] > 0)

    @cached_property
    def sizes(self) -> Integers:
        """`[groups]` rows."""
        return np.asarray(self.masks.sum(axis=1))

    def sums(self, values: Array) -> Floats:
        """`[..., cells]` of `values[..., rows]`."""
        return np.asarray(np.add.reduceat(values, self.starts[:-1], axis=-1))

    def united(self, products: Floats) -> Floats:
        """`[groups]` inner products of two sums over each group, from those over cells, `[cells, cells]`."""
        return np.asarray(((self.members @ products) * self.members).sum(axis=1))

    @cached_property
    def sparse(self) -> tuple[Array, Array]:
        """Features as the first layer takes them: `[rows, numeric + 1]` float32 with 1 for the bias; active columns."""
        numeric = self.examples.numeric
        ones = np.ones((len(self), 1), np.float32)
        return np.concatenate([numeric, ones], axis=1, dtype=np.float32), np.ascontiguousarray(self.examples.active)

    @cached_property
    def squares(self) -> Floats:
        """`[rows]` squared lengths of the features."""
        numeric = self.examples.numeric
        return np.asarray(np.einsum("rc,rc->r", numeric, numeric, dtype=np.float64) + self.examples.active.shape[1])

    @cached_property
    def features(self) -> torch.Tensor:
        """`[rows, inputs + 1]` float32, the last column being 1."""
        return _with_ones(torch.from_numpy(self.examples.features))

    @cached_property
    def target(self) -> torch.Tensor:
        """`[rows]`."""
        return torch.from_numpy(np.ascontiguousarray(self.examples.target))


class Gradients(Protocol):
    """The gradients of a sample's rows at one place of training."""

    def norms(self) -> Floats:
        """`[rows]` lengths."""

    def products(self, weights: Array) -> Floats:
        """`[k, cells, k, cells]` inner products of the sums over cells of gradients times `weights` `[k, rows]`."""


# --- figures ----------------------------------------------------------------------------------------------------------


def figures(
    gradients: Gradients, sample: Sample, method: Method[Any], params: Params, state: State, codes: Integers | None
) -> Iterator[tuple[str, str, float]]:
    """Name, unit and value of each series; NaN where not defined, as in a run whose gradients are no longer numbers.

    `codes` `[rows]` are the groups that the method asks for, if it does.
    """
    state = {name: np.asarray(value) if np.ndim(value) else value for name, value in state.items()}
    yield "gradient_limit", "gradient norm", float(method.sensitivity(state, params))
    if not len(sample):
        return
    norms = gradients.norms()
    shown = state if codes is None else {**state, GROUP: codes}
    short = norms.astype(np.float32)
    with np.errstate(all="ignore"):
        factors = np.asarray(method.scale(short, shown, params), np.float64)
        lenient = np.maximum(np.asarray(method.scale(np.zeros_like(short), shown, params), np.float64), factors.max())
    found = np.full((len(sample.names), len(SERIES)), np.nan)
    if np.isfinite(norms).all() and np.isfinite(factors).all():
        products = gradients.products(np.stack([np.ones_like(short), factors.astype(np.float32)]))
        clipped = factors < (1 - SAME) * lenient
        total, scaled, count = sample.sums(np.stack([norms, norms * factors, clipped])) @ sample.members.T
        whole, cross, left = (sample.united(products[i, :, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            found[:, : len(QUANTILES)] = _quantiles(norms, sample)
            found[:, -3] = cosine(whole, cross, left, total, scaled)
            found[:, -2] = count / sample.sizes
            found[:, -1] = np.where(total > 0, scaled / total, np.nan)
    for name, values in zip(sample.names, found.tolist(), strict=True):
        end = "" if name == ALL else f"[{name}]"
        for (series, unit), value in zip(SERIES, values, strict=True):
            yield series + end, unit, value


def cosine(whole: Floats, cross: Floats, left: Floats, total: Floats, scaled: Floats) -> Floats:
    """Of sums of vectors, elementwise, from their squares and inner products; NaN where cancelled down to rounding.

    `total` and `scaled` are the sums of the vectors' lengths.

    >>> float(cosine(*map(np.float64, (4.0, 2.0, 1.0, 2.0, 1.0))))
    1.0
    """
    known = (whole > (CANCELLED * total) ** 2) & (left > (CANCELLED * scaled) ** 2)
    return np.asarray(np.where(known, np.clip(cross / np.sqrt(whole * left), -1, 1), np.nan))


def _quantiles(norms: Floats, sample: Sample) -> Floats:
    """`[groups, quantiles]`, linear between order statistics as `numpy.quantile` has them, from one sort."""
    order = np.argsort(norms)
    # Group by group the norms in ascending order.
    ordered = norms[order[np.nonzero(sample.masks[:, order])[1]]]
    first = np.concatenate([[0], np.cumsum(sample.sizes)[:-1]])[:, None]
    at = np.array(QUANTILES) / 100 * (sample.sizes[:, None] - 1)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, sample.sizes[:, None] - 1)
    below, above = ordered[first + low], ordered[first + high]
    return np.asarray(below + (at - low) * (above - below))


# --- linear layers ----------------------------------------------------------------------------------------------------


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
    """Of linear layers with one kind of activation between them.

    `parameters` are arrays in torch's order: `[outputs, inputs]` weights and `[outputs]` bias of each layer.
    """

    def __init__(self, parameters: Sequence[Array], activation: str, task: Task, sample: Sample) -> None:
        self._sample = sample
        arrays = [np.ascontiguousarray(p, np.float32) for p in parameters]
        weights, biases = arrays[::2], arrays[1::2]
        #: What each layer takes, `[rows, inputs]`, the first layer's being the sample's own; and the derivatives of
        #: each record's loss by what each layer answers, `[rows, outputs]`.
        self._inputs: list[torch.Tensor | None]
        self._errors: list[torch.Tensor]
        self._inputs, self._errors = (_compiled_pass if HAS_NUMBA else _pass)(weights, biases, activation, task, sample)

    def norms(self) -> Floats:
        """`[rows]`."""
        square = np.zeros(len(self._sample))
        for taken, error in zip(self._inputs, self._errors, strict=True):
            inputs = self._sample.squares if taken is None else _squares(taken.numpy())
            square += (inputs + 1) * _squares(error.numpy())
        return np.sqrt(square)

    def products(self, weights: Array) -> Floats:
        """`[k, cells, k, cells]`."""
        sample, count = self._sample, len(weights)
        size = count * sample.cells
        total = np.zeros((size, size))
        scaled = torch.from_numpy(np.ascontiguousarray(weights, np.float32))
        for taken, error in zip(self._inputs, self._errors, strict=True):
            inputs = (sample.examples.inputs if taken is None else taken.shape[1]) + 1
            numbers, rows = inputs * error.shape[1], len(sample)
            # Either way costs about so many multiplications.
            if (count * rows + size**2) * numbers <= rows**2 * (inputs + error.shape[1] + size):
                # By torch: the threads of numpy's products are not ours to limit.
                sums = torch.from_numpy(_sums_over_cells(sample, taken, error, scaled))
                total += (sums @ sums.T).numpy()
            else:
                whole = sample.features if taken is None else _with_ones(taken)
                each = (error @ error.T) * (whole @ whole.T)
                of_cell = torch.zeros(sample.cells, rows)
                of_cell[torch.from_numpy(sample.cell), torch.arange(rows)] = 1
                chosen = (scaled[:, None] * of_cell).reshape(size, rows)
                total += (chosen @ each @ chosen.T).numpy()
        return total.reshape(count, sample.cells, count, sample.cells)


def _with_ones(values: torch.Tensor) -> torch.Tensor:
    return torch.cat([values, values.new_ones(len(values), 1)], dim=1)


def _squares(values: Array) -> Array:
    """`[rows]` squared lengths of rows."""
    return np.asarray(np.einsum("rc,rc->r", values, values))


def _head_errors(logits: torch.Tensor, target: torch.Tensor, task: Task) -> torch.Tensor:
    """`[rows, outputs]` derivatives of each record's loss by its logits."""
    if task == "regression":
        return 2 * (logits - target[:, None])
    errors = torch.softmax(logits, dim=1)
    errors[torch.arange(len(target)), target] -= 1
    return errors


def _pass(
    weights: Sequence[Array], biases: Sequence[Array], activation: str, task: Task, sample: Sample
) -> tuple[list[torch.Tensor | None], list[torch.Tensor]]:
    """Forward and backward, in torch."""
    matrices, offsets = [torch.from_numpy(w) for w in weights], [torch.from_numpy(b) for b in biases]
    z = sample.features[:, :-1] @ matrices[0].T + offsets[0]
    inputs: list[torch.Tensor | None] = [None]
    slopes = []
    for weight, bias in zip(matrices[1:], offsets[1:], strict=True):
        hidden = ACTIVATIONS[activation](z)
        slopes.append(_slope(activation, z, hidden))
        inputs.append(hidden)
        z = torch.addmm(bias, hidden, weight.T)
    errors = [_head_errors(z, sample.target, task)]
    for weight, slope in zip(reversed(matrices[1:]), reversed(slopes), strict=True):
        errors.insert(0, (errors[0] @ weight).mul_(slope))
    return inputs, errors


def _compiled_pass(
    weights: Sequence[Array], biases: Sequence[Array], activation: str, task: Task, sample: Sample
) -> tuple[list[torch.Tensor | None], list[torch.Tensor]]:
    """The same in one call of compiled code: so few rows are over before torch has found its functions."""
    rows, widths = len(sample), [len(b) for b in biases]
    numeric, active = sample.sparse
    flat = np.concatenate([part.reshape(-1) for part in (weights[0].T, *weights[1:], *biases)])
    answers, errors = np.empty(rows * sum(widths), np.float32), np.empty(rows * sum(widths), np.float32)
    target = sample.examples.target
    labels = target.astype(np.int64) if task != "regression" else np.zeros(0, np.int64)
    values = target.astype(np.float32) if task == "regression" else np.zeros(0, np.float32)
    shape = np.array([weights[0].shape[1], *widths])
    _sparse_pass(numeric, active, flat, shape, list(ACTIVATIONS).index(activation), labels, values, answers, errors)
    shapes = list(zip(pairwise(rows * np.cumsum([0, *widths])), widths, strict=True))
    hidden, backward = (
        [torch.from_numpy(packed[a:b].reshape(rows, wide)) for (a, b), wide in shapes] for packed in (answers, errors)
    )
    return [None, *hidden[:-1]], backward


def _sums_over_cells(sample: Sample, taken: torch.Tensor | None, error: torch.Tensor, weights: torch.Tensor) -> Array:
    """`[k cells, numbers]` sums of gradients times weights `[k, rows]`, all in one order."""
    count, cells = len(weights), sample.cells
    if taken is None and HAS_NUMBA:
        numeric, active = sample.sparse
        out = np.zeros((count, cells, sample.examples.inputs + 1, error.shape[1]), np.float32)
        _sparse_sums(numeric, active, error.numpy(), weights.numpy(), sample.cell, out)
        return out.reshape(count * cells, -1)
    if taken is not None and HAS_NUMBA and error.shape[1] <= NARROW:
        out = np.zeros((count, cells, error.shape[1], taken.shape[1] + 1), np.float32)
        _narrow_sums(error.numpy(), taken.numpy(), weights.numpy(), sample.cell, out)
        return out.reshape(count * cells, -1)
    whole = sample.features if taken is None else _with_ones(taken)
    sums = torch.empty(count, cells, error.shape[1], whole.shape[1])
    for some, out in zip(weights, sums, strict=True):
        scaled = error * some[:, None]
        for cell, (a, b) in enumerate(zip(sample.starts[:-1], sample.starts[1:], strict=True)):
            torch.mm(scaled[a:b].T, whole[a:b], out=out[cell])
    return sums.reshape(count * cells, -1).numpy()


@njit(cache=True, nogil=True, inline="always")
def _activate(z: Any, slope: Any, activation: Any) -> None:
    """Answers in place of z, and their derivatives."""
    if activation == 0:
        for i in range(z.shape[0]):
            slope[i] = np.float32(1) if z[i] > 0 else np.float32(0)
            z[i] *= slope[i]
    elif activation == 1:
        for i in range(z.shape[0]):
            z[i] = np.float32(math.tanh(z[i]))
            slope[i] = np.float32(1) - z[i] * z[i]
    else:
        for i in range(z.shape[0]):
            share = np.float32(0.5) * np.float32(math.erfc(-z[i] * np.float32(0.7071067811865476)))
            density = np.float32(0.3989422804014327) * np.float32(math.exp(-np.float32(0.5) * z[i] * z[i]))
            slope[i] = share + z[i] * density
            z[i] *= share


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _sparse_pass(numeric: Any, active: Any, flat: Any, widths: Any, activation: Any, labels: Any, values: Any,
                 answers: Any, errors: Any) -> None:  # fmt: skip
    """Forward and backward of each row. `widths` are inputs, hidden units and outputs; `flat` holds the first layer's
    weights `[inputs, outputs]`, the others' `[outputs, inputs]`, and all biases. Hidden answers and all errors are
    written layer after layer, `[rows, outputs]` each; the last layer's answers are its logits.
    """
    rows, columns, hot, layers = numeric.shape[0], numeric.shape[1] - 1, active.shape[1], widths.shape[0] - 1
    biases = 0
    for layer in range(layers):
        biases += widths[layer] * widths[layer + 1]
    back = np.empty(widths.max(), np.float32)
    wide = widths[1]
    for row in range(rows):
        z = answers[row * wide : (row + 1) * wide]
        z[:] = flat[biases : biases + wide]
        for c in range(columns):
            value, column = numeric[row, c], flat[c * wide : (c + 1) * wide]
            for j in range(wide):
                z[j] += value * column[j]
        for h in range(hot):
            c = active[row, h]
            column = flat[c * wide : (c + 1) * wide]
            for j in range(wide):
                z[j] += column[j]
        at, bias, before = widths[0] * wide, biases + wide, 0
        for layer in range(1, layers):
            inputs, outputs = widths[layer], widths[layer + 1]
            # The slope is kept where the error will be.
            slope = errors[before * rows + row * inputs : before * rows + (row + 1) * inputs]
            before += inputs
            _activate(z, slope, activation)
            below = z
            z = answers[before * rows + row * outputs : before * rows + (row + 1) * outputs]
            for o in range(outputs):
                weight, total = flat[at : at + inputs], np.float32(0)
                for i in range(inputs):
                    total += weight[i] * below[i]
                z[o] = total + flat[bias + o]
                at += inputs
            bias += outputs
        outputs = widths[layers]
        error = errors[before * rows + row * outputs : before * rows + (row + 1) * outputs]
        if values.shape[0]:
            error[0] = np.float32(2) * (z[0] - values[row])
        else:
            top, total = z[0], np.float32(0)
            for o in range(1, outputs):
                top = max(top, z[o])
            for o in range(outputs):
                error[o] = np.float32(math.exp(z[o] - top))
                total += error[o]
            for o in range(outputs):
                error[o] /= total
            error[labels[row]] -= np.float32(1)
        for layer in range(layers - 1, 0, -1):
            inputs, outputs = widths[layer], widths[layer + 1]
            at -= inputs * outputs
            before -= inputs
            sums = back[:inputs]
            sums[:] = 0
            for o in range(outputs):
                value, weight = error[o], flat[at + o * inputs : at + (o + 1) * inputs]
                for i in range(inputs):
                    sums[i] += value * weight[i]
            error = errors[before * rows + row * inputs : before * rows + (row + 1) * inputs]
            for i in range(inputs):
                error[i] *= sums[i]


@njit(cache=True, nogil=True)
def _sparse_sums(left: Any, active: Any, right: Any, weights: Any, cell: Any, out: Any) -> None:
    """`out[k, cell] += weight[k, row] [features, 1][row] right[row]^T`; the 1 is the last of `left`'s columns."""
    rows, columns, hot, width = left.shape[0], left.shape[1], active.shape[1], out.shape[2]
    for k in range(weights.shape[0]):
        for row in range(rows):
            sums, weight = out[k, cell[row]], weights[k, row]
            for c in range(columns):
                value = weight * left[row, c]
                at = c if c < columns - 1 else width - 1
                for j in range(right.shape[1]):
                    sums[at, j] += value * right[row, j]
            for h in range(hot):
                at = active[row, h]
                for j in range(right.shape[1]):
                    sums[at, j] += weight * right[row, j]


@njit(cache=True, nogil=True)
def _narrow_sums(errors: Any, inputs: Any, weights: Any, cell: Any, out: Any) -> None:
    """`out[k, cell] += weight[k, row] errors[row] [inputs, 1][row]^T`."""
    rows, columns = inputs.shape
    for k in range(weights.shape[0]):
        for row in range(rows):
            sums, weight = out[k, cell[row]], weights[k, row]
            for o in range(errors.shape[1]):
                value = weight * errors[row, o]
                for j in range(columns):
                    sums[o, j] += value * inputs[row, j]
                sums[o, columns] += value


# --- any module -------------------------------------------------------------------------------------------------------


class PerRecord(Protocol):
    """Gradients of a batch, record by record."""

    def norms(self, features: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses `[records]` and gradient norms `[records]` of a batch that is not empty."""

    def sum(self, scale: torch.Tensor) -> list[torch.Tensor]:
        """Sum of the batch's gradients, each times its scale, one tensor per parameter."""


class ModuleGradients:
    """Of any module, through what trains it: `per_record`. At most `most` rows at a time.

    Layers that draw, such as dropout, draw from a copy of torch's generators.
    """

    def __init__(self, per_record: PerRecord, sample: Sample, device: torch.device, most: int) -> None:
        self._per_record, self._sample, self._device = per_record, sample, device
        bounds = zip(sample.starts[:-1].tolist(), sample.starts[1:].tolist(), strict=True)
        self._chunks = [(a, min(a + most, stop)) for start, stop in bounds for a in range(start, stop, most)]

    def norms(self) -> Floats:
        """`[rows]`."""
        found = np.zeros(len(self._sample))
        for start, stop, norms in self._passes():
            found[start:stop] = norms
        return found

    def products(self, weights: Array) -> Floats:
        """`[k, cells, k, cells]`."""
        count, cells = len(weights), self._sample.cells
        sums: list[list[Any]] = [[0.0] * cells for _ in range(count)]
        for start, stop, _ in self._passes():
            at = int(self._sample.cell[start])
            for k in range(count):
                scale = torch.from_numpy(np.ascontiguousarray(weights[k, start:stop], np.float32)).to(self._device)
                flat = torch.cat([g.detach().reshape(-1) for g in self._per_record.sum(scale)])
                sums[k][at] = sums[k][at] + flat
        flat = torch.stack([one for some in sums for one in some])
        return (flat @ flat.T).double().cpu().numpy().reshape(count, cells, count, cells)

    def _passes(self) -> Iterator[tuple[int, int, Floats]]:
        features = torch.from_numpy(self._sample.examples.features)
        devices = [self._device] if self._device.type != "cpu" else []
        with torch.random.fork_rng(devices=devices):
            for start, stop in self._chunks:
                part = (one[start:stop].to(self._device) for one in (features, self._sample.target))
                _, norms = self._per_record.norms(*part)
                yield start, stop, norms.detach().double().cpu().numpy()
