"""Cleaning up the installation: asked for, and reported. For operators alone."""

from __future__ import annotations

from typing import Literal

from flask import Blueprint, url_for

from imagegen.api.v1.cleaning_schemas import CleaningBody, CleaningResult, CleaningRound, CleaningRoundList
from imagegen.api.v1.openapi import BODY, Answers, Tags, operation
from imagegen.services.cleaning import reports
from imagegen.services.cleaning.duties import DUTIES
from imagegen.services.cleaning.reports import Result, Round
from imagegen.web import access
from imagegen.web.auth import actor
from imagegen.web.language import said

blueprint = Blueprint("api-cleaning", __name__)


@blueprint.get("/maintenance/clean")
@access.operating
@operation(Tags.INSTALLATION, "listCleaningRounds", Answers(CleaningRoundList, "The newest rounds."))
def index() -> CleaningRoundList:
    """List the newest rounds of cleaning up."""
    return CleaningRoundList(items=[_round(each) for each in reports.latest()], next_cursor=None)


@blueprint.post("/maintenance/clean")
@access.operating
@operation(
    Tags.INSTALLATION,
    "cleanUp",
    Answers(
        CleaningRound,
        "Asked for: a scheduler begins within a moment.",
        status=202,
        headers={"Location": "Path of the report."},
        problems=(*BODY, 409),
    ),
)
def ask(json: CleaningBody) -> tuple[CleaningRound, int, dict[str, str]]:
    """Look what may be cleaned up, or clean it up.

    One round at a time: while one goes on, another is refused with 409.
    """
    public_id = reports.ask(by=actor(), dry_run=json.dry_run, only=json.only)
    return _read(public_id), 202, {"Location": url_for("api-cleaning.read", round_id=public_id)}


@blueprint.get("/maintenance/clean/<round_id>")
@access.operating
@operation(Tags.INSTALLATION, "readCleaningRound", Answers(CleaningRound, "The round.", problems=(404,)))
def read(round_id: str) -> CleaningRound:
    """Read what a round has found and removed so far."""
    return _read(round_id)


def _read(public_id: str) -> CleaningRound:
    return _round(reports.get_round(public_id))


def _round(one: Round) -> CleaningRound:
    row = one.row
    return CleaningRound(
        id=row.public_id,
        status=_status(one),
        dry_run=row.dry_run,
        only=row.only,
        daily=row.day is not None,
        results=[_result(each) for each in one.results],
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _status(one: Round) -> Literal["waiting", "running", "done", "died"]:
    if one.died:
        return "died"
    if one.row.finished_at is not None:
        return "done"
    return "waiting" if one.row.started_at is None else "running"


def _result(found: Result) -> CleaningResult:
    duty = DUTIES.get(found.name)
    return CleaningResult(
        name=found.name,
        title=said(duty.title) if duty else found.name,
        found=found.found,
        removed=found.removed,
        kept=found.kept,
        bytes=found.bytes,
        examples=list(found.examples),
        seconds=found.seconds,
        failed=found.error,
    )
