"""What stands beside the pictures of one job: what was asked for, how it went, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import format_datetime, gettext, ngettext

from imagegen.core.text import N_
from imagegen.models import Attempt, Job, Shot
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.services import jobs
from imagegen.web import contexts, words
from imagegen.web.contexts import Context
from imagegen.web.language import said


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


def troubles(job: Job) -> Context:
    """Return what went wrong with a job's pictures; no query where nothing did."""
    if not (job.n_failed or job.n_refused or job.n_unknown):
        return {"failures": [], "unclear": []}
    found = jobs.troubled(job)
    return {
        "failures": _failures(shot for shot in found if shot.status != ShotStatus.UNKNOWN),
        "unclear": [_unclear(shot, job) for shot in found if shot.status == ShotStatus.UNKNOWN],
    }


def _failures(shots: Iterable[Shot]) -> list[Context]:
    """Return each thing that went wrong once, with how many pictures it cost."""
    alike: dict[tuple[str, str], list[Shot]] = {}
    for shot in shots:
        alike.setdefault((shot.status, str(shot.error_message or "")), []).append(shot)
    return [_failure(status, group) for (status, _sentence), group in alike.items()]


def _failure(status: str, group: Sequence[Shot]) -> Context:
    refused = status == ShotStatus.REFUSED
    count = len(group)
    title = (
        ngettext("%(num)s picture was refused", "%(num)s pictures were refused", count)
        if refused
        else ngettext("%(num)s picture failed", "%(num)s pictures failed", count)
    )
    error = contexts.error(group[0].error_kind, group[0].error_message)
    return {"title": title, "refused": refused, "sentence": error["sentence"], "advice": error["advice"]}


_NOTHING_HEARD = N_("No answer came back for this picture.")


def _unclear(shot: Shot, job: Job) -> Context:
    call = _open_call(shot)
    tile = contexts.shot(jobs.ShotView(shot, None), job=job)
    return {
        "number": shot.slot + 1,
        "sentence": said(shot.error_message or _NOTHING_HEARD),
        "provider": contexts.provider_name(shot.provider),
        "sent": format_datetime(call.sent_at, "medium") if call is not None and call.sent_at else "",
        "request_id": (call.provider_request_id or call.provider_job_id or "") if call is not None else "",
        "amount": contexts.price(shot.estimated_micro) if shot.estimated_micro else "",
        "resolve_url": tile["resolve_url"],
    }


def _open_call(shot: Shot) -> Attempt | None:
    return next((call for call in reversed(shot.attempts) if call.status == AttemptStatus.UNKNOWN), None)
