"""The Python client: submit a study, wait for it, read what it measured.

from backend.client import Client

equipoise = Client("http://127.0.0.1:8000")
job = equipoise.submit("quickstart").wait()
for curve in job.curves(y="loss_gap", subgroup="sex").curves:
    print(curve.series, [(point.epsilon, point.y) for point in curve.points])
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Literal, TextIO, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from backend.contracts.accounting import Accounting, AccountingRequest, Choosing
from backend.contracts.bundles import Bundle, BundleCheck, Verification
from backend.contracts.catalogue import Catalogue
from backend.contracts.operating_points import Choice, Feasibility, OperatingPoint, Question
from backend.contracts.public import (
    Curves,
    Figure,
    Frontier,
    Health,
    Job,
    JobDetail,
    MeasurementOut,
    Page,
    Preset,
    Preview,
    ProblemDetails,
    Run,
    RunDetail,
)
from backend.contracts.results import ENDED, Problem
from backend.contracts.reviews import Comparison, ReviewDetail, ReviewExport, ReviewSummary
from backend.contracts.reviews import Verification as HistoryVerification
from backend.contracts.spec import JobSpec

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

#: What can be submitted: a specification in either form, or the name of a preset.
Study = JobSpec | Mapping[str, Any] | str


class ClientError(Exception):
    """Root of what the client raises."""


class ServerUnreachable(ClientError):
    """Nobody answered at the address."""


class RequestRefused(ClientError):
    """The server answered with a problem; its text names each field, what was expected, and the fix."""

    def __init__(self, problem: ProblemDetails) -> None:
        self.problem = problem
        self.status = problem.status
        self.problems: list[Problem] = list(problem.problems)
        super().__init__(_explain(problem))


class JobDidNotSucceed(ClientError):
    """The study that was waited for failed or was cancelled."""

    def __init__(self, job: JobDetail) -> None:
        self.job = job
        reason = f": {job.problem.detail}" if job.problem else ""
        super().__init__(f"The study {job.id} ({job.name}) {_ENDINGS.get(job.status, job.status)}{reason}")


_ENDINGS = {"failed": "failed", "cancelled": "was cancelled"}


def _explain(problem: ProblemDetails) -> str:
    lines = [f"{problem.title} (HTTP {problem.status}). {problem.detail}"]
    for one in problem.problems:
        got = f", got {one.got}" if one.got is not None else ""
        lines.append(f"  {one.field or 'request'}: expected {one.expected}{got}. {one.fix}")
    return "\n".join(lines)


class Client:
    """A connection to one Equipoise server. Use it as a context manager, or call `close`."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, timeout: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=timeout, transport=transport, follow_redirects=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    # --- what there is ---

    def health(self) -> Health:
        """Whether studies can be submitted and will be run."""
        return self._get("/api/health", Health)

    def catalogue(self) -> Catalogue:
        """Datasets, models, methods, attacks and metrics."""
        return self._get("/api/catalogue", Catalogue)

    def presets(self) -> list[Preset]:
        """All presets; the `spec` of each can be submitted, as it is or changed."""
        return list(self._pages("/api/presets", Preset))

    def jobs(self, *, most: int | None = None, **filters: Any) -> list[Job]:
        """Studies, newest first, at most so many; no more pages are asked for than that takes.

        Filters are those of the API: status (one or a list), dataset, method, tag, preset, text, archived (`no`, `yes`
        or `any`), sort (`created`, `name`, `status` or `runs`), ascending.
        """
        return list(islice(self._pages("/api/jobs", Job, most=most, **filters), most))

    def change(
        self,
        *job_ids: str,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        archived: bool | None = None,
    ) -> list[Job]:
        """Tags, archives or brings back studies: all of these or none. What is left out stays."""
        body = {"ids": list(job_ids), "add_tags": list(add_tags), "remove_tags": list(remove_tags)}
        answer = self._ask("POST", "/api/jobs/change", json={**body, "archived": archived})
        return self._read(answer, Page[Job]).items

    def job(self, job_id: str) -> JobHandle:
        """A study that was submitted before."""
        return JobHandle(self, self._get(f"/api/jobs/{job_id}", JobDetail))

    def run(self, run_id: str) -> RunDetail:
        """A run whole: configuration, measurements, history, ROC curves."""
        return self._get(f"/api/runs/{run_id}", RunDetail)

    def calculate(self, **asked: Any) -> Accounting:
        """Noise of an epsilon, epsilon of a noise, and what choosing the best of several trainings costs.

        `asked` has the fields of `AccountingRequest`: rows, batch_size, epochs, delta, epsilons, sigmas, accountants,
        tries. Raises `pydantic.ValidationError` or `RequestRefused` for what cannot be.
        """
        body = AccountingRequest.model_validate(asked).model_dump(mode="json")
        return self._read(self._ask("POST", "/api/accounting", json=body), Accounting)

    def choosing(self, run_id: str, *, job_id: str | None = None) -> Choosing | None:
        """What choosing this run among the trainings of its study at the same epsilon and delta would cost."""
        answer = self._ask("GET", f"/api/runs/{run_id}/choosing", params={"job_id": job_id})
        return None if answer.json() is None else self._read(answer, Choosing)

    # --- reviews ---

    def reviews(self, **filters: Any) -> list[ReviewSummary]:
        """All reviews, newest first; filters are those of the API: status, text."""
        return list(self._pages("/api/reviews", ReviewSummary, **filters))

    def review(self, review_id: str) -> ReviewDetail:
        """A review with its threads, decisions and verification."""
        return self._get(f"/api/reviews/{review_id}", ReviewDetail)

    def compare_review(self, review_id: str, **what: Any) -> Comparison:
        """Its settings side by side, from its snapshot: metric and subgroup (each one or a list), split."""
        return self._get(f"/api/reviews/{review_id}/comparison", Comparison, **what)

    def verify_review(self, review_id: str, *, head: str | None = None) -> HistoryVerification:
        """Whether anything was altered; with `head` also whether the entry of a hash noted earlier is still there."""
        return self._get(f"/api/reviews/{review_id}/verification", HistoryVerification, head=head)

    def export_review(self, review_id: str) -> ReviewExport:
        """Snapshot and history as one document."""
        return self._get(f"/api/reviews/{review_id}/export", ReviewExport)

    # --- operating points ---

    def evaluate(self, *job_ids: str, **rule: Any) -> Feasibility:
        """Which settings of these studies meet constraints, which is best, and what each limit costs.

        `rule` has the fields of `Question`: constraints, objectives, rule, accept_degenerate, accept_alarms, limit.
        """
        asked = Question.model_validate({**rule, "job_ids": list(job_ids)})
        answer = self._ask("POST", "/api/operating-points/evaluate", json=asked.model_dump(mode="json"))
        return self._read(answer, Feasibility)

    def choose(self, *job_ids: str, setting_id: int, reason: str, person: str, **rule: Any) -> OperatingPoint:
        """Chooses a setting under a rule, in somebody's name; `although=True` for one that is not feasible."""
        choice = Choice.model_validate({**rule, "job_ids": list(job_ids), "setting_id": setting_id, "reason": reason})
        headers = {"Equipoise-Person": quote(person)}
        body = choice.model_dump(mode="json")
        return self._read(self._ask("POST", "/api/operating-points", json=body, headers=headers), OperatingPoint)

    def choices(self, *job_ids: str) -> list[OperatingPoint]:
        """What was chosen, newest first; withdrawn choices say so."""
        return list(self._pages("/api/operating-points", OperatingPoint, job_id=list(job_ids)))

    def withdraw(self, point_id: str, *, reason: str, person: str) -> OperatingPoint:
        """Says that a choice no longer stands; it stays on record."""
        headers = {"Equipoise-Person": quote(person)}
        answer = self._ask(
            "POST", f"/api/operating-points/{point_id}/withdraw", json={"reason": reason}, headers=headers
        )
        return self._read(answer, OperatingPoint)

    # --- studies ---

    def preview(self, study: Study) -> Preview:
        """What a study would run, what of it is measured, its noise and its time. Stores nothing."""
        return self._read(self._ask("POST", "/api/jobs/preview", json=self._body(study)), Preview)

    def submit(self, study: Study, *, idempotency_key: str | None = None, **changes: Any) -> JobHandle:
        """Submits a specification, or a preset by name. `changes` replace its top-level fields: `seeds=10`.

        Raises `RequestRefused` with one line per field that needs a change.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._ask("POST", "/api/jobs", json={**self._body(study), **changes}, headers=headers)
        return JobHandle(self, self._read(answer, JobDetail))

    def check(self, bundle: Bundle) -> BundleCheck:
        """How this server differs from the one that made a rerun bundle, and what submitting it would run."""
        body = bundle.model_copy(update={"series": []}).model_dump(mode="json")
        return self._read(self._ask("POST", "/api/bundles/check", json=body), BundleCheck)

    def rerun(self, bundle: Bundle) -> JobHandle:
        """Submits a rerun bundle's study as it is."""
        return self.submit(bundle.spec)

    def measurements(self, **filters: Any) -> list[MeasurementOut]:
        """All measurements that match: job_id, run_id, metric, subgroup, method (each one value or a list), split."""
        return list(self._pages("/api/measurements", MeasurementOut, **filters))

    def measurements_csv(self, **filters: Any) -> str:
        """The same as the text of a CSV file."""
        return self._ask("GET", "/api/measurements", params={**filters, "format": "csv"}).text

    def curves(self, *job_ids: str, **axes: Any) -> Curves:
        """Curves with intervals over several studies: x, y, subgroup, x_subgroup, split, choose."""
        return self._get("/api/curves", Curves, job_id=list(job_ids), **axes)

    def frontier(self, *job_ids: str, **axes: Any) -> Frontier:
        """The settings that no other setting beats."""
        return self._get("/api/frontier", Frontier, job_id=list(job_ids), **axes)

    def figure(self, name: str, *job_ids: str, **what: Any) -> Figure:
        """A figure; in a notebook `plotly.graph_objects.Figure(figure.figure)` draws it."""
        return self._get(f"/api/figures/{name}", Figure, job_id=list(job_ids), **what)

    def report(self, *job_ids: str, settings: Sequence[int] = ()) -> str:
        """Studies, or only some settings of them, as the text of one HTML file that needs no network."""
        return self._ask("GET", "/api/reports", params={"job_id": list(job_ids), "setting": list(settings)}).text

    def review_report(self, review_id: str) -> str:
        """A review as the text of one HTML file."""
        return self._ask("GET", f"/api/reports/reviews/{review_id}").text

    def model_card(self, setting_id: int, *, format: Literal["md", "html"] = "md") -> str:
        """A model card of a setting (`setting_id` of a run); what is not known is a marked blank."""
        return self._ask("GET", "/api/reports/model-card", params={"setting": setting_id, "format": format}).text

    # --- underneath ---

    def _body(self, study: Study) -> dict[str, Any]:
        if isinstance(study, JobSpec):
            return study.model_dump(mode="json")
        if isinstance(study, str):
            known = {preset.name: preset for preset in self.presets()}
            if study not in known:
                raise ClientError(f"There is no preset {study!r}. Use one of: {', '.join(known)}.")
            return known[study].spec.model_dump(mode="json")
        return dict(study)

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        if "params" in how:
            how["params"] = {name: value for name, value in how["params"].items() if value is not None}
        try:
            answer = self._http.request(method, path, **how)
        except httpx.TransportError as error:
            raise ServerUnreachable(
                f"Nobody answers at {self.url} ({error}). Start a server with `equipoise serve`, or check the address."
            ) from error
        if answer.is_success:
            return answer
        try:
            problem = ProblemDetails.model_validate_json(answer.content)
        except ValidationError:
            text = answer.text.strip()[:300] or answer.reason_phrase
            problem = ProblemDetails(
                type="about:blank", title="Not an answer of Equipoise", status=answer.status_code, detail=text
            )
        raise RequestRefused(problem)

    def _get(self, path: str, model: type[M], **params: Any) -> M:
        return self._read(self._ask("GET", path, params=params), model)

    def _read(self, answer: httpx.Response, model: type[T]) -> T:
        try:
            return TypeAdapter(model).validate_json(answer.content)
        except ValidationError as error:
            raise ClientError(
                f"{self.url} answered something that this client does not understand: {error.error_count()} fields "
                "differ. Client and server are probably of different releases."
            ) from error

    def _pages(self, path: str, model: type[M], *, most: int | None = None, **filters: Any) -> Iterator[M]:
        cursor: str | None = None
        paged = {"limit": min(1000, most or 1000)} if path != "/api/presets" else {}
        while True:
            page: Page[M] = self._read(
                self._ask("GET", path, params={**filters, **paged, "cursor": cursor}),
                Page[model],  # type: ignore[valid-type]
            )
            yield from page.items
            cursor = page.next
            if cursor is None:
                return


class JobHandle:
    """A submitted study."""

    def __init__(self, client: Client, job: JobDetail) -> None:
        self._client = client
        self.job = job

    def __repr__(self) -> str:
        return f"<study {self.id} {self.job.name!r}: {self.job.status}, {self.job.finished} of {self.job.runs} runs>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.job.id

    @property
    def url(self) -> str:
        """Its page."""
        return f"{self._client.url}/studies/{self.id}"

    def status(self) -> str:
        """Its status now: queued, running, succeeded, failed or cancelled."""
        return self.refresh().status

    def refresh(self) -> JobDetail:
        """Looks again and answers all that is known of it."""
        self.job = self._client._get(f"/api/jobs/{self.id}", JobDetail)
        return self.job

    def wait(
        self,
        *,
        progress: bool = True,
        timeout: float | None = None,
        every: float = 0.5,
        check: bool = True,
        output: TextIO | None = None,
    ) -> JobHandle:
        """Waits until it has ended; shows what it is doing.

        Raises `JobDidNotSucceed` where it failed or was cancelled (unless `check` is off), `TimeoutError` where it
        takes longer than `timeout` seconds; the study itself goes on.
        """
        out = output or sys.stderr
        start = time.monotonic()
        shown = ""
        while self.refresh().status not in ENDED:
            if progress:
                shown = self._show(out, shown)
            if timeout is not None and time.monotonic() - start > timeout:
                raise TimeoutError(f"The study {self.id} is still {self.job.status} after {timeout:g} s.")
            time.sleep(every)
        if progress:
            self._show(out, shown)
            if out.isatty():
                print(file=out)
        if check and self.job.status != "succeeded":
            raise JobDidNotSucceed(self.job)
        return self

    def _show(self, out: TextIO, before: str) -> str:
        message = self.job.progress.message or self.job.status
        # While it trains, the message itself says how far it is.
        counted = "" if " of " in message else f", {self.job.finished} of {self.job.runs} runs"
        line = f"{self.job.name}: {message}{counted}"
        if line == before:
            return before
        if out.isatty():
            print(f"\r\x1b[2K{line}", end="", file=out, flush=True)
        else:
            print(line, file=out, flush=True)
        return line

    def cancel(self) -> JobDetail:
        """Stops it; what is measured stays."""
        self.job = self._client._read(self._client._ask("POST", f"/api/jobs/{self.id}/cancel"), JobDetail)
        return self.job

    def tag(self, *tags: str) -> JobDetail:
        """Adds tags."""
        self._client.change(self.id, add_tags=tags)
        return self.refresh()

    def untag(self, *tags: str) -> JobDetail:
        """Removes tags."""
        self._client.change(self.id, remove_tags=tags)
        return self.refresh()

    def archive(self) -> JobDetail:
        """Lists leave it out from now on; nothing of it is lost."""
        self._client.change(self.id, archived=True)
        return self.refresh()

    def unarchive(self) -> JobDetail:
        """Lists have it again."""
        self._client.change(self.id, archived=False)
        return self.refresh()

    def retry(self) -> JobDetail:
        """Runs the rest of a failed or cancelled study."""
        self.job = self._client._read(self._client._ask("POST", f"/api/jobs/{self.id}/retry"), JobDetail)
        return self.job

    def delete(self) -> None:
        """Deletes it, with the runs that no other study needs."""
        self._client._ask("DELETE", f"/api/jobs/{self.id}")

    def bundle(self, *, measurements: bool = True) -> Bundle:
        """Everything that another machine needs to train it again, and the numbers to compare with."""
        return self._client._get(f"/api/jobs/{self.id}/bundle", Bundle, measurements=measurements)

    def verify(self, bundle: Bundle) -> Verification:
        """Its numbers against those of a bundle. Raises `ClientError` where they are of different studies."""
        from backend.reports.bundle import verify

        mine = self.bundle()
        try:
            return verify(bundle, mine.series, mine.runs)
        except ValueError as error:
            raise ClientError(f"The study {self.id} cannot be verified: {error}.") from error

    def runs(self, **filters: Any) -> list[Run]:
        """Its runs, in its order."""
        return list(self._client._pages(f"/api/jobs/{self.id}/runs", Run, **filters))

    def measurements(self, **filters: Any) -> list[MeasurementOut]:
        """Its measurements: metric, subgroup, method (each one value or a list), split."""
        return self._client.measurements(job_id=self.id, **filters)

    def curves(self, **axes: Any) -> Curves:
        """Its curves: x, y, subgroup, x_subgroup, split, choose."""
        return self._client.curves(self.id, **axes)

    def frontier(self, **axes: Any) -> Frontier:
        """Its settings that no other setting beats."""
        return self._client.frontier(self.id, **axes)

    def figure(self, name: str, **what: Any) -> Figure:
        """One of its figures: tradeoff, subgroups, roc, history."""
        return self._client.figure(name, self.id, **what)
