"""Workers, queues and the drain. For operators alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, gettext

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.core.clock import now
from imagegen.engine import fleet
from imagegen.engine.fleet import AtWork, Backlog, Fleet, Process
from imagegen.engine.limits import FAILURES_TO_OPEN
from imagegen.models import ProviderState
from imagegen.services.kept_answers import LONGEST_KEPT, KeptAnswer
from imagegen.web import access, auth, contexts
from imagegen.web.contexts import Context
from imagegen.web.htmx import lead_to, page
from imagegen.web.language import said


@blueprint.get("/queue", endpoint="queue")
@access.operating
def show_queue() -> ResponseReturnValue:
    """Show workers, what they are at, what waits and what failed; as a partial the part that changes."""
    return page("admin/queue.html", "admin/_queue.html", fleet=_fleet(fleet.look()))


@blueprint.post("/queue/drain")
@access.operating
def drain() -> ResponseReturnValue:
    """Let all workers claim nothing more, or the one called `worker`."""
    fleet.drain(by=auth.actor(), worker=_named("worker"))
    return _back()


@blueprint.post("/queue/resume")
@access.operating
def resume() -> ResponseReturnValue:
    """Let all workers claim again, or the one called `worker`."""
    fleet.resume(by=auth.actor(), worker=_named("worker"))
    return _back()


@blueprint.post("/queue/tasks/retry")
@access.operating
def try_task_again() -> ResponseReturnValue:
    """Queue a failed task once more."""
    fleet.try_again(_named("task"))
    return _back()


@blueprint.post("/queue/tasks/forget")
@access.operating
def forget_task() -> ResponseReturnValue:
    """Delete a failed task."""
    fleet.forget(_named("task"))
    return _back()


def _named(field: str) -> str:
    return request.form.get(field, "").strip()[:200]


def _back() -> ResponseReturnValue:
    return lead_to(url_for("admin.queue"))


def _fleet(found: Fleet) -> Context:
    redis = found.redis
    return {
        "drained": contexts.ago(found.drained) if found.drained else "",
        "redis": redis is not None,
        "processes": [_process(one) for one in redis.processes] if redis else [],
        "wake_ups": redis.wake_ups if redis else None,
        "oldest_wake_up": _age(redis.oldest_wake_up) if redis else "",
        "failed": [
            {"id": one.id, "error": one.error, "when": contexts.ago(one.ended) if one.ended else ""}
            for one in redis.failed
        ]
        if redis
        else [],
        "at_work": [_at_work(one) for one in found.at_work],
        "running": sum(one.shots for one in found.at_work),
        "waiting": sum(one.waiting for one in found.backlog),
        "oldest": _age(min((one.oldest for one in found.backlog if one.oldest), default=None)),
        "backlog": [_backlog(one) for one in found.backlog],
        "limits": [_limit(row) for row in found.limits],
        "answers": [_answer(one) for one in found.answers],
    }


def _age(moment: datetime | None) -> str:
    """Return how long ago something was, exactly: of what waits, seconds count."""
    return contexts.seconds(max(0.0, (now() - moment).total_seconds())) if moment is not None else ""


def _process(one: Process) -> Context:
    return {
        "id": one.id,
        "host": one.host,
        "pid": one.pid,
        "since": contexts.ago(one.since) if one.since else "",
        "heard": contexts.ago(one.heard) if one.heard else "",
        "busy": one.busy,
        "drained": contexts.ago(one.drained) if one.drained else "",
    }


def _at_work(one: AtWork) -> Context:
    return {
        "host": one.host,
        "pid": one.pid,
        "shots": one.shots,
        "jobs": one.jobs,
        "organisations": one.organisations,
        "oldest": _age(one.oldest),
        "lost": one.lease_until is not None and one.lease_until < now(),
    }


def _backlog(one: Backlog) -> Context:
    return {
        "organisation": one.organisation,
        "provider": contexts.provider_name(one.provider),
        "waiting": one.waiting,
        "resting": one.resting,
        "paused": one.paused,
        "running": one.running,
        "oldest": _age(one.oldest),
    }


def _limit(row: ProviderState) -> Context:
    told = said(row.error_message) if row.error_message else ""
    return {
        "provider": contexts.provider_name(row.provider),
        "key": row.key,
        "rules": [rule for say in _RULES if (rule := say(row))],
        "error": told,
        "when": contexts.ago(row.error_at) if row.error_at else "",
    }


def _answer(one: KeptAnswer) -> Context:
    return {
        "attempt": one.attempt_id,
        "when": contexts.ago(one.heard_at),
        "tries": one.tries,
        "file": str(one.path),
        "until": format_date(one.heard_at + LONGEST_KEPT, "medium"),
    }


def _until(moment: datetime | None) -> str:
    """Return in how long a moment comes; nothing once it has."""
    left = (moment - now()).total_seconds() if moment is not None else 0.0
    return contexts.seconds(left) if left > 0 else ""


def _paused(row: ProviderState) -> str:
    left = _until(row.paused_until)
    return gettext("pauses for another %(time)s", time=left) if left else ""


def _broken(row: ProviderState) -> str:
    if row.failures < FAILURES_TO_OPEN:
        return ""
    left = _until(row.open_until)
    if left:
        return gettext("not called for another %(time)s, after failures in a row", time=left)
    return gettext("one call at a time tries whether it is well again")


def _fewer(row: ProviderState) -> str:
    return gettext("at most %(count)s calls at once", count=row.slots) if row.slots is not None else ""


_RULES: tuple[Callable[[ProviderState], str], ...] = (_paused, _broken, _fewer)
