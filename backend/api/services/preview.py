"""What a specification would run: how many runs, how many are measured, the noise of each epsilon, the time."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from backend.analysis.plain import counted
from backend.contracts.accounting import Accountant
from backend.contracts.base import Params
from backend.contracts.catalogue import AttackFacts, Catalogue
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
#: How long one preview calibrates by numerical accountants; at least one setting is.
NUMERICAL_SECONDS = 0.3

#: Below this noise multiplier an epsilon is so large that it promises little.
LITTLE_NOISE = 0.3
LARGE_EPSILON = 20.0


def preview(session: Session, settings: Settings, spec: JobSpec) -> Preview:
    """Everything that can be said before submitting. Raises what submitting would raise."""
    catalogue = workers.catalogue(session)
    expansion = expand(spec, catalogue, max_runs=settings.max_runs_per_job)
    noises = noise(spec, expansion, catalogue, settings.cache_dir())
    done = runs.measured_hashes(session, expansion.configs)
    todo = [config for config in expansion.configs if config.hash() not in done]
    extra = extra_trainings(todo, catalogue)
    seconds = expected_seconds(session, todo, catalogue)
    seeds = len(spec.seed_list())
    return Preview(
        runs=len(expansion.configs),
        settings=len(expansion.settings),
        seeds=seeds,
        measured=len(done),
        shadow_models=extra.shadow_models,
        shadow_settings=extra.shadow_settings,
        audits=extra.audits,
        audit_trainings=extra.audit_trainings,
        expected_seconds=seconds,
        sentence=sentence(spec, expansion, len(done), seconds, extra),
        methods=_methods(spec, expansion, catalogue, seeds),
        noise=noises,
        warnings=_warnings(spec, noises, catalogue, seeds),
    )


# --- noise ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """One private setting, as far as its noise goes."""

    method: str
    accountant: Accountant
    epsilon: float
    delta: float
    sampling_rate: float
    steps: int
    #: Standard deviation and sensitivity of what is released beside the gradient, and how a problem with it is named.
    statistic: tuple[float, float, str, float] | None

    def row(self) -> tuple[object, ...]:
        """What the preview shows of it."""
        return self.method, self.accountant, self.epsilon, self.delta, self.sampling_rate, self.steps


def check(spec: JobSpec, expansion: Expansion, catalogue: Catalogue, cache_dir: Path) -> None:
    """Raises `InvalidRequest` where no noise reaches an epsilon, or a statistic spends the whole budget."""
    _check(spec, _asked(spec, expansion, catalogue), cache_dir)


def noise(spec: JobSpec, expansion: Expansion, catalogue: Catalogue, cache_dir: Path) -> list[PreviewNoise]:
    """The noise multiplier of each private setting, by its own accountant. Raises as `check` does.

    `prv` and `pld` take long: what they have not worked out before and cannot within `NUMERICAL_SECONDS` is given as
    at most what `rdp` says, which holds. Each further preview works out more.
    """
    asked = _asked(spec, expansion, catalogue)
    _check(spec, asked, cache_dir)
    from backend.analysis.accountants import kept_sigma, sigma
    from backend.analysis.accounting import noise_multiplier

    until = time.monotonic() + NUMERICAL_SECONDS
    noises: list[PreviewNoise] = []
    for one in {one.row(): one for one in asked}.values():
        schedule = (one.epsilon, one.delta, one.sampling_rate, one.steps)
        found = kept_sigma(one.accountant, *schedule, cache_dir=cache_dir)
        if found is None and time.monotonic() < until:
            found = sigma(one.accountant, *schedule, cache_dir=cache_dir)
        noises.append(
            PreviewNoise(
                method=one.method,
                epsilon=one.epsilon,
                delta=one.delta,
                noise_multiplier=noise_multiplier(*schedule) if found is None else found,
                at_most=found is None,
                sampling_rate=one.sampling_rate,
                steps=one.steps,
                accountant=one.accountant,
            )
        )
    return sorted(noises, key=lambda n: ([m.name for m in spec.methods].index(n.method), n.epsilon))


def _asked(spec: JobSpec, expansion: Expansion, catalogue: Catalogue) -> list[_Asked]:
    """Each different private setting, or as many of them as `_thinned` leaves."""
    rows = train_rows(spec, catalogue)
    if rows is None:
        return []
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    from backend.analysis.accounting import Schedule, default_delta

    asked: dict[_Asked, None] = {}
    for setting in expansion.settings:
        epsilon = setting.epsilon()
        if epsilon is None:
            continue
        method, params = setting.method.name, setting.method.params
        batch = int(_number(setting, "batch_size"))
        schedule = Schedule.of(rows(setting), batch, int(_number(setting, "epochs")))
        delta = params.get("delta")
        delta = float(delta) if isinstance(delta, int | float) else default_delta(rows(setting))
        plugin = catalogue.find("method", method)
        released = plugin.method.statistic if plugin and plugin.method else None
        std = None if released is None else released.std(params, batch)
        statistic = None
        if released is not None and std is not None:
            statistic = std, released.sensitivity, released.param, float(batch if released.share_of_batch else 1)
        accountant: Accountant = params.get("accountant", "rdp")  # type: ignore[assignment]  # the schema's choices
        asked[_Asked(method, accountant, epsilon, delta, schedule.sampling_rate, schedule.steps, statistic)] = None
    return _thinned(list(asked))


def _check(spec: JobSpec, asked: Iterable[_Asked], cache_dir: Path) -> None:
    from backend.analysis.accountants import sigma
    from backend.analysis.accounting import noise_multiplier

    problems: dict[str, Problem] = {}
    needed: dict[str, float] = {}
    for one in asked:
        schedule = (one.epsilon, one.delta, one.sampling_rate, one.steps)
        try:
            multiplier = noise_multiplier(*schedule)
        except EpsilonUnreachable as error:
            field = _field(spec, one.method, "epsilon", one.epsilon)
            expected, _, got = error.detail.removeprefix("Expected ").partition(", got ")
            problems[field] = Problem(field=field, expected=expected, got=got.rstrip(".") or None, fix=error.fix)
            continue
        if one.statistic is None:
            continue
        std, sensitivity, param, unit = one.statistic
        # The others need no more noise than rdp: what leaves it something for the gradient leaves them some.
        if std <= sensitivity * multiplier and one.accountant != "rdp":
            multiplier = sigma(one.accountant, *schedule, cache_dir=cache_dir)
        if std > sensitivity * multiplier:
            continue
        field = _field(spec, one.method, param, std / unit)
        least = sensitivity * multiplier / unit
        if least > needed.get(field, 0.0):
            needed[field] = least
            problems[field] = Problem(
                field=field,
                expected=f"more than {least:.3g} at \u03b5 = {one.epsilon:g}, or nothing is left for the gradient",
                got=f"{std / unit:g}",
                fix=f"Raise it, \u03b5{' or the batch size' if unit > 1 else ''}.",
            )
    if problems:
        first = next(iter(problems.values()))
        raise InvalidRequest(
            f"{first.field}: expected {first.expected}, got {first.got}. {first.fix}", problems=list(problems.values())
        )


def _thinned(asked: list[_Asked]) -> list[_Asked]:
    """All, or the smallest epsilon of each schedule and as many others as the limit allows."""
    if len(asked) <= MAX_NOISE:
        return asked
    smallest: dict[_Asked, _Asked] = {}
    for one in asked:
        rest = replace(one, epsilon=0.0)
        if rest not in smallest or one.epsilon < smallest[rest].epsilon:
            smallest[rest] = one
    kept = dict.fromkeys(smallest.values())
    return [*kept, *[one for one in asked if one not in kept][: max(0, MAX_NOISE - len(kept))]]


def _number(setting: Setting, name: str) -> float:
    value = setting.training.get(name)
    return float(value) if isinstance(value, int | float) else 1.0


def _field(spec: JobSpec, method: str, param: str, asked: float) -> str:
    """Where a value of a method's parameter was given, or could be."""
    for index, choice in enumerate(spec.methods):
        if choice.name != method:
            continue
        value = choice.params.get(param)
        if isinstance(value, list):
            near = [place for place, one in enumerate(value) if _close(one, asked)]
            if near:
                return f"methods.{index}.params.{param}.{near[0]}"
        elif value is None or _close(value, asked):
            return f"methods.{index}.params.{param}"
    return "methods"


def _close(given: object, asked: float) -> bool:
    return isinstance(given, int | float) and math.isclose(given, asked, rel_tol=1e-9)


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

    Shadow models and audits cost as many trainings as they are. Runs are trained several at a time and evaluated
    besides: how earlier jobs as a whole compare with their runs' training times says by how much.
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
            total += cost[id(setting)] * _shadows_of(setting, catalogue)
        total += cost[id(setting)] * (1 + sum(_audits_of(setting, catalogue)))
    trains = {p.name for p in catalogue.plugins if p.attack and (p.attack.audit or p.attack.models_param)}
    ratios = runs.elapsed_ratios(session, without_attacks=trains)
    return total * (statistics.median(ratios) if ratios else 1.0)


@dataclass(frozen=True)
class Extra:
    """Trainings besides the runs: at most so many, since shadow models may be there from an earlier study."""

    shadow_models: int
    shadow_settings: int
    audits: int
    audit_trainings: int


def extra_trainings(todo: list[RunConfig], catalogue: Catalogue) -> Extra:
    """What the attacks of runs yet to be trained take: shadow models once per setting, audits once per private run."""
    shadows: dict[int, int] = {}  # by identity, as above
    audits: dict[int, list[int]] = {}
    for config in todo:
        if id(config.setting) not in shadows:
            shadows[id(config.setting)] = _shadows_of(config.setting, catalogue)
            audits[id(config.setting)] = _audits_of(config.setting, catalogue)
    each = [count for config in todo for count in audits[id(config.setting)]]
    return Extra(sum(shadows.values()), sum(count > 0 for count in shadows.values()), len(each), sum(each))


def _facts(setting: Setting, catalogue: Catalogue) -> Iterable[tuple[AttackFacts, Params]]:
    for part in setting.attacks:
        plugin = catalogue.find("attack", part.name)
        if plugin is not None and plugin.attack is not None:
            yield plugin.attack, part.params


def _shadows_of(setting: Setting, catalogue: Catalogue) -> int:
    """Shadow models of a setting: all attacks share them, so the largest number that any wants."""
    return max((facts.shadow_models(params) for facts, params in _facts(setting, catalogue)), default=0)


def _audits_of(setting: Setting, catalogue: Catalogue) -> list[int]:
    """Trainings of each audit of one run; none where it claims no epsilon."""
    if setting.epsilon() is None:
        return []
    return [facts.trainings(params) for facts, params in _facts(setting, catalogue) if facts.audit]


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


def sentence(spec: JobSpec, expansion: Expansion, measured: int, seconds: float | None, extra: Extra) -> str:
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
        shape = f"{counted(methods, 'method')} × {per_method.pop()} ε × {counted(seeds, 'seed')}"
    elif even and per_method == {1}:
        shape = f"{counted(methods, 'method')} × {counted(seeds, 'seed')}"
    else:
        shape = (
            f"{counted(methods, 'method')}, {counted(len(expansion.settings), 'setting')} × {counted(seeds, 'seed')}"
        )
    words = [f"{shape} = {counted(total, 'run')}"]
    if measured == total:
        words.append("all already measured")
    elif measured:
        words.append(f"{measured:,} already measured")
    if extra.shadow_models:
        each, uneven = divmod(extra.shadow_models, extra.shadow_settings)
        what = f"{counted(extra.shadow_models, 'shadow model')} of {counted(extra.shadow_settings, 'setting')}"
        if not uneven:
            one = counted(each, "shadow model")
            what = f"{one} of each of {extra.shadow_settings:,} settings, {counted(extra.shadow_models, 'training')}"
            what = what if extra.shadow_settings > 1 else f"{one} of 1 setting"
        words.append(f"plus at most {what}")
    if extra.audits:
        trainings = counted(extra.audit_trainings, "training")
        more = f" ({trainings})" if extra.audit_trainings > extra.audits else ""
        words.append(f"plus {counted(extra.audits, 'audit')}{more}")
    if measured < total and seconds is not None:
        words.append(f"about {duration(seconds)} on this machine")
    return ", ".join(words)


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
