"""Speed of the explorer with 100,000 runs and 10 million measurements, beside optuna-dashboard with as many trials.

    python -m benchmarks.explorer                              everything, in a temporary directory
    python -m benchmarks.explorer --database big.sqlite        keeps the database and takes it again next time
    python -m benchmarks.explorer --runs 5000 --rounds 5       a small one, in seconds
    python -m benchmarks.explorer --no-optuna                  without the comparison

The database is made of eight studies: four private methods over epsilon, learning rate and clipping threshold, ten
seeds each, all metrics on everybody and on subgroups, test and validation rows; the same numbers on every machine.
It is filled in bulk, as no worker would; what is timed is the API's own process, asked over HTTP as the page asks it.
The first request of each process is told apart: it reads the run table, later ones find it in the process. A server
reads the newest studies when it starts: the first view is asked of new processes, at once and some seconds later.
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
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import insert, text

from backend.analysis.frontier import frontier
from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.settings import Settings
from backend.store import jobs, runs, schema, workers
from backend.store.database import Database
from backend.store.tables import HistoryRow, MeasurementRow, SeriesRow
from worker.catalogue import build_catalogue

ROOT = Path(__file__).resolve().parent.parent
SEEDS, STUDIES = 10, 8
#: Starts of the server, and seconds after which it has read the newest studies.
STARTS, WARM = 5, 4.0
EPSILONS = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
METHODS = ("dp_sgd", "soft_ada_clip", "adaptive_dp_sgd", "automatic_clipping")
GROUPS = {"all": 9045, "sex=Female": 2930, "sex=Male": 6115, "race=White": 7780, "race=Black": 840, "race=Other": 70}
GROUPS |= {"sex=Female & race=Black": 410, "sex=Female & race=Other": 18}
FIGURES = ("loss", "accuracy", "auroc", "balanced_accuracy", "selection_rate", "calibration_error")
FAMILIES = ("sex", "race")


# --- the database -----------------------------------------------------------------------------------------------------


def specifications(total: int) -> Iterator[JobSpec]:
    """Studies that together have `total` runs, about."""
    per_method = max(1, round(total / STUDIES / SEEDS / len(METHODS) / len(EPSILONS)))
    rates = [float(f"{rate:.4g}") for rate in np.geomspace(0.01, 10, per_method)]
    for study in range(STUDIES):
        yield JobSpec.model_validate(
            {
                "name": f"Benchmark {study}",
                "dataset": {"name": "adult", "subgroups": ["sex", "race", ["sex", "race"]]},
                "model": {"name": "mlp", "params": {"hidden": [16 * (1 + study // 4)]}},
                "methods": [
                    {"name": "sgd"},
                    *(
                        {"name": name, "params": {"epsilon": EPSILONS}, "training": {"learning_rate": rates}}
                        for name in METHODS
                    ),
                ],
                "training": {"epochs": 2 + study % 4, "batch_size": 256},
                "seeds": SEEDS,
            }
        )


def series_of() -> list[tuple[str, str, str]]:
    """(metric, subgroup, split) of every column: 100."""
    splits = ("test", "validation")
    found = [(metric, group, split) for metric in FIGURES for group in GROUPS for split in splits]
    return found + [("loss_gap", family, split) for family in FAMILIES for split in splits]


def fill(database: Database, total: int) -> dict[str, int]:
    """Makes the database. Answers how much of everything it has."""
    schema.upgrade(database)
    catalogue = build_catalogue()
    with database.write() as session:
        workers.publish_catalogue(session, catalogue)
    for spec in specifications(total):
        expansion = expand(spec, catalogue, max_runs=10**6)
        with database.write() as session:
            job = jobs.create(session, spec, runs=len(expansion.configs))
            runs.attach(session, job.id, expansion.configs)
            session.execute(text("UPDATE jobs SET status = 'succeeded' WHERE id = :id"), {"id": job.id})
    with database.write() as session:
        session.execute(
            text(
                "UPDATE runs SET status = 'succeeded', wall_seconds = 1.0, finished_at = created_at, degenerate = :no"
            ),
            {"no": False},
        )
        rows = session.execute(
            text(
                "SELECT r.id, r.seed, s.method, s.epsilon, s.hash FROM runs r JOIN settings s ON s.id = r.setting_id "
                "ORDER BY r.id"
            )
        ).all()
    ids = np.array([row[0] for row in rows])
    seeds = np.array([row[1] for row in rows])
    epsilon = np.array([np.inf if row[3] is None else row[3] for row in rows], dtype=np.float64)
    offset = np.array([zlib.crc32(row[2].encode()) % 97 for row in rows]) / 2000
    spread = np.array([int(row[4][:6], 16) for row in rows]) / 0xFFFFFF
    numbers = 0
    for i, (metric, group, split) in enumerate(series_of()):
        random = np.random.default_rng(i)
        base = 0.32 + 0.06 / np.sqrt(epsilon) + 0.05 * spread + 0.002 * (seeds % 10) + 0.01 * (i % 8)
        value = base + offset + 0.004 * random.standard_normal(len(ids))
        if metric not in ("loss", "loss_gap", "calibration_error"):
            value = 1 - 0.5 * value
        n = GROUPS.get(group, 18)
        with database.write() as session:
            series_id = session.execute(
                insert(SeriesRow).values(metric=metric, subgroup=group, split=split).returning(SeriesRow.id)
            ).scalar_one()
            table = MeasurementRow.__table__
            raw = zip(ids.tolist(), np.round(value, 6).tolist(), strict=True)
            if database.kind == "sqlite":
                cursor: Any = session.connection().connection.cursor()
                cursor.executemany(
                    "INSERT INTO measurements (series_id, run_id, value, n, low, high) VALUES (?, ?, ?, ?, ?, ?)",
                    [(series_id, run, v, n, v - 0.01, v + 0.01) for run, v in raw],
                )
            else:
                session.execute(
                    insert(table),  # type: ignore[arg-type]
                    [
                        {"series_id": series_id, "run_id": r, "value": v, "n": n, "low": v - 0.01, "high": v + 0.01}
                        for r, v in raw
                    ],
                )
        numbers += len(ids)
    with database.write() as session:
        few = ids[:200].tolist()
        session.execute(
            insert(HistoryRow),
            [{"run_id": i, "name": "train_loss", "unit": "nats", "steps": [1, 2], "values": [0.6, 0.4]} for i in few],
        )
        # Statistics for the planner, as both databases gather by themselves in time.
        session.execute(text("ANALYZE"))
    settings = len({row[4] for row in rows})
    return {"runs": len(ids), "settings": settings, "measurements": numbers}


# --- the server -------------------------------------------------------------------------------------------------------


class Server:
    """The API in a process of its own, with a client on it."""

    def __init__(self, command: list[str], url: str, environment: dict[str, str], ready: str, log: Path) -> None:
        self.log = log.open("w")
        self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=self.log, stderr=self.log)
        self.client = httpx.Client(base_url=url, timeout=600)
        for _ in range(600):
            try:
                if self.client.get(ready).status_code < 500:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"The server ended; see {log}:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        raise SystemExit("The server did not answer within a minute.")

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def peak(self) -> float:
        """Most resident MiB so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def get(self, path: str, query: Any) -> tuple[float, int]:
        """Milliseconds, and bytes of the answer."""
        began = time.perf_counter()
        answer = self.client.get(path, params=query)
        took = 1000 * (time.perf_counter() - began)
        if answer.status_code != 200:
            raise SystemExit(f"{path} {query}: {answer.status_code} {answer.text[:500]}")
        return took, len(answer.content)

    def close(self) -> None:
        """Ends it."""
        self.client.close()
        self.process.terminate()
        self.process.wait()
        self.log.close()


def start(url: str, port: int, folder: Path) -> Server:
    """The API on that database."""
    environment = {**os.environ, "EQUIPOISE_DATABASE_URL": url, "EQUIPOISE_DATA_DIR": str(folder)}
    code = (
        "import uvicorn; from backend.main import create_app; from backend.settings import Settings; "
        f"uvicorn.run(create_app(Settings()), port={port}, log_level='warning')"
    )
    command = [sys.executable, "-c", code]
    return Server(command, f"http://127.0.0.1:{port}", environment, "/api/health", folder / "server.log")


Views = dict[str, tuple[str, dict[str, Any]]]


def views(job_ids: list[str]) -> Views:
    """What the explorer asks for."""
    every = {"job_id": job_ids}
    figure = "/api/figures/"
    return {
        "first view, one curve per method": (figure + "tradeoff", every),
        "10,000 settings": (figure + "tradeoff", {**every, "choose": "all", "x": "loss", "y": "accuracy"}),
        "10,000 settings with the frontier": (
            figure + "tradeoff",
            {**every, "choose": "all", "x": "epsilon", "y": "loss", "frontier": True},
        ),
        "one study, all its settings": (figure + "tradeoff", {"job_id": job_ids[:1], "choose": "all"}),
        "coloured, small multiples": (
            figure + "tradeoff",
            {**every, "choose": "all", "x": "training.learning_rate", "y": "loss", "color": "accuracy",
             "facet": "method"},
        ),
        "parallel coordinates": (figure + "parallel", {**every, "choose": "all"}),
        "intersections": (figure + "intersections", {**every, "metric": "accuracy"}),
        "subgroups": (figure + "subgroups", {**every, "order": "gap"}),
        "frontier endpoint": ("/api/frontier", {**every, "choose": "all", "x": "loss", "y": "accuracy"}),
        "menus": ("/api/series", every),
    }  # fmt: skip


def changes(job_ids: list[str]) -> Iterator[dict[str, Any]]:
    """Axes that nobody has asked for yet: every column is read from the database."""
    for metric in FIGURES:
        for group in GROUPS:
            yield {"job_id": job_ids, "choose": "all", "x": "loss", "x_subgroup": group, "y": metric, "subgroup": group}


def quantile(times: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(times)[min(len(times) - 1, round(share * (len(times) - 1) + 0.5 - 1e-9) if share < 1 else -1)]


def row(first: float, times: list[float], size: float) -> dict[str, float]:
    """What is told of one view."""
    return {"first_ms": first, "p50_ms": statistics.median(times), "p95_ms": quantile(times, 0.95), "kB": size}


def first_view(url: str, folder: Path, job_ids: list[str], port: int, wait: float) -> float:
    """Milliseconds of the first view of a process that has been there for some seconds."""
    server = start(url, port, folder)
    try:
        time.sleep(wait)
        path, query = next(iter(views(job_ids).values()))
        return server.get(path, query)[0]
    finally:
        server.close()


def measure(url: str, folder: Path, job_ids: list[str], rounds: int, port: int) -> dict[str, Any]:
    """Times of every view: first in a new process, then `rounds` more."""
    answer: dict[str, Any] = {"views": {}}
    for name, wait in (("first view of a new process, at once", 0.0), (f"the same, {WARM} s later", WARM)):
        new = [first_view(url, folder, job_ids, port, wait) for _ in range(STARTS)]
        answer["views"][name] = row(new[0], new, 0.0)
    server = start(url, port, folder)
    try:
        time.sleep(WARM)
        answer["memory_at_start"] = server.memory()
        asked = views(job_ids)
        times: dict[str, list[float]] = {name: [] for name in asked}
        sizes: dict[str, int] = {}
        first = {}
        for name, (path, query) in asked.items():
            first[name], sizes[name] = server.get(path, query)
        for _ in range(rounds):
            for name, (path, query) in asked.items():
                times[name].append(server.get(path, query)[0])
        for name in asked:
            answer["views"][name] = row(first[name], times[name], sizes[name] / 1000)
        new = [server.get("/api/figures/tradeoff", query)[0] for query in changes(job_ids)]
        answer["views"]["change of axes to ones not read yet"] = row(new[0], new, 0.0)
        answer["memory"], answer["memory_peak"] = server.memory(), server.peak()
    finally:
        server.close()
    return answer


def frontier_of_many(points: int = 100_000, rounds: int = 20) -> dict[str, float]:
    """Milliseconds for the frontier of so many points, most of them on none."""
    random = np.random.default_rng(0)
    x, y = random.random(points), random.random(points)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        frontier(x, y, x_higher=False, y_higher=True)
        times.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": statistics.median(times), "p95_ms": quantile(times, 0.95)}


# --- the contender ----------------------------------------------------------------------------------------------------

_STUDY = """
import itertools, sqlite3, sys, optuna, numpy as np
from optuna.trial import create_trial
from optuna.distributions import FloatDistribution as F
optuna.logging.set_verbosity(optuna.logging.ERROR)
file, n = sys.argv[1], int(sys.argv[2])
study = optuna.create_study(storage="sqlite:///" + file, study_name="bench", directions=["minimize", "maximize"])
r = np.random.default_rng(0)
d = {"epsilon": F(0.1, 100), "learning_rate": F(0.001, 10)}
study.add_trial(create_trial(params={"epsilon": 1.0, "learning_rate": 1.0}, distributions=d, values=[0.5, 0.5]))
# Its own way of adding trials takes time with the square of their number: the first trial's rows are repeated instead.
c = sqlite3.connect(file)
drawn = [r.uniform(0.1, 100, n), r.uniform(0.001, 10, n), *r.random((2, n))]
numbers = dict(zip(["epsilon", "learning_rate", 0, 1], drawn))
for table, own, name, value in [("trials", "trial_id", None, "number"),
                                ("trial_params", "param_id", "param_name", "param_value"),
                                ("trial_values", "trial_value_id", "objective", "value")]:
    names = [x[1] for x in c.execute(f"PRAGMA table_info({table})")]
    rows = [dict(zip(names, row)) for row in c.execute(f"SELECT * FROM {table}").fetchall()]
    made = []
    for i in range(1, n):
        for j, row in enumerate(rows):
            new = i if name is None else float(numbers[row[name]][i])
            made.append(tuple({**row, "trial_id": i + 1, own: i * len(rows) + j + 1, value: new}.values()))
    c.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})", made)
c.commit()
assert len(optuna.load_study(storage="sqlite:///" + file, study_name="bench").trials) == n
"""


def optuna_dashboard(folder: Path, trials: int, rounds: int, port: int) -> dict[str, Any] | str:
    """The same for optuna-dashboard with as many trials of two objectives; a text says why not."""
    home = folder / "optuna-venv"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "optuna"]
        done = subprocess.run([*install, "optuna-dashboard"], capture_output=True, text=True)
        if done.returncode:
            return f"it could not be installed: {done.stderr.strip().splitlines()[-1]}"
    stored = folder / f"optuna-{trials}.sqlite"
    storage = f"sqlite:///{stored}"
    began = time.perf_counter()
    if not stored.exists():
        subprocess.run([str(python), "-c", _STUDY, str(stored), str(trials)], check=True)
    filled = time.perf_counter() - began
    server = Server(
        [str(home / "bin" / "optuna-dashboard"), storage, "--port", str(port), "--host", "127.0.0.1"],
        f"http://127.0.0.1:{port}", dict(os.environ), "/api/studies", folder / "optuna.log",
    )  # fmt: skip
    try:
        study = server.client.get("/api/studies").json()["study_summaries"][0]["study_id"]
        path = f"/api/studies/{study}"
        first, size = server.get(path, {"after": 0})
        times = [server.get(path, {"after": 0})[0] for _ in range(rounds)]
        return {
            "trials": trials, "filled_s": filled, "first_ms": first, "p50_ms": statistics.median(times),
            "p95_ms": quantile(times, 0.95), "kB": size / 1000, "memory": server.memory(), "memory_peak": server.peak(),
        }  # fmt: skip
    finally:
        server.close()


# --- the command ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Makes, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", type=Path, help="SQLite file; made if it is not there.")
    parser.add_argument("--url", help="Another database, such as postgresql+psycopg://...; it must be empty or filled.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--no-optuna", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.database.resolve().parent if arguments.database else Path(temporary)
        file = arguments.database.resolve() if arguments.database else folder / "big.sqlite"
        url = arguments.url or f"sqlite:///{file}"
        database = Database(Settings(database_url=url, data_dir=folder).url())
        answer: dict[str, Any] = {}
        began = time.perf_counter()
        if arguments.url or not file.exists():
            answer["database"] = {**fill(database, arguments.runs), "filled_s": time.perf_counter() - began}
        with database.read() as session:
            job_ids = [row[0] for row in session.execute(text("SELECT id FROM jobs ORDER BY created_at"))]
            runs_there = session.execute(text("SELECT count(*) FROM runs")).scalar_one()
        database.dispose()
        answer["runs"] = runs_there
        answer |= measure(url, folder, job_ids, arguments.rounds, arguments.port)
        answer["frontier of 100,000 points"] = frontier_of_many()
        if not arguments.no_optuna:
            answer["optuna-dashboard"] = optuna_dashboard(folder, runs_there, 3, arguments.port + 1)
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return
    report(answer)


def report(answer: dict[str, Any]) -> None:
    """For people."""
    if "database" in answer:
        print("filled:", ", ".join(f"{k} {v:,.0f}" for k, v in answer["database"].items()))
    print(f"{'':44}{'first':>9}{'median':>9}{'95th':>9}   ms{'kB':>9}")
    for name, row in answer["views"].items():
        print(f"{name:44}{row['first_ms']:9.0f}{row['p50_ms']:9.0f}{row['p95_ms']:9.0f}{row['kB']:14.0f}")
    many = answer["frontier of 100,000 points"]
    print(f"{'frontier of 100,000 points':44}{'':9}{many['p50_ms']:9.1f}{many['p95_ms']:9.1f}")
    print(f"memory: {answer['memory']:.0f} MiB, at most {answer['memory_peak']:.0f} MiB")
    other = answer.get("optuna-dashboard")
    if isinstance(other, dict):
        name = f"optuna-dashboard, {other['trials']:,} trials"
        print(f"{name:44}{other['first_ms']:9.0f}{other['p50_ms']:9.0f}{other['p95_ms']:9.0f}{other['kB']:14.0f}")
        print(f"its memory: {other['memory']:.0f} MiB, at most {other['memory_peak']:.0f} MiB")
        ours = answer["views"]["10,000 settings"]
        print(
            f"ratio: first {other['first_ms'] / ours['first_ms']:.1f}, median {other['p50_ms'] / ours['p50_ms']:.1f}, "
            f"memory {other['memory_peak'] / answer['memory_peak']:.1f}"
        )
    elif other is not None:
        print(f"optuna-dashboard left out: {other}")


if __name__ == "__main__":
    main()
