"""Starts the real thing for a test: `equipoise serve` with its worker, on a free port and a data folder of its own.

with running(tmp_path) as server:
    job = server.submit(SPEC)
    server.wait_until(job["id"], lambda job: job["status"] == "succeeded")
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

#: Generous: the machine that tests run on may be slow and busy.
PATIENCE = 120.0


class Server:
    """A running server. `pid` is the server's; the worker and its processes hang below it."""

    def __init__(self, process: "subprocess.Popen[str]", data_dir: Path, log: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self.log = log
        self.url = ""
        self.http = httpx.Client(timeout=30.0)

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(self.url + path, params=params)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.http.post(self.url + path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def submit(self, spec: dict[str, Any]) -> dict[str, Any]:
        job: dict[str, Any] = self.post("/api/jobs", spec)
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.get(f"/api/jobs/{job_id}")
        return job

    def runs(self, job_id: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": None}
        while True:
            cursor = {"cursor": page["next"]} if page["next"] else {}
            page = self.get(f"/api/jobs/{job_id}/runs", **cursor)
            runs += page["items"]
            if not page["next"]:
                return runs

    def wait_until(self, job_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job, as soon as it fulfils the condition."""
        return wait_for(lambda: (job := self.job(job_id)) and condition(job) and job, self.explain)

    def worker_pid(self) -> int:
        """The worker's process."""
        pids = wait_for(lambda: [p for p in children(self.process.pid) if "worker.main" in command(p)], self.explain)
        return pids[0]

    def attempt_pids(self) -> list[int]:
        """Processes that work on a job right now; each leads a group."""
        nurseries = [p for p in children(self.worker_pid()) if "worker.child" in command(p)]
        return [p for nursery in nurseries for p in children(nursery)]

    def explain(self) -> str:
        return f"server log:\n{self.log.read_text()[-5000:]}"


@contextmanager
def running(
    folder: Path, *options: str, worker: bool = True, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """A server that answers and, with `worker`, one whose worker has published what it can do."""
    data_dir = folder / "data"
    log = folder / "server.log"
    with log.open("a") as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "backend.cli", "serve"),
                *("--port", "0", "--data-dir", str(data_dir), "--no-open"),
                *(() if worker else ("--no-worker",)),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    server = Server(process, data_dir, log)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, server.explain()
        server.url = found.group()
        if worker:
            wait_for(lambda: server.get("/api/health")["status"] == "ok", server.explain)
        yield server
    finally:
        server.http.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for(condition: Callable[[], Any], explain: Callable[[], str] = lambda: "") -> Any:
    """What `condition` answers, once that is true; fails with an explanation if it does not come true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {PATIENCE:.0f} s; {explain()}")


def children(pid: int) -> list[int]:
    """Direct children of a process (Linux)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(pid: int) -> str:
    """A process's command line, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
