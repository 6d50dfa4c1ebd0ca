"""Everything that is cleaned up: one table."""

from __future__ import annotations

from collections.abc import Mapping

from imagegen.core.errors import NotFound
from imagegen.core.text import N_
from imagegen.services.cleaning import files, rows
from imagegen.services.cleaning.duty import Duty

_DUTIES = (
    Duty(
        "temporary-files",
        N_("Temporary files"),
        N_("What processes that died have left behind, older than a day."),
        files.find_workspaces,
        files.remove_workspaces,
    ),
    Duty(
        "answers",
        N_("Answers that could not be put away"),
        N_("Paid for, and heard by a process of this machine that died. They are kept for 30 days."),
        files.find_answers,
        files.remove_answers,
    ),
    Duty(
        "sessions",
        N_("Sign-ins"),
        N_("Browsers whose sign-in ended a week ago."),
        rows.SESSIONS.find,
        rows.SESSIONS.remove,
    ),
    Duty(
        "resets",
        N_("Links to new passwords"),
        N_("Links that ended a week ago."),
        rows.RESETS.find,
        rows.RESETS.remove,
    ),
    Duty(
        "invitations",
        N_("Invitations"),
        N_("Invitations that nobody took up, and that ended a week ago."),
        rows.INVITATIONS.find,
        rows.INVITATIONS.remove,
    ),
    Duty(
        "idempotency-keys",
        N_("Keys of repeated requests"),
        N_("Keys that programs sent a week ago."),
        rows.KEYS.find,
        rows.KEYS.remove,
    ),
    Duty(
        "outbox",
        N_("Sent wake-ups"),
        N_("Notes to the workers that were sent a week ago."),
        rows.OUTBOX.find,
        rows.OUTBOX.remove,
    ),
    Duty(
        "schedule-runs",
        N_("Records of schedules"),
        N_("What became of scheduled times, older than 90 days. The jobs stay."),
        rows.RUNS.find,
        rows.RUNS.remove,
    ),
    Duty(
        "reports",
        N_("Reports of cleaning"),
        N_("Reports like this one, older than 90 days."),
        rows.REPORTS.find,
        rows.REPORTS.remove,
    ),
    Duty(
        "trash",
        N_("Trash"),
        N_("Pictures that somebody put into the trash 30 days ago. What is used in a post is kept."),
        rows.find_trash,
        rows.remove_trash,
    ),
    Duty(
        "orphaned-files",
        N_("Files without a picture"),
        N_("Stored files, older than a day, that belong to no picture."),
        files.find_orphans,
        files.remove_orphans,
    ),
    Duty(
        "missing-files",
        N_("Pictures without a file"),
        N_("Only reported: look for them in a backup."),
        files.find_missing,
    ),
)

DUTIES: Mapping[str, Duty] = {duty.name: duty for duty in _DUTIES}
"""By name, in the order in which they are done: the trash comes before the files that it leaves."""


def chosen(only: str | None) -> tuple[Duty, ...]:
    """Return all duties, or the one called `only`; raises NotFound."""
    if only is None:
        return _DUTIES
    if only not in DUTIES:
        raise NotFound(N_("There is no such duty. Choose one of: {choices}.").format(choices=", ".join(DUTIES)))
    return (DUTIES[only],)
