"""What the pages about jobs show beside their tiles."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import format_datetime, gettext

from imagegen.core.text import N_, one_line
from imagegen.models import Job
from imagegen.models.states import JobStatus
from imagegen.services import jobs
from imagegen.services.jobs import JobView
from imagegen.services.library import Page
from imagegen.web import contexts, timeline, words
from imagegen.web.contexts import Context
from imagegen.web.language import said

FILTERS: tuple[tuple[str, JobStatus | None], ...] = (
    (N_("All"), None),
    (N_("At work"), JobStatus.RUNNING),
    (N_("Done"), JobStatus.SUCCEEDED),
    (N_("Partly done"), JobStatus.PARTIAL),
    (N_("Failed"), JobStatus.FAILED),
)


def rows(page: Page, *, status: JobStatus | None) -> Context:
    """Return lines for the list of jobs."""
    href = url_for("jobs.index", status=status, cursor=page.next_cursor) if page.next_cursor else None
    return {
        "jobs": [_row(view) for view in jobs.view(page.items)],
        "next_cursor": page.next_cursor,
        "next_href": href,
    }


def _row(view: JobView) -> Context:
    found = [contexts.image(each.image) for each in view.shots if each.image is not None]
    return contexts.job_status(view.job) | {
        "title": one_line(view.job.prompt, 110),
        "when": contexts.ago(view.job.created_at),
        "images": found[:4],
    }


def filters(status: JobStatus | None) -> list[Context]:
    """Return the chips above the list."""
    return [
        {"label": said(label), "href": url_for("jobs.index", status=value), "current": value == status}
        for label, value in FILTERS
    ]


def detail(view: JobView) -> Context:
    """Return one job with its tiles and what happened to each."""
    context = contexts.job(view)
    for tile, each in zip(context["shots"], view.shots, strict=True):
        tile["timeline"] = timeline.steps(each.shot, view.job)
    return context


def facts(job: Job) -> list[Context]:
    """Return what was asked for, and how it went."""
    asked: dict[str, Any] = job.request
    shapes = asked.get("aspect_ratios") or ([asked["aspect_ratio"]] if asked.get("aspect_ratio") else [])
    took = (job.finished_at - job.created_at).total_seconds() if job.finished_at else None
    found = [
        (gettext("Model"), job.model_label),
        (gettext("Shape"), ", ".join(shapes) or (asked.get("size") or "").replace("x", " \N{MULTIPLICATION SIGN} ")),
        (gettext("Style"), words.style(asked.get("style") or "")),
        (gettext("Quality"), words.quality(asked.get("quality") or "")),
        (gettext("Seed"), str(asked["seed"]) if asked.get("seed") is not None else ""),
        (gettext("Left out"), asked.get("negative_prompt") or ""),
        (gettext("Started"), format_datetime(job.created_at, "medium")),
        (gettext("Took"), contexts.seconds(took) if took is not None else ""),
        (gettext("Estimated"), contexts.price(job.estimated_micro) or gettext("price unknown")),
        (gettext("Cost"), contexts.job_cost(job) if job.finished else ""),
    ]
    return [{"label": label, "value": value} for label, value in found if value]
