"""The command line: `equipoise serve`, `worker`, `migrate`, and studies from the shell.

Imports are inside the commands: `equipoise --help` and `equipoise version` should not wait for what they do not use.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from backend.client import Client, JobHandle
    from backend.contracts.bundles import Bundle
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
ReviewId = Annotated[str, typer.Argument(metavar="REVIEW", help="The review's id.")]

review = typer.Typer(help="Read reviews and check that nobody altered them.", no_args_is_help=True)
app.add_typer(review, name="review")


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
    device: Annotated[str, typer.Option(help="What to train on: cpu or cuda:N.")] = "cpu",
    queues: Annotated[str, typer.Option(help="Queues to take studies from, separated by commas.")] = "cpu",
    concurrency: Annotated[int, typer.Option(min=1, help="Studies worked on at a time.")] = 1,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that train a study; 0 is one per core, on a GPU one.")
    ] = 0,
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
    except EquipoiseError as error:
        _fail(error.sentence())
    # The worker is a program of its own: nothing here imports it, this process becomes it.
    options = ["--device", device, "--queues", queues, "--concurrency", str(concurrency), "--processes", str(processes)]
    if settings.embedded():
        options.append("--embedded")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker.main", *options])


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Data sets to download, such as fashion_mnist.")
    ],
    data_dir: DataDir = None,
    base: Annotated[
        str | None, typer.Option("--from", help="Folder of a copy, http(s) or file, that has files of the same names.")
    ] = None,
) -> None:
    """Download published data sets to where the workers of this machine look for them, checked by hash."""
    from backend.serve import missing_packages

    settings = _settings(data_dir=data_dir)
    os.environ.update(_environment(settings))
    if missing := missing_packages():
        _fail(f"The training packages are not installed ({', '.join(missing)}): pip install 'equipoise[worker]'")
    # As for the worker: nothing here imports it.
    options = ["--from", base] if base is not None else []
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker.fetch", *options, "--", *names])


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
    """Submit a study, or a rerun bundle. Prints its id."""
    with _client(url) as client:
        found = _study(study)
        if isinstance(found, dict) and "format" in found:
            found = _bundle(found, study)
            check = client.check(found)
            for difference in check.differences:
                if difference.matters:
                    _note(f"{difference.what}: {difference.bundle} in the bundle, {difference.here} here.")
            _note(check.sentence)
            found = found.spec
        job = client.submit(found)
        print(job.id, flush=True)
        _note(f"{job.job.name}: {job.job.runs} runs, {job.job.reused} of them measured before.  {job.url}")
        if wait:
            _follow(job)


@app.command()
def bundle(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The study's id.")],
    url: Url = DEFAULT_URL,
    measurements: Annotated[bool, typer.Option(help="With the numbers, for `verify`.")] = True,
) -> None:
    """Print a study's rerun bundle: specification, seeds, versions, hashes and numbers. `submit` takes it."""
    with _client(url) as client:
        print(client.job(job).bundle(measurements=measurements).model_dump_json(indent=1))


@app.command()
def report(
    what: Annotated[str, typer.Argument(metavar="JOB", help="A study's id, or a review's.")],
    url: Url = DEFAULT_URL,
    setting: Annotated[list[int] | None, typer.Option(help="Only this setting of the study; may be repeated.")] = None,
    of_review: Annotated[bool, typer.Option("--review", help="It is a review's id.")] = False,
) -> None:
    """Print a study or a review as one HTML file that needs no network."""
    if of_review and setting:
        _fail("--setting is of a study: a review compares the settings that it was made of.")
    with _client(url) as client:
        print(client.review_report(what) if of_review else client.report(what, settings=setting or []))


@app.command("model-card")
def model_card(
    setting: Annotated[int, typer.Argument(metavar="SETTING", help="`setting_id` of a run.")],
    url: Url = DEFAULT_URL,
    html: Annotated[bool, typer.Option("--html", help="As HTML instead of Markdown.")] = False,
) -> None:
    """Print a model card: what was measured is filled in, what is not known is a marked blank."""
    with _client(url) as client:
        print(client.model_card(setting, format="html" if html else "md"), end="")


@app.command()
def verify(
    file: Annotated[str, typer.Argument(metavar="BUNDLE", help="A rerun bundle (- reads it from standard input).")],
    job: Annotated[str, typer.Argument(metavar="JOB", help="The study that was submitted from it.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Compare a rerun's numbers with its bundle's. Exit status 0: all the same, 1: not."""
    found = _bundle(_study(file), file)
    with _client(url) as client:
        answer = client.job(job).verify(found)
    print(answer.sentence)
    for one in answer.worst:
        most = "not defined in one of them" if one.largest is None else f"up to {one.largest:.3g} apart"
        _note(f"{one.metric}, {one.subgroup}, {one.split}: {one.equal} of {one.compared} the same, {most}")
    if answer.missing or answer.equal < answer.compared:
        raise typer.Exit(1)


@app.command()
def watch(job: Annotated[str, typer.Argument(metavar="JOB", help="The study's id.")], url: Url = DEFAULT_URL) -> None:
    """Show a study's progress until it has ended. Exit status 0: succeeded, 1: failed, 2: cancelled."""
    with _client(url) as client:
        _follow(client.job(job))


@app.command()
def cancel(job: Annotated[str, typer.Argument(metavar="JOB", help="The study's id.")], url: Url = DEFAULT_URL) -> None:
    """Cancel a study. What it has measured stays."""
    with _client(url) as client:
        client.job(job).cancel()
    print("Cancelled.")


@app.command()
def studies(
    url: Url = DEFAULT_URL,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only queued, running, succeeded, failed or cancelled ones; may be repeated."),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    method: Annotated[str | None, typer.Option(help="Only those that train this method.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those on this data set.")] = None,
    preset: Annotated[str | None, typer.Option(help="Only those of this preset.")] = None,
    search: Annotated[str | None, typer.Option(help="Words of name or tags, all of which must be there.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Those that were archived, instead.")] = False,
    sort: Annotated[str, typer.Option(help="By created, name, status or runs.")] = "created",
    ascending: Annotated[bool, typer.Option("--ascending", help="The smallest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
) -> None:
    """List studies, newest first."""
    with _client(url) as client:
        found = client.jobs(
            most=limit,
            status=state,
            tag=tag,
            method=method,
            dataset=dataset,
            preset=preset,
            text=search,
            archived="yes" if archived else "no",
            sort=sort,
            ascending=ascending,
        )
    for job in found:
        if as_json:
            print(job.model_dump_json())
        else:
            done = f"{job.finished + job.failed}/{job.runs}"
            tags = f"  [{', '.join(job.tags)}]" if job.tags else ""
            line = f"{job.id}  {job.status:<9}  {done:>11}  {job.created_at:%Y-%m-%d %H:%M}  {job.name}{tags}"
            print(_printable(line))


Studies = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of studies.")]
Tags = Annotated[list[str], typer.Option("--tag", help="A tag; may be repeated.")]


def _change(url: str, jobs: list[str], done: str, **what: Any) -> None:
    with _client(url) as client:
        count = len(client.change(*jobs, **what))
    print(f"{done} {count} {'study' if count == 1 else 'studies'}.")


@app.command()
def tag(jobs: Studies, tags: Tags, url: Url = DEFAULT_URL) -> None:
    """Add tags to studies: to all of them or to none."""
    _change(url, jobs, "Tagged", add_tags=tags)


@app.command()
def untag(jobs: Studies, tags: Tags, url: Url = DEFAULT_URL) -> None:
    """Remove tags from studies."""
    _change(url, jobs, "Untagged", remove_tags=tags)


@app.command()
def archive(jobs: Studies, url: Url = DEFAULT_URL) -> None:
    """Have lists leave studies out. Nothing of them is lost."""
    _change(url, jobs, "Archived", archived=True)


@app.command()
def unarchive(jobs: Studies, url: Url = DEFAULT_URL) -> None:
    """Have lists show archived studies again."""
    _change(url, jobs, "Brought back", archived=False)


@app.command()
def choose(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of studies.")],
    limit: Annotated[
        list[str] | None, typer.Option(help="What must hold, such as 'epsilon<=4' or 'accuracy@worst:sex>=0.8~sure'.")
    ] = None,
    best: Annotated[
        list[str] | None, typer.Option(help="What should be best, in order, such as accuracy or 'loss_gap@sex*2'.")
    ] = None,
    weighted: Annotated[bool, typer.Option("--weighted", help="Weigh the objectives instead of their order.")] = False,
    setting: Annotated[int | None, typer.Option(help="Choose this setting; without it nothing is stored.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the choice.")] = None,
    person: Annotated[str | None, typer.Option("--as", help="Who chooses; names are not verified.")] = None,
    although: Annotated[bool, typer.Option("--although", help="Choose it although it is not feasible.")] = False,
    url: Url = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
) -> None:
    """Show which settings meet limits and which is best, or choose one of them. Exit status 1: none meets them."""
    from backend.contracts import operating_text

    if setting is not None and not (reason and person):
        _fail("Choosing needs --reason and --as.")
    try:
        rule: dict[str, Any] = {
            "constraints": [operating_text.constraint(one) for one in limit or []],
            "objectives": [operating_text.objective(one) for one in best or []],
            "rule": "weighted" if weighted else "lexicographic",
        }
    except ValueError as error:
        _fail(str(error))
    with _client(url) as client:
        if setting is not None:
            chosen = client.choose(
                *jobs, setting_id=setting, reason=reason or "", person=person or "", although=although, **rule
            )
            named = f"{chosen.person} chose {chosen.numbers.verdict.label}: {chosen.id}"
            print(chosen.model_dump_json() if as_json else _printable(named))
            return
        answer = client.evaluate(*jobs, **rule)
    if as_json:
        print(answer.model_dump_json())
    else:
        lines = [f"{answer.headline}.", *(f"{one}." for one in answer.sentences), ""]
        lines += [f"{one.setting_id:>6}  {one.label}{' (tied)' if one.tied else ''}" for one in answer.met]
        lines += [f"{one.sentence}." for one in answer.nearest]
        lines += [f"{one.sentence}." for one in answer.sensitivity]
        lines += [f"{one.sentence}." for one in answer.weights]
        print("\n".join(_printable(line) for line in lines))
    if not answer.feasible:
        raise typer.Exit(1)


@review.command("list")
def list_reviews(
    url: Url = DEFAULT_URL,
    status: Annotated[
        str | None, typer.Option(help="Only those that are open, changes_requested, approved or rejected.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
) -> None:
    """List reviews, newest first."""
    with _client(url) as client:
        for one in client.reviews(status=status):
            if as_json:
                print(one.model_dump_json())
            else:
                approvals = f"{one.approvals}/{one.required_approvals}"
                print(f"{one.id}  {one.status:<17}  {approvals:>5}  {one.created_at:%Y-%m-%d %H:%M}  {one.title}")


@review.command("show")
def show_review(review_id: ReviewId, url: Url = DEFAULT_URL) -> None:
    """Show what was compared, what is missing, and what was decided."""
    with _client(url) as client:
        one = client.review(review_id)
    lines = [one.title, one.question, f"{one.status}: {one.missing}", *one.alarms, "", "Compared:"]
    lines += [f"  {setting.label} ({len(setting.runs)} runs)" for setting in one.compared]
    if one.decisions:
        lines += ["", "Decisions:"]
        lines += [f"  {d.person} ({d.by()}): {d.decision}. {d.reason}" for d in one.decisions]
    lines += ["", one.newer.sentence, one.verification.sentence, f"head {one.verification.head}"]
    print("\n".join(_printable(line) for line in lines))


@review.command("verify")
def verify_review(
    review_id: ReviewId,
    url: Url = DEFAULT_URL,
    head: Annotated[str | None, typer.Option(help="A hash of its history that you noted earlier.")] = None,
) -> None:
    """Recompute every hash of a review. Exit status 0: intact, 1: altered."""
    with _client(url) as client:
        found = client.verify_review(review_id, head=head)
    print(_printable(found.sentence))
    print(f"head {found.head}")
    if not found.intact:
        raise typer.Exit(1)


@review.command("export")
def export_review(review_id: ReviewId, url: Url = DEFAULT_URL) -> None:
    """Print snapshot and history as one JSON document."""
    with _client(url) as client:
        print(client.export_review(review_id).model_dump_json(indent=2))


notify = typer.Typer(help="What leaves the server by webhook and mail.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(notify, name="notify")


@notify.command(name="test")
def notify_test(
    to: Annotated[str | None, typer.Option("--to", help="Mail address that the test mail goes to.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Send a test notification to every webhook that is set up, and with --to by mail. Exit status 1: one failed."""
    from backend.notify import messages, sending

    settings = _settings(data_dir=data_dir)
    channels = sending.Channels(settings)
    found = [("webhook", target) for target in channels.webhooks] + ([("email", to)] if to else [])
    if not found:
        _fail("No webhook is set up and no --to given: see docs/notifications.md.")
    broken = 0
    for channel, target in found:
        try:
            channels.send(channel, target, messages.trial(settings))
        except sending.NotSent as error:
            broken += 1
            print(f"{channel} {target}: {error}", flush=True)
        else:
            print(f"{channel} {target}: sent", flush=True)
    if broken:
        raise typer.Exit(1)


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

    from backend.settings import SECRETS, Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "EQUIPOISE_" + "_".join(str(part) for part in first["loc"]).upper()
        secret = SECRETS & {str(part) for part in first["loc"]}
        message = str(first["msg"]).removeprefix("Value error, ")
        _fail(f"{name}: {message}" + ("." if secret else f" (got {first['input']!r})."))


def _environment(settings: Settings) -> dict[str, str]:
    from backend.serve import environment

    return {name: value for name, value in environment(settings).items() if name.startswith("EQUIPOISE_")}


@contextmanager
def _client(url: str) -> Iterator[Client]:
    """A connection to the server; what goes wrong becomes sentences and an exit status."""
    from backend.client import Client, ClientError

    try:
        with Client(url) as client:
            yield client
    except ClientError as error:
        _fail(str(error))


def _study(study: str) -> Any:
    """The specification that a file or standard input holds, or the name of a preset."""
    if study == "-":
        text, name = sys.stdin.read(), "standard input"
    elif Path(study).is_file():
        text, name = Path(study).read_text(encoding="utf-8"), study
    else:
        return study
    try:
        specification = json.loads(text)
    except json.JSONDecodeError as error:
        _fail(f"{name} is not JSON: {error}.")
    if not isinstance(specification, dict):
        _fail(f"{name} holds no specification: expected a JSON object.")
    return specification


def _bundle(found: Any, name: str) -> Bundle:
    from pydantic import ValidationError

    from backend.contracts.bundles import Bundle

    try:
        return Bundle.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "format"
        _fail(f"{name} is not a rerun bundle of this release: {field}: {first['msg']}.")


def _follow(job: JobHandle) -> None:
    status = job.wait(check=False).job.status
    if job.job.problem is not None:
        _note(f"{job.job.problem.title}: {job.job.problem.detail}")
    raise typer.Exit({"succeeded": 0, "cancelled": 2}.get(status, 1))


def _printable(line: str) -> str:
    """What people wrote, without what a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in line)


def _note(line: str) -> None:
    """For people; standard output holds only what a script wants."""
    print(line, file=sys.stderr, flush=True)


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    main()
