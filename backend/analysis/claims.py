"""Whether a published claim was reproduced: a sentence that follows from the tests by one stated rule alone."""

from __future__ import annotations

from collections.abc import Sequence

from backend.analysis.labels import Words
from backend.analysis.power import most_tests
from backend.analysis.protocols import TESTED, TITLES, Compared
from backend.analysis.significance import FEWEST_PAIRS, LEVEL
from backend.contracts.public import Claim, Verdict

RULE = (
    "The direction holds in one way of tuning if at least one of its comparisons has a Holm-corrected p < 0.05 in the "
    "claimed direction and none has one against it. The size holds if the 95 % interval of such a comparison reaches "
    "the reported figure. Reproduced: both hold in every way of tuning that is a test. Partly: the direction holds in "
    "at least one. Not reproduced: in none. The best cell of the grid is chosen on the test rows and does not count."
)


def verdict(claim: Claim, compared: Sequence[Compared], words: Words, *, finished: int, runs: int) -> Verdict:
    """The verdict on one claim; `finished` of `runs` of the study have ended."""
    own = [c for c in compared if (c.method, c.reference) == (claim.method, claim.reference)]

    def answer(outcome: str, sentence: str) -> Verdict:
        return Verdict.model_validate(
            {"statement": claim.statement, "value": claim.value, "source": claim.source,
             "outcome": outcome, "sentence": sentence}
        )  # fmt: skip

    if finished < runs:
        return answer("open", f"Not enough data yet: {finished:,} of {runs:,} runs have ended")
    tested = {p: [c for c in own if c.protocol == p and c.corrected is not None] for p in TESTED}
    pairs = max((c.effect.pairs for c in own), default=0)
    if not any(tested.values()):
        if pairs >= FEWEST_PAIRS or not own:
            return answer("open", "No setting that can be compared: a method is missing or degenerate")
        few = f"{pairs} pairs of seeds, and with fewer than {FEWEST_PAIRS} no test can reach p < {LEVEL:g}"
        return answer("open", f"Not enough data: {few}")
    family = max(sum(c.protocol == p for c in compared) for p in TESTED)
    if family > most_tests(pairs):
        return answer("open", f"Not enough seeds: with {pairs} no p can pass a correction for {family} tests")
    sign = -1.0 if claim.direction == "higher" else 1.0
    holds: dict[str, list[Compared]] = {}
    for protocol, some in tested.items():
        passed = [c for c in some if (c.corrected or 0.0) < LEVEL]
        if passed and all(-sign * c.effect.difference > 0 for c in passed):
            holds[protocol] = passed
    sized = [p for p, passed in holds.items() if _reaches(claim, passed, sign)]
    asked = [p for p in TESTED if tested[p]]
    told = _numbers(own, holds, sign, claim)
    versus = f"{words.method(claim.method or '')} against {words.method(claim.reference or '')}"
    if len(holds) == len(asked) == len(sized):
        return answer("reproduced", f"Reproduced: {versus}, in every way of tuning{_missing(tested)}; {told}")
    if holds:
        where = _listed(holds)
        size = "" if claim.value is None or sized else f", never the reported {claim.value:g} %"
        if sized and claim.value is not None:
            size = f"; the reported {claim.value:g} % is within the interval only when {_listed(sized)}"
        against = [p for p in asked if p not in holds]
        rest = f"; not when {_listed(against)}" if against else ""
        side = "lower" if sign > 0 else "higher"
        return answer("partly", f"Partly reproduced: {versus}, {side} when {where}{rest}{size}; {told}")
    return answer(
        "not", f"Not reproduced: {versus}, in no way of tuning that is a test does the direction hold; {told}"
    )


def _missing(tested: dict[str, list[Compared]]) -> str:
    """Ways in which nothing could be compared, such as a rival that never has as low a loss."""
    absent = [p for p in TESTED if not tested[p]]
    return f" that could be tested (not: {_listed(absent)})" if absent else ""


def _reaches(claim: Claim, passed: Sequence[Compared], sign: float) -> bool:
    if claim.value is None:
        return True
    ends = [c.effect.reduction_high if sign > 0 else c.effect.reduction_low for c in passed]
    return any(end is not None and sign * end >= claim.value for end in ends)


def _numbers(own: Sequence[Compared], holds: dict[str, list[Compared]], sign: float, claim: Claim) -> str:
    """How many tests pass on either side; the largest change that one supports; and that of the best cell."""

    def size(c: Compared) -> float:
        return sign * (c.effect.reduction if c.effect.reduction is not None else -1e9)

    tests = [c for c in own if c.corrected is not None]
    passed = [c for c in tests if (c.corrected or 0.0) < LEVEL]
    less = sum(c.effect.difference < 0 for c in passed)
    parts = [f"smaller in {less} of {len(tests)} tests, larger in {len(passed) - less}"]
    agreeing = [c for c in passed if sign * c.effect.difference < 0]
    plain = [c for some in holds.values() for c in some] or agreeing
    plain = plain or [c for c in own if c.protocol == TESTED[0]] or list(own)
    if plain and (best := max(plain, key=size)).effect.reduction is not None:
        e, smaller = best.effect, (best.effect.reduction or 0.0) > 0
        ends = sorted(x if smaller else -x for x in (e.reduction_low, e.reduction_high) if x is not None)
        interval = f" (95 %: {ends[0]:.0f} to {ends[1]:.0f})" if len(ends) == 2 else ""
        p = f", p = {best.corrected:.2g}" if best.corrected is not None else ""
        where = f"{TITLES[best.protocol].lower()}, {best.subgroup}, ε = {best.epsilon:g}"
        change = "smaller" if smaller else "larger"
        parts.append(f"at best {abs(e.reduction or 0.0):.0f} % {change}{interval}{p} ({where})")
    cells = [c for c in own if c.protocol == "best_cell" and c.effect.reduction is not None]
    if cells:
        top = size(max(cells, key=size))
        parts.append(f"in the best cell of the grid {abs(top):.0f} % {'smaller' if sign * top > 0 else 'larger'}")
    if claim.value is not None:
        parts.append(f"reported: up to {claim.value:g} %")
    return "; ".join(parts)


def _listed(protocols: Sequence[str] | dict[str, list[Compared]]) -> str:
    return ", ".join(TITLES[p].lower() for p in protocols)
