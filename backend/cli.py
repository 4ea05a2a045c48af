"""The command line: `equipoise serve`, `worker`, `migrate`, and studies from the shell.

Imports are inside the commands: `equipoise --help` and `equipoise version` should not wait for what they do not use.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    import httpx

    from backend.settings import Settings

app = typer.Typer(
    help="Measure what privacy costs, and who pays.\n\n"
    "Start with:  equipoise serve\n\n"
    "Every setting can also be given as an environment variable, such as EQUIPOISE_DATA_DIR.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the database, caches and artefacts.  [env: EQUIPOISE_DATA_DIR]"),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="A shared Postgres; without it, SQLite in the data folder. A password is safer in the environment.  "
        "[env: EQUIPOISE_DATABASE_URL]",
    ),
]
Url = Annotated[
    str,
    typer.Option("--url", envvar="EQUIPOISE_URL", help="Address of the server.", show_envvar=True),
]
DEFAULT_URL = "http://127.0.0.1:8000"


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to serve on; only this machine's own.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one. Default 8000.")] = None,
    data_dir: DataDir = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Only page and API: studies wait for a worker.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    behind_loopback: Annotated[
        bool,
        typer.Option(
            "--behind-loopback",
            help="Allow any --host: a container engine or proxy publishes the port on this machine alone.",
        ),
    ] = False,
) -> None:
    """Start the dashboard, the API and one local worker. Ctrl-C stops all of it."""
    from backend.errors import EquipoiseError

    settings = _settings(data_dir=data_dir, host=host, port=port)
    try:
        from backend.serve import serve as run

        run(
            settings,
            worker=not no_worker,
            open_page=open_page,
            behind_loopback=behind_loopback,
            say=lambda line: print(line, flush=True),
        )
    except EquipoiseError as error:
        _fail(error.sentence())


@app.command()
def worker(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    device: Annotated[str, typer.Option(help="What to train on: cpu, cuda:0, ...")] = "cpu",
    queues: Annotated[str, typer.Option(help="Queues to take studies from, separated by commas.")] = "cpu",
    concurrency: Annotated[int, typer.Option(min=1, help="Studies worked on at a time.")] = 1,
    processes: Annotated[int, typer.Option(min=0, help="Runs trained at a time per study; 0 is one per core.")] = 0,
) -> None:
    """Start a worker: it takes studies off the queue and trains them. Ctrl-C hands them back and stops."""
    from backend.errors import EquipoiseError
    from backend.logs import configure

    settings = _settings(data_dir=data_dir, database_url=database_url)
    os.environ.update(_environment(settings))
    configure(settings.log_level, json=settings.log_json)
    try:
        from backend.serve import missing_packages, require_writable

        if missing := missing_packages():
            _fail(f"The training packages are not installed ({', '.join(missing)}): pip install 'equipoise[worker]'")
        require_writable(settings)
        from worker.main import leave, run_worker

        run_worker(
            settings,
            device,
            [name.strip() for name in queues.split(",") if name.strip()],
            embedded=settings.embedded(),
            concurrency=concurrency,
            parallel=processes or None,
        )
    except EquipoiseError as error:
        _fail(error.sentence())
    except RuntimeError as error:
        _fail(f"The training code cannot be loaded: {error}")
    leave(0)


@app.command()
def migrate(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Create or upgrade the database. `serve` does it by itself for the embedded one."""
    from backend.errors import EquipoiseError

    settings = _settings(data_dir=data_dir, database_url=database_url)
    try:
        from backend.queue import JobQueue
        from backend.serve import require_writable
        from backend.store import schema
        from backend.store.database import Database

        if settings.embedded():
            require_writable(settings)
        database = Database(settings.url())
        before = schema.current(database)
        schema.upgrade(database)
        queue = JobQueue(database)
        queue.prepare()
        queue.close()
        database.dispose()
    except EquipoiseError as error:
        _fail(error.sentence())
    after = schema.head()
    print(
        f"The database is at schema {after}" + (", as before." if before == after else f" (was {before or 'empty'}).")
    )


@app.command()
def submit(
    study: Annotated[
        str,
        typer.Argument(
            metavar="FILE|PRESET",
            help="A specification as JSON (- reads it from "
            "standard input), or the name of a preset such as quickstart.",
        ),
    ],
    url: Url = DEFAULT_URL,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended; the exit status says how.")] = False,
) -> None:
    """Submit a study. Prints its id."""
    specification = _specification(study, url)
    job = _ask("POST", url, "/api/jobs", json=specification)
    print(job["id"])
    _note(f"{job['name']}: {job['runs']} runs, {job['reused']} of them measured before.  {url}/studies/{job['id']}")
    if wait:
        _follow(url, job["id"])


@app.command()
def watch(job: Annotated[str, typer.Argument(metavar="JOB", help="The study's id.")], url: Url = DEFAULT_URL) -> None:
    """Show a study's progress until it has ended. Exit status 0: succeeded, 1: failed, 2: cancelled."""
    _follow(url, job)


@app.command()
def cancel(job: Annotated[str, typer.Argument(metavar="JOB", help="The study's id.")], url: Url = DEFAULT_URL) -> None:
    """Cancel a study. What it has measured stays."""
    _ask("POST", url, f"/api/jobs/{job}/cancel")
    print("Cancelled.")


@app.command()
def jobs(
    url: Url = DEFAULT_URL,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
) -> None:
    """List studies, newest first."""
    for job in _ask("GET", url, "/api/jobs", params={"limit": limit})["items"]:
        if as_json:
            print(json.dumps(job))
        else:
            done = f"{job['finished'] + job['failed']}/{job['runs']}"
            created = job["created_at"][:16].replace("T", " ")
            print(f"{job['id']}  {job['status']:<9}  {done:>11}  {created}  {job['name']}")


@app.command()
def version() -> None:
    """Print the version."""
    from backend import __version__

    print(__version__)


def main() -> None:
    """The console script."""
    app()


def _settings(**given: Any) -> Settings:
    from pydantic import ValidationError

    from backend.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "EQUIPOISE_" + "_".join(str(part) for part in first["loc"]).upper()
        _fail(f"{name}: {first['msg']} (got {first['input']!r}).")


def _environment(settings: Settings) -> dict[str, str]:
    from backend.serve import environment

    return {name: value for name, value in environment(settings).items() if name.startswith("EQUIPOISE_")}


def _specification(study: str, url: str) -> Any:
    if study == "-":
        text, name = sys.stdin.read(), "standard input"
    elif Path(study).is_file():
        text, name = Path(study).read_text(encoding="utf-8"), study
    else:
        presets = _ask("GET", url, "/api/presets")["items"]
        for preset in presets:
            if preset["name"] == study:
                return preset["spec"]
        known = ", ".join(preset["name"] for preset in presets) or "none"
        _fail(f"There is no file and no preset {study!r}. Presets: {known}.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        _fail(f"{name} is not JSON: {error}.")


def _follow(url: str, job_id: str) -> None:
    shown = ""
    while True:
        job = _ask("GET", url, f"/api/jobs/{job_id}")
        line = job["progress"]["message"]
        if line and line != shown:
            shown = line
            _note(f"{job['finished'] + job['failed']}/{job['runs']}  {line}")
        if job["status"] in ("succeeded", "failed", "cancelled"):
            if job["problem"]:
                _note(f"{job['problem']['title']}: {job['problem']['detail']}")
            raise typer.Exit({"succeeded": 0, "failed": 1, "cancelled": 2}[job["status"]])
        time.sleep(0.5)


def _ask(method: str, url: str, path: str, **options: Any) -> Any:
    """The server's answer; an error becomes sentences and an exit status."""
    import httpx

    try:
        answer = httpx.request(method, url.rstrip("/") + path, timeout=30.0, **options)
    except httpx.ConnectError:
        _fail(f"No server answers at {url}. Start one with `equipoise serve`, or name another with --url.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        _fail(f"{url} did not answer: {error}")
    if answer.is_success:
        return answer.json() if answer.content else None
    _fail(_explained(answer))


def _explained(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        lines = [problem["detail"]]
        lines += [f"  {p['field']}: expected {p['expected']}. {p['fix']}" for p in problem.get("problems", ())]
    except (ValueError, KeyError, TypeError):
        return f"The server answered {answer.status_code}."
    return "\n".join(lines)


def _note(line: str) -> None:
    """For people; standard output holds only what a script wants."""
    print(line, file=sys.stderr, flush=True)


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
