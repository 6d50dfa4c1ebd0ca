"""Rounds of cleaning: asked for by a person, a command or the day, done by one process, reported duty by duty."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

import structlog
from sqlalchemy import ColumnElement, select, update

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, NotFound
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import CleaningReport, UnitOfWork, system_scope, writes
from imagegen.models.audit import Action
from imagegen.models.columns import db_now
from imagegen.services import audit
from imagegen.services.audit import Actor
from imagegen.services.cleaning.duties import chosen
from imagegen.services.cleaning.duty import Duty, Finding
from imagegen.services.cleaning.files import in_batches

log = structlog.get_logger(__name__)

EXAMPLES = 5
LATEST = 10
SILENT_SECONDS = 300.0
"""Whoever cleans gives a sign of life more often; after so long without one the round has died."""

SIGN_OF_LIFE_SECONDS = 10.0
LONGEST_REST_SECONDS = 1.0


class Interrupted(Exception):
    """The process is to stop: the round ends where it is, and the next one goes on."""


@dataclass(frozen=True)
class Result:
    """What a duty came to. `bytes` are those of what was found and may go; `kept` was found and stays."""

    name: str
    found: int = 0
    removed: int = 0
    kept: int = 0
    bytes: int = 0
    examples: tuple[str, ...] = ()
    seconds: float = 0.0
    error: bool = False

    def with_found(self, batch: Sequence[Finding]) -> Result:
        """Return the result with a batch more."""
        going = [finding for finding in batch if not finding.kept]
        examples = (*self.examples, *(finding.example[:200] for finding in batch))[:EXAMPLES]
        return replace(
            self,
            found=self.found + len(going),
            kept=self.kept + len(batch) - len(going),
            bytes=self.bytes + sum(finding.bytes for finding in going),
            examples=examples,
        )


@writes
def ask(uow: UnitOfWork, *, by: Actor, dry_run: bool, only: str | None = None) -> str:
    """Ask for a round; a scheduler begins it within a moment. Returns its id. Raises NotFound for no duty of ours."""
    chosen(only)
    waiting = select(CleaningReport.id).where(CleaningReport.finished_at.is_(None), _alive())
    if uow.scalar(waiting.limit(1)) is not None:
        raise Conflict(N_("The studio is cleaning up already. Wait until it is done."))
    report = CleaningReport(dry_run=dry_run, only=only, user_id=by.user_id, results=[])
    uow.add(report)
    uow.flush()
    if not dry_run:
        audit.record(uow, Action.CLEANED_UP, by=by.within(None), facts={"duty": only} if only else {})
    return report.public_id


def _alive() -> ColumnElement[bool]:
    """Return the condition of a round that waits, or goes on."""
    return CleaningReport.started_at.is_(None) | (CleaningReport.seen_at > db_now(-SILENT_SECONDS))


def ask_daily(*, hour: int) -> bool:
    """Ask for the day's round if it is `hour` o'clock (UTC) or later and nobody has; tells whether this call did.

    Several schedulers may ask at once: the day is a key.
    """
    moment = db.session.scalars(select(db_now())).one()
    asked = db.session.scalar(select(CleaningReport.id).where(CleaningReport.day == moment.date()))
    return moment.hour >= hour and asked is None and _ask_for(day=moment.date())


@writes
def _ask_for(uow: UnitOfWork, *, day: date) -> bool:
    uow.alone(CleaningReport)
    if uow.scalar(select(CleaningReport.id).where(CleaningReport.day == day)) is not None:
        return False
    uow.add(CleaningReport(day=day, results=[]))
    return True


def clean_next(stopping: Callable[[], bool]) -> bool:
    """Do the round that waits for the longest, here and now; tells whether there was one."""
    waiting = select(CleaningReport.id).where(CleaningReport.started_at.is_(None)).order_by(CleaningReport.id)
    report_id = db.session.scalar(waiting.limit(1))
    if report_id is None or not _begin(report_id=report_id):
        return False
    clean(report_id=report_id, stopping=stopping)
    return True


@writes
def _begin(uow: UnitOfWork, *, report_id: int) -> bool:
    mine = update(CleaningReport).where(CleaningReport.id == report_id, CleaningReport.started_at.is_(None))
    begun = mine.values(started_at=db_now(), seen_at=db_now()).returning(CleaningReport.id)
    return uow.scalar(begun) is not None


def clean_now(*, dry_run: bool, only: str | None = None) -> CleaningReport:
    """Do a round in this process, and return its report. Raises NotFound for no duty of ours."""
    chosen(only)
    report_id = _record_now(dry_run=dry_run, only=only)
    clean(report_id=report_id, stopping=lambda: False)
    return db.session.get_one(CleaningReport, report_id)


@writes
def _record_now(uow: UnitOfWork, *, dry_run: bool, only: str | None) -> int:
    report = CleaningReport(dry_run=dry_run, only=only, results=[], started_at=now(), seen_at=now())
    uow.add(report)
    if not dry_run:
        audit.record(uow, Action.CLEANED_UP, by=audit.COMMAND_LINE, facts={"duty": only} if only else {})
    uow.flush()
    return report.id


def clean(*, report_id: int, stopping: Callable[[], bool]) -> None:
    """Do the duties of a round one after the other, and write down each as it ends."""
    report = db.session.get_one(CleaningReport, report_id)
    dry_run, duties = report.dry_run, chosen(report.only)
    moment = _moment()
    db.session.rollback()
    pulse = _Pulse(report_id, stopping)
    results: list[Result] = []
    try:
        for duty in duties:
            results.append(_do(duty, moment, dry_run=dry_run, pulse=pulse))
            _write(report_id=report_id, results=results, finished=False)
    except Interrupted:
        log.info("cleaning.interrupted", report=report_id)
        return
    _write(report_id=report_id, results=results, finished=True)
    log.info("cleaning.done", dry_run=dry_run, removed={each.name: each.removed for each in results if each.removed})


def _moment() -> datetime:
    """Return the earlier of two clocks: the database's tells the age of rows, this machine's that of files."""
    return min(db.session.scalars(select(db_now())).one(), now())


class _Pulse:
    """Gives signs of life between batches, and stops the round when the process is to stop."""

    def __init__(self, report_id: int, stopping: Callable[[], bool]) -> None:
        self._report_id = report_id
        self._stopping = stopping
        self._last = time.monotonic()

    def beat(self) -> None:
        """Say that the round is alive; raises Interrupted."""
        if self._stopping():
            raise Interrupted
        if time.monotonic() - self._last > SIGN_OF_LIFE_SECONDS:
            _note_alive(report_id=self._report_id)
            self._last = time.monotonic()


@writes
def _note_alive(uow: UnitOfWork, *, report_id: int) -> None:
    uow.execute(update(CleaningReport).where(CleaningReport.id == report_id).values(seen_at=db_now()))


def _do(duty: Duty, moment: datetime, *, dry_run: bool, pulse: _Pulse) -> Result:
    """Do one duty; one that breaks is noted and does not keep the others from theirs."""
    begun = time.monotonic()
    result = Result(duty.name)
    try:
        with system_scope():
            for batch in in_batches(duty.find(moment)):
                pulse.beat()
                result = result.with_found(batch)
                going = [finding for finding in batch if not finding.kept]
                if going and not dry_run and duty.remove is not None:
                    began = time.monotonic()
                    result = replace(result, removed=result.removed + len(duty.remove(going, moment)))
                    # Nobody waits for this: others get to write for as long as it has taken.
                    time.sleep(min(LONGEST_REST_SECONDS, time.monotonic() - began))
    except Interrupted:
        raise
    except Exception:
        log.exception("cleaning.duty_failed", duty=duty.name)
        db.session.rollback()
        result = replace(result, error=True)
    return replace(result, seconds=round(time.monotonic() - begun, 3))


@writes
def _write(uow: UnitOfWork, *, report_id: int, results: Sequence[Result], finished: bool) -> None:
    values: dict[str, object] = {"results": [asdict(result) for result in results], "seen_at": db_now()}
    if finished:
        values["finished_at"] = db_now()
    uow.execute(update(CleaningReport).where(CleaningReport.id == report_id).values(**values))


# Reading


@dataclass(frozen=True)
class Round:
    """A report with what became of its round."""

    row: CleaningReport
    results: tuple[Result, ...]
    died: bool

    @property
    def under_way(self) -> bool:
        """Whether something more is to come."""
        return self.row.finished_at is None and not self.died


def latest(limit: int = LATEST) -> list[Round]:
    """Return the newest rounds."""
    rows = db.session.scalars(select(CleaningReport).order_by(CleaningReport.id.desc()).limit(limit)).all()
    return [_round(row) for row in rows]


def get_round(public_id: str) -> Round:
    """Return one round; raises NotFound."""
    query = select(CleaningReport).where(CleaningReport.public_id == public_id)
    row = db.session.scalar(query) if is_id(public_id) else None
    if row is None:
        raise NotFound(N_("There is no such report."))
    return _round(row)


def _round(row: CleaningReport) -> Round:
    silent = db.session.scalars(select(db_now(-SILENT_SECONDS))).one()
    died = row.finished_at is None and row.started_at is not None and (row.seen_at or row.started_at) < silent
    return Round(row, results_of(row), died)


def results_of(report: CleaningReport) -> tuple[Result, ...]:
    """Return what its duties came to, as far as they have ended."""
    return tuple(Result(**{**each, "examples": tuple(each["examples"])}) for each in report.results)
