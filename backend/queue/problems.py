"""Errors as the problem details that a failed job shows."""

from __future__ import annotations

from typing import Any

from backend.contracts.public import ProblemDetails
from backend.errors import EquipoiseError, JobFailed


def problem_details(error: EquipoiseError) -> dict[str, Any]:
    """The error in the one shape of every error (RFC 9457)."""
    return ProblemDetails(
        type=error.type, title=error.title, status=error.status, detail=error.sentence(), problems=error.problems
    ).model_dump(mode="json")


class GaveUp(JobFailed):
    """The worker was lost under this job again and again."""

    type = "/problems/gave-up"
    title = "The study was given up"

    def __init__(self, attempts: int) -> None:
        super().__init__(
            f"The worker was lost {attempts} times under this study, each time before another run was finished.",
            fix="Every run finished so far is kept. The usual reason is lack of memory: use smaller batches, a smaller "
            "model or a larger machine, then retry it.",
        )
