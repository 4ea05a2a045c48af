"""Milliseconds to evaluate and attack one run on Adult, alone and in fleets, beside pandas with scikit-learn.

    python -m benchmarks.evaluation --json -                  one pinned core, CPU time, interleaved rounds, medians
    python -m benchmarks.evaluation --sections all            also numpy alone, epochs' losses, and time to the data

The contender is what one writes first: a data frame per run and split, `groupby` over each attribute, scikit-learn's
functions on each subgroup, its `roc_curve` for the attack. It gives the same values (checked before anything is timed)
and has no intervals. Logits are computed beforehand for both. Ratios are taken within one round, and their median is
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import pandas as pd
import sklearn.metrics as sk
from scipy import special

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from worker.catalogue import build_catalogue
from worker.evaluate import Prepared, evaluate_many
from worker.measure import prepare
from worker.metrics import _ranking
from worker.training.engine import Examples, Trained
from worker.training.initial import build
from worker.training.losses import per_record_numpy

CHOICES = [["sex"], ["race"], ["sex", "race"]]
FLEETS = (1, 8, 32)
BINS = 15
Fleet = list[tuple[Prepared, Trained]]


def fleet(runs: int) -> Fleet:
    """Runs of one seed with logits of a fair model of Adult, different for each run, in float32."""
    spec = JobSpec.model_validate(
        {
            "dataset": {"name": "adult", "subgroups": CHOICES},
            "model": {"name": "mlp"},
            "methods": [{"name": "sgd"}],
            "seeds": 1,
        }
    )
    (config,) = expand(spec, build_catalogue(), max_runs=1).configs
    prepared = prepare(config)
    data = prepared.data
    made = []
    for run in range(runs):
        random = np.random.default_rng(run)
        logits = {}
        for part in (data.train, data.validation, data.test):
            margin = 2.2 * (part.target - 0.75) + random.normal(size=len(part))
            logits[id(part)] = np.stack([-margin / 2, margin / 2], axis=1).astype(np.float32)

        def answer(part: Examples, logits: dict[int, Any] = logits) -> Any:
            return logits[id(part)]

        made.append((prepared, Trained(f"run {run}", "none", answer, lambda: build(prepared.work), 1.0)))
    return made


def frames(prepared: Prepared, logits: Any, rows: Any, target: Any) -> Iterator[tuple[str, pd.DataFrame]]:
    """Everybody and every subgroup, by name."""
    exact = logits.astype(np.float64)
    columns = {
        "target": target,
        "margin": exact[:, 1] - exact[:, 0],
        "probability": special.softmax(exact, axis=1)[:, 1],
        "predicted": exact.argmax(axis=1),
        "loss": special.logsumexp(exact, axis=1) - exact[np.arange(len(target)), target],
    }
    for name, attribute in prepared.data.attributes.items():
        columns[name] = np.array(attribute.labels, object)[attribute.codes[rows]]
    frame = pd.DataFrame(columns)
    yield "all", frame
    for choice in CHOICES:
        for values, group in frame.groupby(choice):
            yield " & ".join(f"{n}={v}" for n, v in zip(choice, values, strict=True)), group


def qualities(group: pd.DataFrame) -> dict[str, float]:
    """The eleven figures of one subgroup."""
    y, guess = group["target"], group["predicted"]
    tn, fp, fn, tp = sk.confusion_matrix(y, guess, labels=[0, 1]).ravel()
    bins = np.minimum((group["probability"] * BINS).astype(int), BINS - 1)
    return {
        "n": len(group),
        "loss": group["loss"].mean(),
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "f1": sk.f1_score(y, guess),
        "auroc": sk.roc_auc_score(y, group["margin"]),
        "tpr": tp / (tp + fn),
        "fpr": fp / (fp + tn),
        "selection_rate": guess.mean(),
        "calibration_error": (y - group["probability"]).groupby(bins).sum().abs().sum() / len(group),
        "majority_share": max(guess.mean(), 1 - guess.mean()),
    }


def gaps(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The six gaps of each attribute and intersection."""
    answer = {}
    for choice in CHOICES:
        family = " & ".join(choice)
        table = pd.DataFrame([f for name, f in found.items() if [p.split("=")[0] for p in name.split(" & ")] == choice])
        spread = table.max() - table.min()
        answer[family] = {
            "loss_gap": spread["loss"],
            "worst_group_loss": table["loss"].max(),
            "accuracy_gap": spread["accuracy"],
            "worst_group_accuracy": table["accuracy"].min(),
            "demographic_parity_difference": spread["selection_rate"],
            "equalized_odds_difference": max(spread["tpr"], spread["fpr"]),
        }
    return answer


def contender(prepared: Prepared, trained: Trained) -> dict[tuple[str, str, str], float]:
    """Values by metric, subgroup and split."""
    data = prepared.data
    values: dict[tuple[str, str, str], float] = {}
    for split, part in (("test", data.test), ("validation", data.validation)):
        logits = trained.logits(part)
        found = {name: qualities(group) for name, group in frames(prepared, logits, part.rows, part.target)}
        for name, figures in {**found, **gaps(found)}.items():
            values |= {(metric, name, split): value for metric, value in figures.items()}
    logits = np.concatenate([trained.logits(data.train), trained.logits(data.test)])
    target = np.concatenate([data.train.target, data.test.target])
    rows = np.concatenate([data.train.rows, data.test.rows])
    for name, group in frames(prepared, logits, rows, target):
        members = group.index < len(data.train)
        fpr, tpr, _ = sk.roc_curve(members, -group["loss"], drop_intermediate=False)
        values["loss_threshold_auc", name, "test"] = sk.auc(fpr, tpr)
        values["loss_threshold_advantage", name, "test"] = (tpr - fpr).max()
        values["loss_threshold_balanced_accuracy", name, "test"] = (1 + (tpr - fpr).max()) / 2
        for figure, rate in (("tpr_at_1pct_fpr", 0.01), ("tpr_at_0_1pct_fpr", 0.001)):
            values[f"loss_threshold_{figure}", name, "test"] = tpr[np.searchsorted(fpr, rate, side="right") - 1]
    return values


def check(one: tuple[Prepared, Trained]) -> None:
    """Both give the same values. Losses may differ in the last bit, which changes the ranks of a few rows."""
    expected, (result,) = contender(*one), evaluate_many([one])
    for m in result.measurements:
        if m.value is not None and m.metric not in ("wall_seconds", "steps"):
            theirs = expected[m.metric, m.subgroup, m.split]
            assert abs(m.value - theirs) < (1e-6 if m.metric.startswith("loss_threshold") else 1e-11), (m, theirs)


def interleaved(contenders: dict[str, tuple[int, Callable[[], object]]], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds per run, one figure per round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _, call in contenders.values():
        call()
    for _ in range(rounds):
        for name, (runs, call) in contenders.items():
            started = time.process_time()
            call()
            times[name].append((time.process_time() - started) / runs * 1e3)
    return times


def evaluation(runs: Fleet, rounds: int) -> dict[str, Any]:
    """Ours in fleets of several sizes, and the contender on one run after the other."""
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        f"fleet_of_{size}": (size, lambda size=size: evaluate_many(runs[:size])) for size in FLEETS
    }
    contenders["scikit_learn"] = (1, lambda: contender(*runs[0]))
    times = interleaved(contenders, rounds)
    return {
        "milliseconds_per_run": {name: round(statistics.median(taken), 2) for name, taken in times.items()},
        "scikit_learn_over": {
            name: round(statistics.median(t / o for t, o in zip(times["scikit_learn"], taken, strict=True)), 1)
            for name, taken in times.items()
            if name != "scikit_learn"
        },
    }


def without_compiler(runs: Fleet, rounds: int) -> dict[str, float]:
    """Ours where numba is not installed."""
    original, changed = _ranking.compiled, vars(_ranking)
    changed["compiled"] = lambda: None
    try:
        taken = interleaved({"fleet_of_8": (8, lambda: evaluate_many(runs[:8]))}, max(2, rounds // 2))["fleet_of_8"]
    finally:
        changed["compiled"] = original
    return {"fleet_of_8": round(statistics.median(taken), 2)}


def epoch_losses(runs: Fleet, rounds: int) -> dict[str, float]:
    """Milliseconds of one epoch's validation losses: ours and scipy's log-sum-exp."""
    prepared, trained = runs[0]
    target = prepared.data.validation.target
    logits = trained.logits(prepared.data.validation)

    def scipy() -> object:
        exact = logits.astype(np.float64)
        return special.logsumexp(exact, axis=1) - exact[np.arange(len(target)), target]

    times = interleaved(
        {"ours": (1, lambda: per_record_numpy(logits, target, "binary")), "scipy": (1, scipy)}, 20 * rounds
    )
    return {name: round(statistics.median(taken), 3) for name, taken in times.items()}


CHILD = """
import json, sys, time
from pathlib import Path
from worker.measure import registry, engine_version
from worker.datasets._prepared import prepared_data
registry(), engine_version()
def resident(kind):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(kind)) / 1024
before, started, cpu = resident("RssAnon"), time.perf_counter(), time.process_time()
data = prepared_data("adult", "{}", 0, Path(sys.argv[1]) if sys.argv[1] else None)
seconds = time.perf_counter() - started, time.process_time() - cpu
data.train.numeric.sum(), data.train.active.sum()
if sys.argv[2] == "dense":
    [part.features for part in (data.train, data.validation, data.test)]
print(json.dumps({"milliseconds": 1e3 * seconds[0], "cpu_milliseconds": 1e3 * seconds[1],
                  "own_mebibytes": resident("RssAnon") - before}))
"""


def preparation(rounds: int) -> dict[str, dict[str, float]]:
    """Time until a process that has imported everything has Adult, and memory of its own that it takes (Linux)."""
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as cache:
        # The first call with the folder writes it.
        for name, *arguments in [
            ("first", cache, ""),
            *[("mapped", cache, ""), ("in_memory", "", ""), ("in_memory_dense", "", "dense")] * rounds,
        ]:
            done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True)
            found.setdefault(name, []).append(json.loads(done.stdout))
    return {
        name: {key: round(statistics.median(one[key] for one in several), 1) for key in several[0]}
        for name, several in found.items()
    }


def main() -> None:
    """Prints JSON to a file or standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", default="-", help="write JSON to this file; - prints it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sections", choices=["core", "all"], default="core")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs = fleet(max(FLEETS))
    check(runs[0])
    answer: dict[str, Any] = evaluation(runs, arguments.rounds)
    if arguments.sections == "all":
        answer["milliseconds_per_run_numpy_alone"] = without_compiler(runs, arguments.rounds)
        answer["milliseconds_of_epoch_losses"] = epoch_losses(runs, arguments.rounds)
        answer["preparation"] = preparation(min(5, arguments.rounds))
    text = json.dumps(answer, indent=2)
    if arguments.json == "-":
        print(text)
    else:
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
