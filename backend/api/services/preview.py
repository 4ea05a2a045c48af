"""What a specification would run: how many runs, how many are measured, the noise of each epsilon, the time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.orm import Session

from backend.contracts.catalogue import Catalogue
from backend.contracts.expansion import Expansion, expand
from backend.contracts.public import Preview, PreviewMethod, PreviewNoise
from backend.contracts.results import Problem
from backend.contracts.runs import RunConfig, Setting
from backend.contracts.spec import JobSpec
from backend.errors import EpsilonUnreachable, InvalidRequest
from backend.settings import Settings
from backend.store import runs, workers

#: Private settings whose noise is worked out; the smallest epsilon of every schedule is always among them.
MAX_NOISE = 200

#: Below this noise multiplier an epsilon is so large that it promises little.
LITTLE_NOISE = 0.3
LARGE_EPSILON = 20.0


def preview(session: Session, settings: Settings, spec: JobSpec) -> Preview:
    """Everything that can be said before submitting. Raises what submitting would raise."""
    catalogue = workers.catalogue(session)
    expansion = expand(spec, catalogue, max_runs=settings.max_runs_per_job)
    noises = noise(spec, expansion, catalogue)
    done = runs.measured_hashes(session, expansion.configs)
    todo = [config for config in expansion.configs if config.hash() not in done]
    seconds = expected_seconds(session, todo, catalogue)
    seeds = len(spec.seed_list())
    return Preview(
        runs=len(expansion.configs),
        settings=len(expansion.settings),
        seeds=seeds,
        measured=len(done),
        expected_seconds=seconds,
        sentence=sentence(spec, expansion, len(done), seconds),
        methods=_methods(spec, expansion, catalogue, seeds),
        noise=noises,
        warnings=_warnings(spec, noises, catalogue, seeds),
    )


# --- noise ------------------------------------------------------------------------------------------------------------


def noise(spec: JobSpec, expansion: Expansion, catalogue: Catalogue) -> list[PreviewNoise]:
    """The noise multiplier of each private setting. Raises `InvalidRequest` where none reaches the epsilon."""
    rows = train_rows(spec, catalogue)
    if rows is None:
        return []
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    from backend.analysis.accounting import Schedule, default_delta, noise_multiplier

    asked: dict[tuple[str, float, float, float, int], None] = {}
    for setting in expansion.settings:
        epsilon = setting.epsilon()
        if epsilon is None:
            continue
        schedule = Schedule.of(rows(setting), int(_number(setting, "batch_size")), int(_number(setting, "epochs")))
        delta = setting.method.params.get("delta")
        delta = float(delta) if isinstance(delta, int | float) else default_delta(rows(setting))
        asked[setting.method.name, epsilon, delta, schedule.sampling_rate, schedule.steps] = None
    noises: list[PreviewNoise] = []
    problems: dict[str, Problem] = {}
    for method, epsilon, delta, rate, steps in _thinned(list(asked)):
        try:
            multiplier = noise_multiplier(epsilon, delta, rate, steps)
        except EpsilonUnreachable as error:
            field = _epsilon_field(spec, method, epsilon)
            expected, _, got = error.detail.removeprefix("Expected ").partition(", got ")
            problems[field] = Problem(field=field, expected=expected, got=got.rstrip(".") or None, fix=error.fix)
            continue
        noises.append(
            PreviewNoise(
                method=method,
                epsilon=epsilon,
                delta=delta,
                noise_multiplier=multiplier,
                sampling_rate=rate,
                steps=steps,
                accountant="rdp",
            )
        )
    if problems:
        first = next(iter(problems.values()))
        raise InvalidRequest(
            f"{first.field}: expected {first.expected}, got {first.got}. {first.fix}", problems=list(problems.values())
        )
    return sorted(noises, key=lambda n: ([m.name for m in spec.methods].index(n.method), n.epsilon))


def _thinned(
    asked: list[tuple[str, float, float, float, int]],
) -> list[tuple[str, float, float, float, int]]:
    """All, or the smallest epsilon of each schedule and as many others as the limit allows."""
    if len(asked) <= MAX_NOISE:
        return asked
    smallest: dict[tuple[Any, ...], tuple[str, float, float, float, int]] = {}
    for one in asked:
        rest = (one[0], *one[2:])
        if rest not in smallest or one[1] < smallest[rest][1]:
            smallest[rest] = one
    kept = list(smallest.values())
    return kept + [one for one in asked if one not in smallest.values()][: max(0, MAX_NOISE - len(kept))]


def _number(setting: Setting, name: str) -> float:
    value = setting.training.get(name)
    return float(value) if isinstance(value, int | float) else 1.0


def _epsilon_field(spec: JobSpec, method: str, epsilon: float) -> str:
    for index, choice in enumerate(spec.methods):
        if choice.name != method:
            continue
        value = choice.params.get("epsilon")
        if isinstance(value, list) and epsilon in value:
            return f"methods.{index}.params.epsilon.{value.index(epsilon)}"
        if value is None or value == epsilon:
            return f"methods.{index}.params.epsilon"
    return "methods"


def train_rows(spec: JobSpec, catalogue: Catalogue) -> Callable[[Setting], int] | None:
    """Training rows of a setting, None where the dataset does not say."""
    plugin = catalogue.find("dataset", spec.dataset.name)
    facts = plugin.dataset if plugin else None
    if facts is None or facts.train_rows_for({}) is None:
        return None
    return lambda setting: facts.train_rows_for(setting.dataset.params) or 1


# --- time -------------------------------------------------------------------------------------------------------------


def expected_seconds(session: Session, todo: list[RunConfig], catalogue: Catalogue) -> float | None:
    """From the nearest earlier runs, scaled by epochs and rows. None where nothing was trained yet.

    Runs are trained several at a time and evaluated besides: how earlier jobs as a whole compare with their runs'
    training times says by how much.
    """
    if not todo:
        return 0.0
    earlier = runs.mean_seconds(session)
    if not earlier:
        return None
    facts = {p.name: p.dataset for p in catalogue.plugins if p.kind == "dataset"}

    def work(setting: Setting) -> float:
        data = facts.get(setting.dataset.name)
        rows = (data.train_rows_for(setting.dataset.params) if data else None) or 10_000
        return rows * _number(setting, "epochs")

    rates: dict[tuple[str, ...], list[float]] = {}
    for setting, seconds in earlier:
        for key in _likeness(setting):
            rates.setdefault(key, []).append(seconds / work(setting))
    typical = {key: statistics.median(values) for key, values in rates.items()}
    total = 0.0
    cost: dict[int, float] = {}  # by identity: seeds share the setting object
    for config in todo:
        setting = config.setting
        if id(setting) not in cost:
            rate = next(typical[key] for key in _likeness(setting) if key in typical)
            cost[id(setting)] = rate * work(setting)
        total += cost[id(setting)]
    ratios = runs.elapsed_ratios(session)
    return total * (statistics.median(ratios) if ratios else 1.0)


def _likeness(setting: Setting) -> Iterable[tuple[str, ...]]:
    """Keys under which settings of about equal cost meet, nearest first."""
    shape = repr(sorted(setting.model.params.items()))
    batch = repr(setting.training.get("batch_size"))
    dataset, model, method = setting.dataset.name, setting.model.name, setting.method.name
    yield dataset, model, shape, method, batch
    yield dataset, model, shape, method
    yield dataset, model, method
    yield model, method
    yield (model,)
    yield ()


# --- words ------------------------------------------------------------------------------------------------------------


def sentence(spec: JobSpec, expansion: Expansion, measured: int, seconds: float | None) -> str:
    """The preview in one line.

    4 methods × 6 ε × 10 seeds = 240 runs, 38 already measured, about 50 s on this machine
    """
    methods = len(spec.methods)
    seeds = len(spec.seed_list())
    total = len(expansion.configs)
    per_method = set(expansion.settings_per_method)
    epsilons = {len(swept.get("epsilon", [])) for swept in expansion.swept}
    even = len(per_method) == 1 and len(expansion.settings) == sum(expansion.settings_per_method)
    if even and epsilons == per_method:
        shape = f"{_count(methods, 'method')} × {per_method.pop()} ε × {_count(seeds, 'seed')}"
    elif even and per_method == {1}:
        shape = f"{_count(methods, 'method')} × {_count(seeds, 'seed')}"
    else:
        shape = f"{_count(methods, 'method')}, {_count(len(expansion.settings), 'setting')} × {_count(seeds, 'seed')}"
    words = [f"{shape} = {_count(total, 'run')}"]
    if measured == total:
        words.append("all already measured")
    elif measured:
        words.append(f"{measured:,} already measured")
    if measured < total and seconds is not None:
        words.append(f"about {duration(seconds)} on this machine")
    return ", ".join(words)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """A time in the largest unit that leaves a number worth reading.

    >>> duration(0.4), duration(50), duration(200), duration(9000)
    ('1 s', '50 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.2g} h"
    return f"{seconds / 86400:.2g} days"


def _methods(spec: JobSpec, expansion: Expansion, catalogue: Catalogue, seeds: int) -> list[PreviewMethod]:
    answer = []
    for choice, settings, swept in zip(spec.methods, expansion.settings_per_method, expansion.swept, strict=True):
        plugin = catalogue.find("method", choice.name)
        answer.append(
            PreviewMethod(
                name=choice.name,
                title=plugin.title if plugin else choice.name,
                settings=settings,
                runs=settings * seeds,
                swept=swept,
            )
        )
    return answer


def _warnings(spec: JobSpec, noises: list[PreviewNoise], catalogue: Catalogue, seeds: int) -> list[str]:
    """What the person should know before spending the time."""
    words = []
    if seeds < 2:
        words.append("One seed gives no interval: take at least 3 seeds, and 6 or more for a paired test.")
    elif seeds < 6:
        words.append(f"With {seeds} seeds no paired test can reach p < 0.05; it takes at least 6.")
    weak = sorted({n.epsilon for n in noises if n.noise_multiplier < LITTLE_NOISE or n.epsilon >= LARGE_EPSILON})
    if weak:
        listed = ", ".join(f"{value:g}" for value in weak[:6])
        words.append(f"ε = {listed} promises little: the noise is smaller than what it should hide.")
    plugin = catalogue.find("dataset", spec.dataset.name)
    if plugin and plugin.dataset and not plugin.dataset.available:
        words.append(f"The worker lacks the data: {plugin.dataset.unavailable_because or 'see its page'}")
    methods = [catalogue.find("method", choice.name) for choice in spec.methods]
    if all(p and p.method and p.method.private for p in methods):
        words.append("Every method is private: without a non-private one the cost of privacy cannot be read off.")
    return words
