"""What the pages about jobs show beside their lines and tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import format_decimal, gettext

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.prompts.styles import styles
from imagegen.services import job_line, jobs
from imagegen.services.job_search import WINDOW, Found, Standing, Wanted
from imagegen.services.jobs import JobView
from imagegen.services.rights import Right
from imagegen.web import contexts, job_details, job_rows, timeline
from imagegen.web.addresses import address
from imagegen.web.auth import identity
from imagegen.web.contexts import Context
from imagegen.web.language import said

FILTERS: tuple[tuple[str, Standing | None], ...] = (
    (N_("All"), None),
    (N_("At work"), Standing.ACTIVE),
    (N_("Paused"), Standing.PAUSED),
    (N_("Done"), Standing.SUCCEEDED),
    (N_("Partly done"), Standing.PARTIAL),
    (N_("Failed"), Standing.FAILED),
    (N_("To be cleared up"), Standing.UNCLEAR),
    (N_("Canceled"), Standing.CANCELED),
)
_FIELDS = ("status", "q", "provider", "style", "whose", "from", "to")
_NO_FILTER = N_("There is no such filter.")


@dataclass(frozen=True)
class Sieve:
    """What of the jobs is asked for, as the form and the addresses of the page say it."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Sieve:
        """Return what a request asks for; raises StudioError for what is none of the choices."""
        values = {field: given.get(field, "").strip() for field in _FIELDS}
        if values["whose"] not in ("", "mine", "all"):
            raise StudioError(_NO_FILTER, field="whose")
        # Whoever makes nothing has no jobs to look at but those of others.
        values["whose"] = values["whose"] or ("mine" if identity().may(Right.CREATE) else "all")
        return cls(values)

    @property
    def everybody(self) -> bool:
        """Whether the jobs of all people of the organisation are wanted."""
        return self.values["whose"] == "all"

    @property
    def filters_on(self) -> int:
        """How many of the fields that a small screen hides narrow the list."""
        return sum(bool(self.values[name]) for name in ("provider", "style", "from", "to")) + self._of_others

    @property
    def _of_others(self) -> bool:
        """Whether it is not what the reader sees without asking: their own jobs, or all where they make none."""
        return self.everybody == identity().may(Right.CREATE)

    def wanted(self) -> Wanted:
        """Return it as services read it; days are those of the reader's time zone."""
        until = self._midnight("to")
        return Wanted(
            user_id=None if self.everybody else identity().user.id,
            standing=self._standing(),
            provider=self.values["provider"],
            style=self.values["style"],
            words=self.values["q"],
            since=self._midnight("from"),
            until=until + timedelta(days=1) if until else None,
        )

    def href(self, **other: str | None) -> str:
        """Return the address of the list with these filters, some of them changed."""
        values: dict[str, Any] = {name: value for name, value in self.values.items() if value and name != "whose"}
        if self._of_others:
            values["whose"] = self.values["whose"]
        return address("jobs.index", **(values | other))

    def _standing(self) -> Standing | None:
        text = self.values["status"]
        if not text:
            return None
        try:
            return Standing(text)
        except ValueError:
            raise StudioError(_NO_FILTER, field="status") from None

    def _midnight(self, field: str) -> datetime | None:
        text = self.values[field]
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
            if not 2000 <= day.year <= 9000:
                raise ValueError
        except ValueError:
            raise StudioError(N_("Write days as 2027-01-31."), field=field) from None
        return datetime.combine(day, time.min, tzinfo=ZoneInfo(identity().time_zone))


def found(page: Found, sieve: Sieve) -> Context:
    """Return the list with the chips above it."""
    wanted = sieve.wanted()
    older = gettext("Older jobs")
    if page.unseen:
        older = gettext("Look through older jobs than the last %(count)s", count=format_decimal(WINDOW))
    return {
        "filters": [
            {"label": said(label), "href": sieve.href(status=value), "current": value == wanted.standing}
            for label, value in FILTERS
        ],
        "rows": {
            "jobs": job_rows.rows(page.items),
            "next_href": sieve.href(cursor=page.next_cursor) if page.next_cursor else None,
            "older": older,
        },
        "everybody": sieve.everybody,
        "filters_on": sieve.filters_on,
        "narrowed": wanted.narrowed,
        "show_all": address("jobs.index", whose=sieve.values["whose"]),
    }


def choices(sieve: Sieve) -> Context:
    """Return the form above the list."""
    providers = [(provider.id, said(provider.label)) for provider in runtime.providers.providers()]
    return {
        "sieve": sieve.values,
        "providers": providers,
        "styles": [(style.id, said(style.label)) for style in styles()],
    }


def detail(view: JobView) -> Context:
    """Return one job with its tiles and what happened to each."""
    line = job_line.line() if view.job.n_waiting else job_line.Line(())
    context = contexts.job(view, line=line)
    earlier = jobs.earlier([each.shot for each in view.shots])
    for tile, each in zip(context["shots"], view.shots, strict=True):
        tile["timeline"] = timeline.steps(each.shot, view.job, earlier.get(each.shot.id, ()))
    return {
        "job": context | job_rows.place(view.job, line),
        "facts": job_details.facts(view.job),
        "troubles": job_details.troubles(view.job),
    }
