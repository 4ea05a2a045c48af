"""The Gaussian task: closed forms beside trainings, with the sentences that the numbers support."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from backend.contracts.gaussian import (
    Gaussian,
    GaussianCurve,
    GaussianRequest,
    GaussianSimulated,
    GaussianValue,
    Leakage,
    Quantity,
)
from backend.contracts.public import Figure
from backend.contracts.results import Problem
from backend.errors import InvalidRequest

if TYPE_CHECKING:
    from backend.analysis.gaussian_sweep import Answer, Sweep
    from backend.figures.gaussian import Shown

#: Title on an axis, the same within a sentence and in a table, and which direction is better.
TITLES: dict[Quantity, tuple[str, str, str]] = {
    "auc": ("AUC of the membership attack, lower is more private", "AUC", "lower"),
    "advantage": ("Membership advantage, TPR less FPR, lower is more private", "advantage", "lower"),
    "tpr_1": ("TPR at 1 % FPR, share of members found, lower is more private", "TPR at 1 % FPR", "lower"),
    "tpr_01": ("TPR at 0.1 % FPR, share of members found, lower is more private", "TPR at 0.1 % FPR", "lower"),
    "gap": ("Margin of members less that of non-members, log scale, lower is less overfitted", "margin gap", "lower"),
    "accuracy": ("Accuracy", "accuracy", "higher"),
    "robust_accuracy": ("Accuracy under attack", "accuracy under attack", "higher"),
}
#: Differences of less than this cannot be seen in three digits.
VISIBLE = 5e-4


def answer(asked: GaussianRequest) -> Gaussian:
    """Raises `InvalidRequest`, naming the field, where two fields contradict each other."""
    informative = asked.dimensions if asked.informative is None else asked.informative
    if informative > asked.dimensions:
        fix = "Lower informative, or raise dimensions."
        raise _invalid("informative", f"at most the {asked.dimensions:,} dimensions", informative, fix)
    if asked.signal_as == "norm" and informative == 0 and asked.signal > 0:
        fix = "Raise informative, or set signal to 0."
        raise _invalid("informative", "at least 1, since a norm above 0 needs a coordinate", informative, fix)
    mean = asked.signal / math.sqrt(informative) if asked.signal_as == "norm" and informative else asked.signal
    found = _computed(
        asked.rows, asked.dimensions, informative, asked.sigma, asked.epsilon, mean, asked.perturbation, asked.seed
    )
    values = [_value(found, quantity) for quantity in TITLES]
    shown: tuple[Quantity, ...] = (asked.measure, "accuracy", "robust_accuracy")
    return Gaussian(
        mean=found.task.mean if informative else 0.0,
        norm=found.task.separation,
        zero=found.zero,
        values=values,
        notes=_notes(found),
        curves=[
            _curve(sweep, along, place, quantity)
            for along, sweep in (("rows", found.rows), ("epsilon", found.epsilon))
            for quantity in shown
            for place in (0, 1)
        ],
        figures=_figures(found, asked),
    )


@lru_cache(maxsize=32)
def _computed(
    rows: int, dimensions: int, informative: int, sigma: float, epsilon: float, mean: float, norm: str, seed: int
) -> Answer:
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    from backend.analysis.gaussian_sweep import sweeps
    from backend.analysis.gaussian_task import Task

    task = Task(rows, dimensions, sigma, epsilon, mean, informative, "l2" if norm == "l2" else "linf")
    return sweeps(task, seed)


def _invalid(field: str, expected: str, got: object, fix: str) -> InvalidRequest:
    problem = Problem(field=field, expected=expected, got=str(got), fix=fix)
    return InvalidRequest(f"{field}: expected {expected}, got {got}. {fix}", problems=[problem])


def _place(sweep: Sweep, x: float) -> int:
    return int(sweep.x.tolist().index(x))


def _at(found: Answer, quantity: Quantity) -> tuple[float, float, float]:
    """Of the standard and of the robust estimator at the asked setting, and the error of either."""
    i = _place(found.rows, float(found.task.n))
    standard, robust = found.rows.expected[quantity][:, i].tolist()
    return standard, robust, float(found.rows.error[quantity][:, i].max())


def _value(found: Answer, quantity: Quantity) -> GaussianValue:
    standard, robust, error = _at(found, quantity)
    title, _, better = TITLES[quantity]
    here = found.rows.simulated.get(float(found.task.n))
    simulated = [_simulated(found.rows, float(found.task.n), place, quantity) for place in (0, 1)] if here else []
    return GaussianValue(
        quantity=quantity, title=title.partition(",")[0], better="lower" if better == "lower" else "higher",
        standard=standard, robust=robust, error=error, simulated=simulated,
    )  # fmt: skip


def _simulated(sweep: Sweep, x: float, place: int, quantity: Quantity) -> GaussianSimulated:
    one = sweep.simulated[x]
    mean, low, high = (float(part[quantity][place]) for part in (one.mean, one.low, one.high))
    return GaussianSimulated(x=x, trainings=one.trainings, mean=mean, low=low, high=high)


def _curve(sweep: Sweep, along: str, place: int, quantity: Quantity) -> GaussianCurve:
    return GaussianCurve(
        along="rows" if along == "rows" else "epsilon",
        estimator=("standard", "robust")[place],
        quantity=quantity,
        x=sweep.x.tolist(),
        expected=sweep.expected[quantity][place].tolist(),
        error=sweep.error[quantity][place].tolist(),
        simulated=[_simulated(sweep, x, place, quantity) for x in sorted(sweep.simulated)],
    )


# --- sentences --------------------------------------------------------------------------------------------------------


def _notes(found: Answer) -> list[str]:
    task = found.task
    notes = []
    own, name = (task.mean, "of a coordinate") if task.norm == "linf" else (task.separation, "of the classes")
    if not task.separation:
        notes.append("No coordinate carries signal: every model is right half of the time, and leaks all the same.")
    elif task.epsilon >= own:
        notes.append(
            f"The perturbation, {task.epsilon:.3g}, is at least as large as the separation {name}, {own:.3g}: under "
            "attack no linear model is right more often than wrong, and with many rows the robust estimator becomes "
            "zero, which leaks nothing and guesses."
        )
    if found.zero > 0.005:
        notes.append(
            f"In {100 * found.zero:.3g} % of trainings the robust estimator is zero: it guesses, without leaking."
        )
    if task.norm == "l2" and task.epsilon:
        notes.append(
            "Against moves of bounded Euclidean length the robust estimator has the direction of the standard one: it "
            "leaks as much and is right as often, unless it becomes zero, although its margin gap is smaller."
        )
    if float(task.n) not in found.rows.simulated:
        notes.append(
            f"With {task.n:,} rows of {task.d:,} coordinates too few trainings can be drawn while you wait: the closed "
            "forms stand alone here."
        )
    return notes


def _compared(standard: float, robust: float, error: float, quantity: Quantity) -> str:
    """less, more or as much; differences that nobody could see, or within the error, are none."""
    size = VISIBLE * (abs(standard) if quantity == "gap" else 1)
    if abs(robust - standard) <= max(size, 2 * error):
        return "as much"
    return "more" if robust > standard else "less"


def _leak_along_rows(found: Answer, measure: Leakage) -> str:
    standard, robust, error = _at(found, measure)
    how = _compared(standard, robust, error, measure)
    name = TITLES[measure][1]
    verb = {"gap": "overfits"}.get(measure, "leaks")
    title = f"At n = {found.task.n:,} the robust estimator {verb} {how}: {name} {robust:.3g} against {standard:.3g}"
    other = _turns(found.rows, measure, found.task.n)
    return f"{title}; {other}" if other else title


def _turns(sweep: Sweep, measure: Leakage, here: int) -> str:
    """Where the comparison turns around on the way to fewer or more rows, the nearer one in logarithms."""
    low, high = sweep.expected[measure][0], sweep.expected[measure][1]
    error = sweep.error[measure].max(axis=0)
    signs = [_compared(a, b, e, measure) for a, b, e in zip(low.tolist(), high.tolist(), error.tolist(), strict=True)]
    place = _place(sweep, float(here))
    wanted = {"less": "more", "more": "less"}.get(signs[place])
    if wanted is None:
        return ""
    below = [i for i in range(place) if signs[i] == wanted]
    above = [i for i in range(place + 1, len(signs)) if signs[i] == wanted]
    nearest = min([*below[-1:], *above[:1]], key=lambda i: abs(math.log(sweep.x[i] / here)), default=None)
    if nearest is None:
        return ""
    where = "up to" if nearest < place else "from"
    return f"{where} about n = {sweep.x[nearest]:,.0f} it {'overfits' if measure == 'gap' else 'leaks'} {wanted}"


def _leak_along_epsilon(found: Answer, measure: Leakage) -> str:
    sweep, name = found.epsilon, TITLES[measure][1]
    standard, robust = sweep.expected[measure]
    errors = sweep.error[measure].max(axis=0)
    signs = [
        _compared(a, b, e, measure) for a, b, e in zip(standard.tolist(), robust.tolist(), errors.tolist(), strict=True)
    ]
    own = f"{standard[0]:.3g}"
    if "more" not in signs and "less" not in signs:
        return f"Whatever ε is trained against, as much leaks: {name} {own}"
    place = int(robust.argmax() if "more" in signs else robust.argmin())
    least = "most" if "more" in signs else "least"
    title = f"Robust training leaks {least} against ε = {sweep.x[place]:.3g}: {name} {robust[place]:.3g}"
    later = [i for i in range(place, len(signs)) if signs[i] == "less"] if "more" in signs else []
    turn = f"; from about ε = {sweep.x[later[0]]:.3g} it leaks less" if later else ""
    return f"{title} against {own} of the standard estimator{turn}"


def _accuracy_along_rows(found: Answer) -> str:
    standard, robust, _ = _at(found, "robust_accuracy")
    plain, other, _ = _at(found, "accuracy")
    return (
        f"At n = {found.task.n:,} the robust estimator is right on {_share(robust)} of rows under attack, the standard "
        f"one on {_share(standard)}; without an attack {_share(other)} and {_share(plain)}"
    )


def _accuracy_along_epsilon(found: Answer) -> str:
    standard, robust = found.epsilon.expected["robust_accuracy"]
    # A model that guesses beats one that is nearly always wrong; that is no gain.
    gain = (robust - standard) * (robust > 0.5 + VISIBLE)
    best = int(gain.argmax())
    if gain[best] <= VISIBLE:
        return "Whatever ε, robust training gains nothing under attack or gets no better than guessing"
    return (
        f"Robust training gains most under attacks of ε = {found.epsilon.x[best]:.3g}: right on {_share(robust[best])} "
        f"of rows, the standard estimator on {_share(standard[best])}"
    )


def _share(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"


# --- figures ----------------------------------------------------------------------------------------------------------


def _figures(found: Answer, asked: GaussianRequest) -> list[Figure]:
    from backend.figures.gaussian import Picture, Shown, sweep
    from backend.figures.theme import THEMES

    task, measure = found.task, asked.measure
    title, short, _ = TITLES[measure]
    kind = "each coordinate moved" if task.norm == "linf" else "rows moved"
    mixture = f"d = {task.d:,}, {task.signals:,} informative, mean {task.mean:.3g}, σ = {task.sigma:.3g}"
    leak = (Shown(measure, "", "solid"),)
    right = (Shown("accuracy", "", "solid"), Shown("robust_accuracy", ", under attack", "dash"))
    ways = (
        ("rows", found.rows, "Training rows n, log scale", float(task.n), f"n = {task.n:,}", f"ε = {task.epsilon:.3g}"),
        ("epsilon", found.epsilon, f"ε, {kind} by up to this, trained against and tested with", task.epsilon,
         f"ε = {task.epsilon:.3g}", f"n = {task.n:,}"),
    )  # fmt: skip
    kinds: tuple[tuple[str, tuple[Shown, ...], str, str], ...] = (
        ("leakage", leak, title, short),
        ("accuracy", right, "Accuracy, share of rows, higher is better", "accuracy"),
    )
    pictures = []
    for name, shown, y_title, unit in kinds:
        for along, drawn, x_title, at, at_label, fixed in ways:
            log = shown is leak and measure == "gap" and along == "rows"
            error = _error(drawn, at, at_label, shown)
            pictures.append(
                Picture(
                    name=f"gaussian-{name}-{along}", title=_sentence(found, name, along, measure), drawn=drawn,
                    shown=shown, caption=f"{mixture}, {fixed}; {error}; {_points(drawn, along)}", x_title=x_title,
                    y_title=y_title if log else y_title.replace(", log scale", ""), short=unit, at=at,
                    at_label=at_label, rows=along == "rows", log=log, share=shown is right or measure != "gap",
                )
            )  # fmt: skip
    return [sweep(one, THEMES[asked.theme], asked.width) for one in pictures]


def _sentence(found: Answer, name: str, along: str, measure: Leakage) -> str:
    if name == "leakage":
        return _leak_along_rows(found, measure) if along == "rows" else _leak_along_epsilon(found, measure)
    return _accuracy_along_rows(found) if along == "rows" else _accuracy_along_epsilon(found)


def _error(drawn: Sweep, at: float, at_label: str, shown: tuple[Shown, ...]) -> str:
    errors = [drawn.error[one.quantity] for one in shown]
    worst, here = max(float(e.max()) for e in errors), max(float(e[:, _place(drawn, at)].max()) for e in errors)
    lines = "lines: expectation over trainings"
    return f"{lines}, error at most {here:.1g} at {at_label}, {worst:.1g} anywhere" if worst else lines


def _points(drawn: Sweep, along: str) -> str:
    counts = sorted({one.trainings for one in drawn.simulated.values()})
    if not counts:
        return "too large to simulate while you wait"
    many = f"{counts[0]:,} to {counts[-1]:,}" if len(counts) > 1 else f"{counts[0]:,}"
    same = "both estimators on the same rows" if along == "rows" else "the same rows at every ε"
    return f"points: means of {many} simulated trainings, {same}, bars: 95 % Student t"
