"""Work at its time: what is to be made, when, and what became of each time."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import Sentence, UtcDateTime, created, data, moment, pk, public_id
from imagegen.models.jobs import Job
from imagegen.models.scope import OrganisationOwned
from imagegen.models.users import User


class Missed(StrEnum):
    """What becomes of times at which no scheduler ran."""

    RUN_ONCE = "run_once"
    """One job at once, for all of them together."""
    SKIP = "skip"


class RunStatus(StrEnum):
    """Where one run of a schedule stands: taken and not yet begun, then one of the others for good."""

    DUE = "due"
    BEGUN = "begun"
    FAILED = "failed"
    SKIPPED = "skipped"


class Schedule(OrganisationOwned, Model):
    """A request for pictures, and when it is made into a job: once, or again and again by `cron`.

    `cron` has the five usual fields and is read in `time_zone`. `next_at` is the next time, in UTC; None: there is
    none any more. It only ever moves on, and in the transaction that writes the run of the time that it leaves.
    `runs` counts the jobs that were asked for; what was skipped is none. Failures before `resumed_at` are forgiven.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint(f"missed IN {tuple(each.value for each in Missed)}", name="missed"),
        CheckConstraint("runs >= 0 AND (max_runs IS NULL OR max_runs > 0)", name="runs"),
        Index("ix_schedules_organisation_id_id", "organisation_id", "id"),
        Index(
            "ix_schedules_due",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL AND paused_at IS NULL"),
            postgresql_where=text("next_at IS NOT NULL AND paused_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    request: Mapped[data]
    cron: Mapped[str | None] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    missed: Mapped[str] = mapped_column(String(12), default=Missed.RUN_ONCE)
    next_at: Mapped[moment]
    last_at: Mapped[moment]
    ends_at: Mapped[moment]
    max_runs: Mapped[int | None]
    runs: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[moment]
    paused_because: Mapped[str | None] = mapped_column(Sentence)
    resumed_at: Mapped[moment]
    created_at: Mapped[created]
    updated_at: Mapped[created] = mapped_column(UtcDateTime, default=now, onupdate=now)

    user: Mapped[User] = relationship()


class ScheduleRun(OrganisationOwned, Model):
    """One time of a schedule and what became of it; `missed` later times are settled by it too.

    Its key is what makes one job of one time, however many schedulers look at it. While it is `due`, whoever holds
    the lease asks for the job.
    """

    __tablename__ = "schedule_runs"
    __table_args__ = (
        CheckConstraint(f"status IN {tuple(each.value for each in RunStatus)}", name="status"),
        UniqueConstraint("schedule_id", "slot_at"),
        Index(
            "ix_schedule_runs_due",
            "lease_until",
            sqlite_where=text("status = 'due'"),
            postgresql_where=text("status = 'due'"),
        ),
        Index("ix_schedule_runs_job_id", "job_id"),
    )

    id: Mapped[pk]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    slot_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(12), default=RunStatus.DUE)
    missed: Mapped[int] = mapped_column(default=0, server_default="0")
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    error: Mapped[str | None] = mapped_column(Sentence)
    lease_until: Mapped[moment]
    created_at: Mapped[created]
    ended_at: Mapped[moment]

    schedule: Mapped[Schedule] = relationship()
    job: Mapped[Job | None] = relationship()
