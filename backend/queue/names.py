"""What our jobs are called in the engine. Changing any of this strands what is queued."""

from __future__ import annotations

#: Owner of our workflows and queues, where the engine's tables serve several applications.
APPLICATION = "equipoise"

#: The one workflow.
WORKFLOW = "run_job"

#: Pinned: by default the engine hashes the workflow's source, and any edit would strand what is queued.
VERSION = "1"

#: Where a job goes that asks for nothing special.
DEFAULT_QUEUE = "cpu"

#: Worker id of the one local worker of a data folder. Fixed, so that its successor finds its jobs at once.
EMBEDDED_WORKER = "local"


def workflow_id(job_id: str, submission: int) -> str:
    """The engine's id of one submission of a job: a retried job is a new workflow.

    >>> workflow_id("3f8k", 1)
    '3f8k-1'
    """
    return f"{job_id}-{submission}"


def submission_of(workflow: str) -> int:
    """The submission that a `workflow_id` names.

    >>> submission_of("3f8k-1")
    1
    """
    return int(workflow.rpartition("-")[2])


def engine_priority(priority: int) -> int:
    """The engine starts low numbers first and wants them positive; ours run from -100 to 100, high first.

    >>> engine_priority(100), engine_priority(0), engine_priority(-100)
    (1, 101, 201)
    """
    return 101 - max(-100, min(100, priority))
