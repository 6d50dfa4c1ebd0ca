"""Reading jobs: lists, one job, its shots with their pictures, its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Select, bindparam, func, select, union_all
from sqlalchemy.orm import aliased, selectinload

from imagegen.core.errors import NotFound
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Event, Image, Job, Organisation, Shot, User, built_once
from imagegen.models.jobs import unfinished
from imagegen.models.states import JobStatus, ShotStatus
from imagegen.services.library import Page, decode_cursor, encode_cursor

FEED = 12


@dataclass(frozen=True)
class ShotView:
    """A shot with its picture, once it has one."""

    shot: Shot
    image: Image | None


@dataclass(frozen=True)
class JobView:
    """A job as a page shows it: the newest shot of each slot with its picture."""

    job: Job
    shots: Sequence[ShotView]


def get_job(public_id: str) -> Job:
    """Return one job of the organisation in scope; raises NotFound."""
    job: Job | None = db.session.scalar(_ONE, {"which": public_id}) if is_id(public_id) else None
    if job is None:
        raise NotFound(N_("There is no such job."))
    return job


_ONE = built_once(select(Job).where(Job.public_id == bindparam("which")))


def by_ids(ids: Sequence[int]) -> Sequence[Job]:
    """Return these jobs, in no particular order."""
    return db.session.scalars(_BY_IDS, {"which": list(ids)}).all()


_BY_IDS = built_once(select(Job).where(Job.id.in_(bindparam("which", expanding=True))))


def list_jobs(
    *,
    user_id: int | None = None,
    status: JobStatus | None = None,
    cursor: str | None = None,
    limit: int = FEED,
) -> Page:
    """Return a page of jobs, newest first; only one person's with `user_id`."""
    query = select(Job)
    if user_id is not None:
        query = query.where(Job.user_id == user_id)
    if status is not None:
        query = query.where(Job.status == status)
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Job.id < after)
    jobs = db.session.scalars(query.order_by(Job.id.desc()).limit(limit + 1)).all()
    more = len(jobs) > limit
    jobs = jobs[:limit]
    return Page(jobs, encode_cursor(jobs[-1].id) if more else None)


def view(jobs: Sequence[Job], *, with_attempts: bool = False) -> list[JobView]:
    """Return `jobs` with their shots and pictures: two queries, however many jobs."""
    ids = [job.id for job in jobs]
    by_job: dict[int, list[ShotView]] = {job_id: [] for job_id in ids}
    for each in _views(_shots_of_jobs(with_attempts), which=ids):
        by_job[each.shot.job_id].append(each)
    return [JobView(job, by_job[job.id]) for job in jobs]


def view_of_shots(shot_ids: Sequence[int], *, with_attempts: bool = False) -> list[ShotView]:
    """Return these shots with their pictures."""
    return _views(_some_shots(with_attempts), which=list(shot_ids))


_Reused = aliased(Image)


def _shots() -> Select[Shot, Image, Image]:
    """The newest shot of each slot, with the picture made for it and the earlier one that answered it."""
    return (
        select(Shot, Image, _Reused)
        .outerjoin(Image, (Image.shot_id == Shot.id) & Image.deleted_at.is_(None))
        .outerjoin(_Reused, (_Reused.id == Shot.reused_image_id) & _Reused.deleted_at.is_(None))
        .where(Shot.newest)
    )


# Every page and every event asks them.


@cache
def _shots_of_jobs(with_attempts: bool) -> Select[Shot, Image, Image]:
    query = _shots().where(Shot.job_id.in_(bindparam("which", expanding=True))).order_by(Shot.slot)
    return built_once(query.options(selectinload(Shot.attempts)) if with_attempts else query)


@cache
def _some_shots(with_attempts: bool) -> Select[Shot, Image, Image]:
    query = _shots().where(Shot.id.in_(bindparam("which", expanding=True)))
    return built_once(query.options(selectinload(Shot.attempts)) if with_attempts else query)


def _views(query: Select[Shot, Image, Image], **parameters: object) -> list[ShotView]:
    return [ShotView(shot, made or reused) for shot, made, reused in db.session.execute(query, parameters)]


def first_pictures(job_ids: Sequence[int], *, each: int) -> dict[int, list[Image]]:
    """Return the pictures of the first `each` slots that have one, job by job: one query, however large the jobs."""
    found: dict[int, list[Image]] = {job_id: [] for job_id in job_ids}
    if not job_ids:
        return found
    for shown in _views(_first_delivered(each), which=list(job_ids)):
        if shown.image is not None:
            found[shown.shot.job_id].append(shown.image)
    return found


@cache
def _first_delivered(each: int) -> Select[Shot, Image, Image]:
    # Place by place: a window would number all shots of jobs of hundreds, and planners think much of a LIMIT's rest.
    ids = union_all(*(_delivered(place) for place in range(each))).subquery()
    return built_once(_shots().join(ids, ids.c.id == Shot.id).order_by(Shot.slot))


def _delivered(place: int) -> Select[int]:
    """Return the shot of each job that delivered its first picture, its second, and so on by `place`."""
    one = aliased(Shot)
    shot = (
        select(one.id)
        .where(one.job_id == Job.id, one.newest, one.status == ShotStatus.SUCCEEDED)
        .order_by(one.slot)
        .offset(place)
        .limit(1)
    )
    # A job that has not so many is not looked through in vain.
    have = Job.id.in_(bindparam("which", expanding=True)), Job.n_succeeded > place
    return select(shot.scalar_subquery().label("id")).where(*have)


def earlier(shots: Sequence[Shot]) -> dict[int, list[Shot]]:
    """Return for each of these shots those that had its slot before, oldest first, with their attempts.

    No query where nothing was tried again.
    """
    again = {(shot.job_id, shot.slot): shot.id for shot in shots if shot.retry_of_id is not None}
    if not again:
        return {}
    query = (
        select(Shot)
        .where(Shot.job_id.in_({job_id for job_id, _slot in again}), ~Shot.newest)
        .options(selectinload(Shot.attempts))
        .order_by(Shot.id)
    )
    found: dict[int, list[Shot]] = {}
    for shot in db.session.scalars(query):
        if (shot.job_id, shot.slot) in again:
            found.setdefault(again[shot.job_id, shot.slot], []).append(shot)
    return found


def troubled(job: Job) -> Sequence[Shot]:
    """Return the shots of a job that failed, were refused or are of unknown fate, by slot, with their attempts."""
    ended_badly = (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN)
    query = (
        select(Shot)
        .where(Shot.job_id == job.id, Shot.newest, Shot.status.in_(ended_badly))
        .options(selectinload(Shot.attempts))
    )
    return db.session.scalars(query.order_by(Shot.slot)).all()


def names(user_ids: Iterable[int]) -> dict[int, str]:
    """Return what these people are called, by their ids."""
    return {row.id: row.name for row in db.session.execute(_NAMES, {"which": sorted(set(user_ids))})}


_NAMES = built_once(select(User.id, User.name).where(User.id.in_(bindparam("which", expanding=True))))


def next_in_line(job_ids: Sequence[int], *, each: int) -> Sequence[Shot]:
    """Return the first `each` waiting shots of each of these jobs."""
    return db.session.scalars(_next_in_line(), {"which": list(job_ids), "each": each}).all()


@cache
def _next_in_line() -> Select[Shot]:
    number = func.row_number().over(partition_by=Shot.job_id, order_by=Shot.slot).label("number")
    of_jobs = Shot.job_id.in_(bindparam("which", expanding=True))
    waiting = select(Shot.id, number).where(of_jobs, Shot.status == ShotStatus.WAITING, Shot.newest).subquery()
    query = select(Shot).join(waiting, waiting.c.id == Shot.id).where(waiting.c.number <= bindparam("each"))
    return built_once(query.order_by(Shot.job_id, Shot.slot))


# Every page asks it.
_DONE = Job.n_succeeded + Job.n_failed + Job.n_refused + Job.n_canceled + Job.n_unknown
_PROGRESS = built_once(
    select(
        func.coalesce(func.sum(_DONE), 0),
        func.coalesce(func.sum(_DONE + Job.n_waiting + Job.n_running), 0),
        func.count(Job.id),
    ).where(Job.user_id + 0 == bindparam("person"), unfinished())  # few are unfinished: not by the person's index
)


def progress(*, user_id: int) -> tuple[int, int, int]:
    """Return how many pictures of the person's unfinished jobs are done, of how many, in how many jobs."""
    done, total, running = db.session.execute(_PROGRESS, {"person": user_id}).one()
    return int(done), int(total), int(running)


def latest_seq(organisation_id: int) -> int:
    """Return the number of the organisation's newest event: what a page that is read now has seen."""
    return db.session.scalar(select(Organisation.event_seq).where(Organisation.id == organisation_id)) or 0


def events_after(
    *, seq: int, user_id: int | None = None, job_id: int | None = None, limit: int = 1000
) -> Sequence[Event]:
    """Return the events of the organisation in scope after number `seq`, in order."""
    parameters = {"seq": seq, "limit": limit, "person": user_id, "job": job_id}
    query = _events_after(user_id is not None, job_id is not None)
    return db.session.scalars(query, {name: value for name, value in parameters.items() if value is not None}).all()


@cache
def _events_after(of_person: bool, of_job: bool) -> Select[Event]:
    query = select(Event).where(Event.organisation_seq > bindparam("seq"))
    if of_person:
        query = query.where(Event.user_id == bindparam("person"))
    if of_job:
        query = query.where(Event.job_id == bindparam("job"))
    return built_once(query.order_by(Event.organisation_seq).limit(bindparam("limit")))


def job_events(job: Job, *, after: int = 0) -> Sequence[Event]:
    """Return a job's own events after its number `after`, in order."""
    return db.session.scalars(
        select(Event).where(Event.job_id == job.id, Event.seq > after).order_by(Event.seq)
    ).all()
