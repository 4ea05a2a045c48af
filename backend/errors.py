"""Every error that Equipoise raises on purpose.

EquipoiseError
 +- InvalidRequest          422  one or more fields are wrong
 +- NotFound                404
 +- Conflict                409  the thing is not in a state that allows it
 +- PayloadTooLarge         413
 +- ForeignOrigin           403  a Host or Origin header from elsewhere
 +- CatalogueMissing        503  no worker has published what it can do
 +- StoreUnavailable        503  database locked, full or unreachable
 +- SchemaTooNew / TooOld   500  run the upgrade that the message names
 +- StaleAttempt                 this worker no longer owns the job: stop
 +- JobFailed                    a sentence that helps, shown on the job
     +- DataMissing              files that are not there: what to put where
     |   +- DataDamaged          files that are there and not what they should be
     +- DataChanged              the data are not those that the job was planned on
     +- EpsilonUnreachable       no noise reaches the asked epsilon
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from backend.contracts.results import Problem


class EquipoiseError(Exception):
    """Root of the tree. `detail` says what happened; `fix` what to do."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "/problems/internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, fix: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
        self.problems = list(problems)

    def sentence(self) -> str:
        """Detail and fix in one line."""
        return f"{self.detail} {self.fix}".strip()


class InvalidRequest(EquipoiseError):
    """One or more fields of a request are wrong; `problems` names each."""

    status = 422
    type = "/problems/validation"
    title = "The request needs a change"


class NotFound(EquipoiseError):
    """Nothing by that id."""

    status = 404
    type = "/problems/not-found"
    title = "Not found"


class Conflict(EquipoiseError):
    """The thing is not in a state that allows the request."""

    status = 409
    type = "/problems/conflict"
    title = "Not possible now"


class PayloadTooLarge(EquipoiseError):
    """The body is larger than the stated limit."""

    status = 413
    type = "/problems/too-large"
    title = "The request is too large"


class ForeignOrigin(EquipoiseError):
    """A Host or Origin header that is not this machine's."""

    status = 403
    type = "/problems/foreign-origin"
    title = "Refused"


class CatalogueMissing(EquipoiseError):
    """No worker has published a catalogue yet."""

    status = 503
    type = "/problems/no-catalogue"
    title = "No worker has started yet"


class StoreUnavailable(EquipoiseError):
    """The database is locked, full or unreachable; nothing was written."""

    status = 503
    type = "/problems/store"
    title = "The database cannot be used right now"


class SchemaTooOld(EquipoiseError):
    """The database was made by an older release."""

    type = "/problems/schema"
    title = "The database needs an upgrade"


class SchemaTooNew(EquipoiseError):
    """The database was made by a newer release."""

    type = "/problems/schema"
    title = "The database is newer than this program"


class StaleAttempt(EquipoiseError):
    """Another attempt owns the job: this one must stop and write nothing."""


class JobFailed(EquipoiseError):
    """Ends the job with a sentence that its owner can act on."""

    status = 422
    type = "/problems/job-failed"
    title = "The study could not be run"


class DataMissing(JobFailed):
    """A dataset's files are not on the worker."""

    type = "/problems/data-missing"
    title = "The worker does not have the data"


class DataDamaged(DataMissing):
    """A dataset's files are on the worker and cannot be used: where, what was expected, what was found."""

    type = "/problems/data-damaged"
    title = "The worker's data cannot be used"


class DataChanged(JobFailed):
    """The worker's data or code differ from what the job was planned on."""

    type = "/problems/data-changed"
    title = "The data or the code changed since the study was submitted"


class EpsilonUnreachable(JobFailed):
    """No noise multiplier reaches the asked epsilon."""

    type = "/problems/epsilon"
    title = "This epsilon cannot be reached"
