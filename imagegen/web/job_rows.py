"""The lines of the list of jobs, in the page and in its stream."""

from __future__ import annotations

from collections.abc import Sequence

from imagegen.core.text import one_line
from imagegen.models import Job
from imagegen.services import job_line, jobs
from imagegen.services.job_line import Line
from imagegen.web import contexts
from imagegen.web.contexts import Context

THUMBS = 4
_TITLE = 110


def rows(found: Sequence[Job], *, line: Line | None = None) -> list[Context]:
    """Return the lines of these jobs: their pictures, their people and their places in line take a query each.

    `line` is the organisation's, where it is known already.
    """
    pictures = jobs.first_pictures([row.id for row in found], each=THUMBS)
    if line is None:
        line = job_line.line() if any(row.n_waiting for row in found) else Line(())
    names = jobs.names(row.user_id for row in found)
    return [
        contexts.job_status(row)
        | place(row, line)
        | {
            "title": one_line(row.prompt, _TITLE),
            "when": contexts.ago(row.created_at),
            "took": _took(row),
            "person": names.get(row.user_id, ""),
            "images": [contexts.image(image) for image in pictures[row.id]],
            "counts": {str(status): count for status, count in row.counts.items()},
        }
        for row in found
    ]


def place(row: Job, line: Line) -> Context:
    """Return how many shots come before the job's next one; None for a job that is not in line."""
    return {"id": row.public_id, "before": line.before(row.id)}


def _took(row: Job) -> str:
    if row.finished_at is None:
        return ""
    return contexts.seconds(max(0.0, (row.finished_at - row.created_at).total_seconds()))
