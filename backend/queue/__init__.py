"""The one interface to the job engine. Nothing outside this package imports the engine itself.

    names     what our jobs are called there
    client    `JobQueue`: enqueue, cancel, resume; executes nothing (the API's side)
    serving   `serve`: takes jobs off the queues and supervises them (the worker's side)
    reaper    `Reaper`: resumes or fails the jobs of workers that are gone
    lock      one process at a time under a fixed worker id
    problems  errors as the problem details that a failed job shows

The engine is imported at first use: it takes most of a second that the first page should not wait for.
"""

from backend.queue.client import JobQueue
from backend.queue.names import workflow_id
from backend.queue.reaper import Reaper

__all__ = ["JobQueue", "Reaper", "workflow_id"]
