"""Microseconds per training step of one private run: ours beside Opacus, plain PyTorch SGD and JAX.

    python -m benchmarks.training --json -          one pinned core, CPU time, interleaved rounds, medians
    python -m benchmarks.training --sections all    also all cores, scaling with batch, width, depth and runs, memory,
                                                    and whole studies from the click to the last point

All contenders train the same network on the same Adult-shaped rows (6 numeric columns and 8 one-hot ones, 104 inputs),
with Poisson batches. Ratios are what counts: they are taken within one round and the median over rounds is printed, so
that a machine whose speed drifts does not favour anyone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import torch
from numba import njit

from backend.contracts.training import Training
from benchmarks.study import studies
from worker.privacy.accounting import Budget, Schedule
from worker.registry import registry
from worker.training.engine import Examples, Work
from worker.training.fleet import _vector as v
from worker.training.fleet.cpu import FleetEngine, _Run
from worker.training.streams import Streams, _fill_normals

#: Takes steps from the first number on, before the second.
Steps = Callable[[int, int], None]
NUMERIC, SIZES, ROWS = 6, (9, 16, 7, 15, 6, 5, 2, 38), 30_000
INPUTS = NUMERIC + sum(SIZES)


def adult_shaped(rows: int = ROWS, *, sparse: bool) -> Examples:
    """Random rows shaped like Adult; `sparse` keeps one-hot columns as index lists, else all columns are dense."""
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(rows, NUMERIC)).astype(np.float32)
    first = NUMERIC + np.concatenate([[0], np.cumsum(SIZES)[:-1]])
    active = np.stack([rng.integers(0, size, rows) + at for size, at in zip(SIZES, first, strict=True)], 1)
    dense = np.zeros((rows, INPUTS), np.float32)
    dense[:, :NUMERIC] = numeric
    np.put_along_axis(dense, active, np.float32(1), axis=1)
    target = rng.integers(0, 2, rows)
    if sparse:
        return Examples(np.arange(rows), dense, numeric, active.astype(np.int32), target)
    return Examples(np.arange(rows), dense, dense, np.zeros((rows, 0), np.int32), target)


def work(
    hidden: list[int], batch: int, *, sparse: bool, method: str = "dp_sgd", seed: int = 0, epochs: int = 1,
    **training: Any,
) -> Work:  # fmt: skip
    """One run of the benchmark."""
    rows = adult_shaped(sparse=sparse)
    model, plugin = registry().find("model", "mlp").plugin, registry().find("method", method).plugin
    budget = Budget(1.0, 1e-5, "rdp", 1.0, 1.0, batch / 20 if method in ("adaptive_dp_sgd", "soft_ada_clip") else None)
    return Work(
        key=f"{seed}",
        streams=Streams.of(seed, f"benchmark {seed}", secure=training.get("noise_source") == "system"),
        task="binary",
        inputs=INPUTS,
        outputs=2,
        model=model,
        model_params=model.Params(hidden=hidden),
        method=plugin,
        method_params=plugin.Params(),
        training=Training(epochs=epochs, batch_size=batch, learning_rate=0.01, **training),
        schedule=Schedule.of(ROWS, batch, epochs),
        budget=budget if plugin.private else None,
        train=rows,
        validation=Examples(rows.rows[:64], rows.features[:64], rows.numeric[:64], rows.active[:64], rows.target[:64]),
    )


def ours(hidden: list[int], batch: int, *, sparse: bool, method: str = "dp_sgd", **training: Any) -> Steps:
    """The fleet engine's steps: batch, gradients, the method's own code, noise, update."""
    run = _Run(work(hidden, batch, sparse=sparse, method=method, epochs=1000, **training))

    def steps(first: int, end: int) -> None:
        while first < end:
            first = run.advance(first, end)

    return steps


def one_by_one(step: Callable[[], None]) -> Steps:
    """Steps of a contender that takes one at a call."""

    def steps(first: int, end: int) -> None:
        for _ in range(first, end):
            step()

    return steps


def _network(hidden: list[int]) -> torch.nn.Sequential:
    widths = [INPUTS, *hidden]
    layers: list[torch.nn.Module] = []
    for a, b in zip(widths, widths[1:], strict=False):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 2))


def _tensors() -> tuple[torch.Tensor, torch.Tensor]:
    rows = adult_shaped(sparse=False)
    return torch.from_numpy(rows.features), torch.from_numpy(rows.target)


def opacus(hidden: list[int], batch: int, *, ghost: bool) -> Steps:
    """Opacus as its users write it, but with Poisson batches by tensor indexing in place of its slower data loader."""
    from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    x, y = _tensors()
    loss: Any = torch.nn.CrossEntropyLoss()
    settings: dict[str, Any] = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "expected_batch_size": batch}
    if ghost:
        module: Any = GradSampleModuleFastGradientClipping(_network(hidden), max_grad_norm=1.0, use_ghost_clipping=True)
        optimizer: Any = DPOptimizerFastGradientClipping(torch.optim.SGD(module.parameters(), lr=0.01), **settings)
        loss = DPLossFastGradientClipping(module, optimizer, loss, "mean")
    else:
        module = GradSampleModule(_network(hidden))
        optimizer = DPOptimizer(torch.optim.SGD(module.parameters(), lr=0.01), **settings)

    def step() -> None:
        rows = torch.nonzero(torch.rand(ROWS) < batch / ROWS).squeeze(1)
        optimizer.zero_grad()
        loss(module(x[rows]), y[rows]).backward()
        optimizer.step()

    return one_by_one(step)


def plain_sgd(hidden: list[int], batch: int) -> Steps:
    """Non-private PyTorch on batches of fixed size."""
    x, y = _tensors()
    module, loss = _network(hidden), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)

    def step() -> None:
        rows = torch.randint(0, ROWS, (batch,))
        optimizer.zero_grad()
        loss(module(x[rows]), y[rows]).backward()
        optimizer.step()

    return one_by_one(step)


def jax_ghost(hidden: list[int], batch: int) -> Steps | None:
    """JAX, compiled, with hand-written ghost norms and padded Poisson batches; None where jax is not installed."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return None
    rows = adult_shaped(sparse=False)
    x, y = jnp.asarray(rows.features), jnp.asarray(rows.target)
    network = [p.detach().numpy() for p in _network(hidden).parameters()]
    weights = [(jnp.asarray(w.T), jnp.asarray(b)) for w, b in zip(network[::2], network[1::2], strict=True)]
    room = int(batch + 6 * batch**0.5)

    @jax.jit
    def update(weights: Any, key: Any, chosen: Any, mask: Any) -> Any:
        inputs, activations = x[chosen], []
        h = inputs
        for layer, (w, b) in enumerate(weights):
            activations.append(h)
            h = h @ w + b
            h = jax.nn.relu(h) if layer < len(weights) - 1 else h
        error = (jax.nn.softmax(h) - jax.nn.one_hot(y[chosen], 2)) * mask[:, None]
        errors = [error]
        for layer in range(len(weights) - 1, 0, -1):
            errors.append((errors[-1] @ weights[layer][0].T) * (activations[layer] > 0))
        errors.reverse()
        squares = sum((jnp.sum(a * a, 1) + 1) * jnp.sum(e * e, 1) for a, e in zip(activations, errors, strict=True))
        scale = jnp.minimum(1, 1 / jnp.sqrt(jnp.maximum(squares, 1e-30)))
        answer = []
        for (w, b), a, e in zip(weights, activations, errors, strict=True):
            key, one, two = jax.random.split(key, 3)
            scaled = e * scale[:, None]
            answer.append(
                (
                    w - 0.01 / batch * (a.T @ scaled + jax.random.normal(one, w.shape)),
                    b - 0.01 / batch * (scaled.sum(0) + jax.random.normal(two, b.shape)),
                )
            )
        return answer, key

    state = {"weights": weights, "key": jax.random.key(0)}
    rng = np.random.default_rng(0)

    def step() -> None:
        drawn = np.flatnonzero(rng.random(ROWS) < batch / ROWS)[:room]
        chosen = np.zeros(room, np.int32)
        chosen[: len(drawn)] = drawn
        mask = (np.arange(room) < len(drawn)).astype(np.float32)
        state["weights"], state["key"] = update(state["weights"], state["key"], chosen, mask)
        state["weights"][0][0].block_until_ready()

    return one_by_one(step)


def interleaved(contenders: dict[str, Steps], rounds: int, budget: float = 0.08) -> dict[str, list[float]]:
    """CPU microseconds per step, one figure per round; each contender gets about `budget` seconds of each round."""
    counts, times, at = {}, {name: [] for name in contenders}, {}
    for name, steps in contenders.items():
        steps(0, 8)
        started = time.process_time()
        steps(8, 12)
        counts[name] = max(1, int(budget / max(1e-6, (time.process_time() - started) / 4)))
        at[name] = 12
    for _ in range(rounds):
        for name, steps in contenders.items():
            started = time.process_time()
            steps(at[name], at[name] + counts[name])
            times[name].append((time.process_time() - started) / counts[name] * 1e6)
            at[name] += counts[name]
    return times


@njit(nogil=True, fastmath={"contract"})
def _multiply_adds(rounds: Any) -> Any:
    """Twelve chains of 16-lane multiply-adds that never leave the registers: 384 operations a round."""
    z, o = v.splat(np.float32(0.5)), v.splat(np.float32(1.0001))
    a, b, c, d, e, f, g, h, i, j, k, m = z, z, z, z, z, z, z, z, z, z, z, z
    for _ in range(rounds):
        a, b, c, d = v.fma(a, o, z), v.fma(b, o, z), v.fma(c, o, z), v.fma(d, o, z)
        e, f, g, h = v.fma(e, o, z), v.fma(f, o, z), v.fma(g, o, z), v.fma(h, o, z)
        i, j, k, m = v.fma(i, o, z), v.fma(j, o, z), v.fma(k, o, z), v.fma(m, o, z)
    first = v.add(v.add(v.add(a, b), v.add(c, d)), v.add(v.add(e, f), v.add(g, h)))
    return v.total(v.add(first, v.add(v.add(i, j), v.add(k, m))))


@njit(nogil=True)
def _normals_in_cache(out: Any, rounds: Any) -> None:
    for step in range(rounds):
        _fill_normals(out, np.uint32(1), np.uint32(2), np.uint32(4), np.uint32(step))


def _median(call: Callable[[], Any], seconds: float = 0.4) -> float:
    call()
    taken, until = [], time.process_time() + seconds
    while time.process_time() < until:
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def arithmetic_limit(hidden: list[int], batch: int) -> dict[str, float]:
    """What one core's arithmetic allows for a dense private step, measured and not looked up.

    Multiply-adds at the rate of a loop that stays in the registers, and the step's normals at the rate of the generator
    into a buffer that stays in the first-level cache: no step of any program with this arithmetic is faster. Beside it
    the rate of torch's own matrix products.
    """
    a, b = torch.rand(768, 768), torch.rand(768, 768)
    small = np.empty(4096, np.float32)
    fma = 384 * 100_000 / _median(lambda: _multiply_adds(100_000)) / 1e9
    normals = 4096 * 100 / _median(lambda: _normals_in_cache(small, 100)) / 1e9
    widths = [INPUTS, *hidden, 2]
    count = sum(m * n + n for m, n in zip(widths, widths[1:], strict=False))
    return {
        "fma_gflops": round(fma, 1),
        "torch_gflops": round(2 * 768**3 / _median(lambda: a @ b) / 1e9, 1),
        "normals_per_ns": round(normals, 2),
        "microseconds": round(flops(hidden, batch) / fma / 1e3 + count / normals / 1e3, 1),
    }


def flops(hidden: list[int], batch: int) -> float:
    """Multiply-adds, counted as two, of one dense step: forward, weighted sum, and backward but for the inputs."""
    widths = [INPUTS, *hidden, 2]
    products = [a * b for a, b in zip(widths, widths[1:], strict=False)]
    return 2.0 * batch * (2 * sum(products) + sum(products[1:]))


def one_core(hidden: list[int], batch: int, rounds: int) -> dict[str, Any]:
    """All contenders on one core."""
    contenders: dict[str, Steps | None] = {
        "ours_one_hot": ours(hidden, batch, sparse=True),
        "ours_dense": ours(hidden, batch, sparse=False),
        "sgd": plain_sgd(hidden, batch),
        "opacus_ghost": opacus(hidden, batch, ghost=True),
        "opacus_hooks": opacus(hidden, batch, ghost=False),
        "jax": jax_ghost(hidden, batch),
    }
    times = interleaved({name: step for name, step in contenders.items() if step is not None}, rounds)

    def ratios(mine: str) -> dict[str, float]:
        return {
            name: round(statistics.median(t / o for t, o in zip(taken, times[mine], strict=True)), 2)
            for name, taken in times.items()
            if not name.startswith("ours")
        }

    dense = statistics.median(times["ours_dense"])
    return {
        "shape": [INPUTS, *hidden, 2],
        "batch": batch,
        "microseconds": {name: round(statistics.median(taken), 1) for name, taken in times.items()},
        "ratio_over": ratios("ours_one_hot"),
        "ratio_over_dense": ratios("ours_dense"),
        "dense_gflops": round(flops(hidden, batch) / dense / 1e3, 1),
        "dense_limit": arithmetic_limit(hidden, batch),
    }


def all_cores(rounds: int) -> dict[str, Any]:
    """Steps per second of the engine on one thread and on every core, wall time, over runs of ten epochs."""
    cores = len(os.sched_getaffinity(0))
    jobs = [work([256], 256, sparse=True, seed=seed, epochs=10) for seed in range(4 * cores)]
    steps = sum(job.schedule.steps for job in jobs)
    rates: dict[int, list[float]] = {1: [], cores: []}
    for _ in range(max(3, rounds // 4)):
        for threads, taken in rates.items():
            started = time.perf_counter()
            for _trained in FleetEngine(threads).train(jobs):
                pass
            taken.append(steps / (time.perf_counter() - started))
    many = statistics.median(rates[cores])
    times = statistics.median(m / o for o, m in zip(rates[1], rates[cores], strict=True))
    return {"cores": cores, "steps_per_second": round(many), "times_one_thread": round(times, 2)}


def fleets(rounds: int) -> list[dict[str, Any]]:
    """Microseconds per step of a run in fleets of R runs of one epoch, on one thread, set-up of each run included."""
    answer = []
    for runs in (1, 8, 64):
        jobs = [work([256], 256, sparse=True, seed=seed) for seed in range(runs)]
        taken = []
        for _ in range(max(2, min(rounds, 128 // runs))):
            started = time.process_time()
            for _trained in FleetEngine().train(jobs):
                pass
            taken.append((time.process_time() - started) / sum(job.schedule.steps for job in jobs) * 1e6)
        answer.append({"runs": runs, "microseconds": round(statistics.median(taken), 1)})
    return answer


def memory() -> dict[str, Any]:
    """What a run takes while it trains, as the engine says beforehand and as the process grows with 64 runs at once."""
    jobs = [work([256], 256, sparse=True, seed=seed) for seed in range(64)]
    demand = FleetEngine().demand(jobs[0])
    _Run(jobs[0]).advance(0, 4)
    before = _resident()
    held = [_Run(job) for job in jobs]
    for run in held:
        run.advance(0, 4)
    return {
        "stated_mib_per_run": round(demand.per_run / 2**20, 2),
        "measured_mib_per_run": round((_resident() - before) / len(held) / 2**20, 2),
    }


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def scaling(rounds: int) -> list[dict[str, Any]]:
    """Ours over batch, width, depth and method."""
    shapes: list[tuple[list[int], int, str]] = [([256], b, "dp_sgd") for b in (64, 1024)]
    shapes += [([w], 256, "dp_sgd") for w in (64, 1024)] + [([256] * d, 256, "dp_sgd") for d in (2, 3)]
    shapes += [([256], 256, m) for m in ("sgd", "dp_sgd", "adaptive_dp_sgd", "soft_ada_clip")]
    answer = []
    for hidden, batch, method in shapes:
        taken = interleaved({"ours": ours(hidden, batch, sparse=True, method=method)}, rounds)["ours"]
        middle = round(statistics.median(taken), 1)
        answer.append({"hidden": hidden, "batch": batch, "method": method, "microseconds": middle})
    for training in ({"optimizer": "adam"}, {"momentum": 0.9}, {"noise_source": "system"}):
        taken = interleaved({"ours": ours([256], 256, sparse=True, **training)}, rounds)["ours"]
        answer.append({"hidden": [256], "batch": 256, **training, "microseconds": round(statistics.median(taken), 1)})
    return answer


def main() -> None:
    """Prints a table, or JSON to a file or (`-`) standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write JSON to this file; - prints it")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--hidden", default="256", help="hidden units, comma-separated")
    parser.add_argument("--sections", choices=["core", "all"], default="core")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    hidden = [int(width) for width in arguments.hidden.split(",") if width]
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everything)})
    answer = one_core(hidden, arguments.batch, arguments.rounds)
    if arguments.sections == "all":
        answer["two_hidden_layers"] = one_core([256, 128], 256, arguments.rounds)
        answer["fleets"] = fleets(arguments.rounds)
        answer["scaling"] = scaling(arguments.rounds)
        answer["memory"] = memory()
        os.sched_setaffinity(0, everything)
        answer["all_cores"] = all_cores(arguments.rounds)
        answer["studies"] = studies(10)
    text = json.dumps(answer, indent=2)
    if arguments.json and arguments.json != "-":
        with open(arguments.json, "w") as file:
            file.write(text + "\n")
    elif arguments.json:
        sys.stdout.write(text + "\n")
    else:
        print(f"One step, {answer['shape']}, batch {answer['batch']}, one core, CPU microseconds (median)")
        for name, taken in answer["microseconds"].items():
            over = answer["ratio_over"].get(name)
            print(f"  {name:14} {taken:10,.0f}" + (f"   {over:6.1f} times ours" if over else ""))
        limit = answer["dense_limit"]
        print(f"  dense: {answer['dense_gflops']} of {limit['fma_gflops']} GFLOP/s")
        print(f"  dense: the core's arithmetic allows {limit['microseconds']} microseconds")


if __name__ == "__main__":
    main()
