"""What people can do to a job: one table, of which pages and API both make their routes and their buttons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imagegen.engine import control
from imagegen.models import Job
from imagegen.services.rights import Right
from imagegen.web import access, readers
from imagegen.web.access import Access


@dataclass(frozen=True)
class Verb:
    """Something that can be done to a job, told by its id.

    `name` ends the address of its route. `possible` says whether it makes sense as the job stands: what does not is
    not offered, and `act` refuses it with a sentence. `summary` and `problems` (HTTP statuses) are for programmers.
    """

    name: str
    act: Callable[[str], object]
    possible: Callable[[Job], bool]
    summary: str
    problems: tuple[int, ...] = (404, 409)
    right: Right = Right.CREATE

    @property
    def access(self) -> Access:
        """Who may call its routes."""
        return access.Access(right=self.right)

    def offered(self, job: Job) -> bool:
        """Tell whether the reader of what is drawn now is to see it beside `job`."""
        return self.possible(job) and readers.may(self.right)


def _begins_more(job: Job) -> bool:
    return bool(job.n_waiting) and job.cancel_requested_at is None


def _worth_retrying(job: Job) -> bool:
    """Whether the same again may end otherwise: where every picture was refused, the words have to change."""
    another_try = job.n_failed or job.n_canceled or (job.n_refused and job.n_succeeded)
    return job.finished and bool(another_try)


CANCEL = Verb(
    "cancel",
    control.cancel,
    lambda job: not job.finished and job.cancel_requested_at is None,
    "End what has not begun. What is under way is finished and kept, for it is paid for.",
)
RETRY = Verb(
    "retry",
    control.retry,
    _worth_retrying,
    "Ask again for every picture that failed, was refused or was canceled.",
    problems=(402, 404, 409, 429),
)
PAUSE = Verb(
    "pause",
    control.pause,
    lambda job: _begins_more(job) and job.paused_at is None,
    "Begin nothing more of the job until it is resumed. What is under way goes on.",
)
RESUME = Verb(
    "resume",
    control.resume,
    lambda job: not job.finished and job.paused_at is not None,
    "Go on with a paused job.",
)
FRONT = Verb(
    "front",
    control.to_the_front,
    lambda job: _begins_more(job) and job.paused_at is None,
    "Let what waits of the job come before the organisation's other jobs.",
)
DELETE = Verb(
    "delete",
    control.delete,
    lambda job: job.finished and not job.n_unknown,
    "Delete a job that has ended. Its pictures stay in the library, its cost in the books.",
)

CHANGES = (CANCEL, RETRY, PAUSE, RESUME, FRONT)
"""After these the job is still there."""
VERBS = (*CHANGES, DELETE)
